"""Commands for environments: the places where services run, what each asks, and the hosts in them."""

from __future__ import annotations

import argparse
import json
from typing import Any

from .cli import argument, command, whole
from .context import Context
from .exits import Ended, Exit
from .targets import GROUP, LABELS, Targets, host_names

NAME = argument("name", help="An environment's name.")
NOTHING = "none"
FIELDS = (
    "position",
    "colour",
    "description",
    "soak_minutes",
    "approvals",
    "approve_reverts",
    "tokens_deploy",
    "wait_hours",
)


def _switch(name: str, text: str) -> Any:
    return argument(f"--{name}", action=argparse.BooleanOptionalAction, default=None, help=text)


@command("environments list")
def list_environments(context: Context, arguments: argparse.Namespace) -> None:
    """List the environments in their order, each with what it requires and whose approval it asks for."""
    rows = context.client.all("/environments/")
    names = {row["id"]: row["name"] for row in rows}
    context.show(rows, "\n".join(f"{row['id']:>6}  {row['name']:24}  {', '.join(_rules(row, names))}" for row in rows))


def _rules(row: dict, names: dict[int, str]) -> list[str]:
    found = []
    if row["requires_id"]:
        found.append(f"requires {names[row['requires_id']]} for {row['soak_minutes']} min")
    if row["approvals"]:
        found.append(f"approvals: {row['approvals']}" + (f" by {row['approvers']}" if row["approvers"] else ""))
    if not row["tokens_deploy"]:
        found.append("tokens wait for a person")
    return found


@command(
    "environments set",
    NAME,
    argument("--requires", metavar="NAME", help=f"Where a version must have run well before; {NOTHING!r} for nowhere."),
    argument("--soak-minutes", type=whole(0), metavar="N", help="How long it must have run there."),
    argument("--approvals", type=whole(0, 5), metavar="N", help="How many other people must approve a deployment."),
    argument("--approvers", metavar="TEAM", help=f"Who approves; {NOTHING!r} for everyone who may deploy the service."),
    _switch("approve-reverts", "Whether reverts wait for approval too."),
    _switch("tokens-deploy", "Whether what tokens ask for begins without a person's approval."),
    argument("--wait-hours", type=whole(1, 720), metavar="N", help="When what still waits is cancelled."),
    argument("--position", type=whole(0), metavar="N", help="Its place in the order, the least first."),
    argument("--colour", help="grey, blue, green, amber, red or violet."),
    argument("--description", help="One line."),
)
def set_environment(context: Context, arguments: argparse.Namespace) -> None:
    """Create the environment NAME, or change what is given of it.

    examples:
      deployctl environments set staging --colour blue
      deployctl environments set production --requires staging --soak-minutes 30 --approvals 1
    """
    rows = context.client.all("/environments/")
    body = {name: value for name in FIELDS if (value := getattr(arguments, name)) is not None}
    if arguments.requires is not None:
        body["requires_id"] = None if arguments.requires == NOTHING else _found(rows, arguments.requires)["id"]
    if arguments.approvers is not None:
        body["approvers"] = None if arguments.approvers == NOTHING else arguments.approvers
    known = next((row for row in rows if row["name"] == arguments.name), None)
    if known is None:
        made = context.client.post("/environments/", {"name": arguments.name, **body})
    else:
        sent = json.dumps(body).encode()
        path, is_json = f"/environments/{known['id']}", {"Content-Type": "application/json"}
        made = context.client.ask("PATCH", path, sent, is_json).data
    context.show(made, f"{made['name']} was {'changed' if known else 'added'}.")


@command("environments hosts", NAME, host_names(""), LABELS, GROUP)
def place_hosts(context: Context, arguments: argparse.Namespace) -> None:
    """Bring hosts into the environment NAME, out of the one that they are in: all of them or none."""
    targets = Targets(hosts=arguments.hosts, labels=arguments.labels, group=arguments.group)
    if not targets.is_named:
        raise Ended("Choose hosts with --host, --label or --group.", Exit.USAGE_ERROR)
    row = _found(context.client.all("/environments/"), arguments.name)
    answer = context.client.post(f"/environments/{row['id']}/hosts", targets.body())
    context.show(answer, f"{answer['count']} hosts came into {row['name']}.")


@command("environments delete", NAME)
def delete(context: Context, arguments: argparse.Namespace) -> None:
    """Delete the environment NAME. No host may be in it, and nothing may require it."""
    row = _found(context.client.all("/environments/"), arguments.name)
    context.client.ask("DELETE", f"/environments/{row['id']}")
    context.show(None, f"{row['name']} was deleted.")


def _found(rows: list[dict], name: str) -> dict:
    for row in rows:
        if row["name"] == name:
            return row
    raise Ended(f"Environment {name} not found.", Exit.USAGE_ERROR)
