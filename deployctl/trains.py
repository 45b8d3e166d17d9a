"""Release trains: versions of several services, deployed in stages."""

from __future__ import annotations

import argparse
import time
from typing import Any

from .cli import argument, command, say, whole
from .client import printable
from .context import NOTE, TIMEOUT, WAIT, Context, said_body
from .exits import Ended, Exit

STOPS = frozenset({"succeeded", "failed", "cancelled", "reverted", "held"})  # until a person acts
PAUSE = 2.0  # seconds between two requests
NUMBER = argument("train", type=whole(1), help="A train's number.")
FOLLOWS = (WAIT, TIMEOUT)


def stage(text: str) -> list[dict[str, str]]:
    """Return the services and versions of a stage: `api=2.0,web=1.4`."""
    entries = []
    for part in text.split(","):
        service, equals, version = part.strip().partition("=")
        if not (service and equals and version):
            raise argparse.ArgumentTypeError(f"{text!r} is not SERVICE=VERSION, or several of them with commas between")
        entries.append({"service": service, "version": version})
    return entries


@command(
    "trains start",
    argument("name", help="What the train is called."),
    argument(
        "--stage",
        action="append",
        type=stage,
        required=True,
        metavar="SERVICE=VERSION,…",
        help="What is deployed at once. Repeat it: a stage begins when the one before has succeeded.",
    ),
    argument("--environment", metavar="NAME", help="Its name or id; '' for hosts in none."),
    argument(
        "--on-failure",
        choices=("hold", "revert_train"),
        default="hold",
        help="hold: nothing more begins; revert_train: what succeeded goes back.",
    ),
    argument("--plan", action="store_true", help="Print what would happen, and change nothing."),
    NOTE,
    *FOLLOWS,
)
def start(context: Context, arguments: argparse.Namespace) -> None:
    """Start a release train NAME, and wait until it has ended or is held.

    example:
      deployctl trains start autumn --environment staging --stage api=2.0 --stage shop=1.4,web=3.1
    """
    body: dict[str, Any] = {
        "name": arguments.name,
        "stages": arguments.stage,
        "on_failure": arguments.on_failure,
        **said_body(arguments),
    }
    if arguments.environment is not None:
        body["environment"] = arguments.environment
    if arguments.plan:
        plan = context.client.post("/trains/", {**body, "dry_run": True})
        context.show(plan, "\n".join(_planned(plan)))
        return
    _follow(context, context.client.post("/trains/", body))


@command("trains list")
def list_trains(context: Context, arguments: argparse.Namespace) -> None:
    """List the release trains, newest first."""
    rows = context.client.all("/trains/")
    context.show(rows, "\n".join(_line(row) for row in rows))


@command("trains status", NUMBER)
def status(context: Context, arguments: argparse.Namespace) -> None:
    """Show a release train with its stages."""
    row = context.client.get(f"/trains/{arguments.train}")
    context.show(row, "\n".join(_lines(row)))


@command("trains cancel", NUMBER)
def cancel(context: Context, arguments: argparse.Namespace) -> None:
    """Cancel a release train: no further stage begins. What succeeded stays."""
    row = context.client.post(f"/trains/{arguments.train}/cancel", {})
    context.show(row, "\n".join(_lines(row)))


@command("trains resume", NUMBER, *FOLLOWS)
def resume(context: Context, arguments: argparse.Namespace) -> None:
    """Resume a release train that is held: what did not succeed is deployed again."""
    _follow(context, context.client.post(f"/trains/{arguments.train}/resume", {}))


@command("trains revert", NUMBER, *FOLLOWS)
def revert(context: Context, arguments: argparse.Namespace) -> None:
    """Send back what a release train did, last stage first."""
    _follow(context, context.client.post(f"/trains/{arguments.train}/revert", {}), good="reverted")


def _follow(context: Context, row: dict, good: str = "succeeded") -> None:
    """Print a train, with --wait after it has come to a stop, and exit with its result."""
    waits, shown = context.patience.waits, _line(row)
    while waits and row["status"] not in STOPS:
        left = context.patience.left
        if left <= 0:
            raise Ended(f"Timeout: {_line(row)}. It continues.", Exit.TIMEOUT)
        time.sleep(min(PAUSE, left))
        row = context.client.get(f"/trains/{row['id']}")
        if _line(row) != shown and not context.as_json:
            shown = _line(row)
            say(shown, err=True)
    context.show(row, "\n".join(_lines(row)))
    if waits and row["status"] != good:
        raise SystemExit(int(Exit.FAILED))


def _line(row: dict) -> str:
    done = sum(part["status"] == "succeeded" for each in row["stages"] for part in each)
    every = sum(len(each) for each in row["stages"])
    where = f"  {row['environment']}" if row["environment"] else ""
    return printable(f"train {row['id']}  {row['name']}{where}  {row['status']}  ({done} of {every} succeeded)")


def _lines(row: dict) -> list[str]:
    found = [_line(row)] + ([f"  {row['reason']}"] if row["reason"] else [])
    for number, each in enumerate(row["stages"], 1):
        for part in each:
            deployments = ", ".join(f"{one['id']} {one['action']} {one['status']}" for one in part["deployments"])
            about = f"  deployments: {deployments}" if deployments else ""
            found.append(f"  stage {number}  {part['service']} {part['version']}  {part['status']}{about}")
    return found


def _planned(plan: dict) -> list[str]:
    found = []
    for number, each in enumerate(plan["stages"], 1):
        for part in each:
            targets = part["plan"]["targets"] if part["plan"] else []
            hosts = ", ".join(f"{one['host']} ({one['action']} from {one['from_version']})" for one in targets)
            what = hosts or part["waits_for"] or "all hosts run it already"
            found.append(f"stage {number}  {part['service']} {part['version']}: {what}")
    return found
