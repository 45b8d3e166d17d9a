"""Following deployments to their end."""

import time
from collections.abc import Iterable

import click

from .client import Client, printable
from .exits import Ended, Exit, OutOfTime

ENDED = frozenset({"succeeded", "failed", "cancelled"})
LONGEST_ASK = 30  # seconds that the server holds one request
PAUSE = 2.0  # seconds between two questions where the server did not wait


def line(deployment: dict) -> str:
    counts = ", ".join(f"{number} {name}" for name, number in deployment["counts"].items() if number)
    went = " → ".join(filter(None, (deployment.get("from_version_str"), deployment.get("dest_version_str"))))
    return printable(
        f"deployment {deployment['id']}  {deployment['service']}  {deployment['action']}  {went}  "
        f"{deployment['status']}  ({counts or 'nothing to do'})"
    )


def until_ended(client: Client, deployments: Iterable[dict], quiet: bool) -> list[dict]:
    """The deployments as they ended. Raises Ended with TIME_IS_UP when the client's patience is over."""
    ended = []
    for deployment in deployments:
        shown = ""
        while deployment["status"] not in ENDED:
            left = client.patience.left
            if left <= 0:
                raise Ended(f"Time is up: {line(deployment)}. It goes on.", Exit.TIME_IS_UP)
            deployment = _asked(client, deployment, left)
            if line(deployment) != shown and not quiet:
                shown = line(deployment)
                click.echo(shown, err=True)
        ended.append(deployment)
    return ended


def _asked(client: Client, deployment: dict, left: float) -> dict:
    """How far it is, after a while or when it has ended."""
    wait = max(1, int(min(LONGEST_ASK, left)))
    if left < 1:
        time.sleep(max(0.0, left))
        wait = 0
    asked = time.monotonic()
    try:
        found = client.get(f"/deployments/{deployment['id']}", wait=wait or None, timeout=wait + 30)
    except OutOfTime as error:
        raise Ended(f"Time is up: {line(deployment)}. It goes on. {error.reason}", Exit.TIME_IS_UP) from None
    if found["status"] not in ENDED and time.monotonic() - asked < min(1, wait):
        time.sleep(min(PAUSE, max(0.0, left - 1)))  # no turn to wait there: as many wait already as may
    return found


def failures(client: Client, deployment: dict) -> list[str]:
    """One line for each instance where it did not go well. How the command ends is known without them."""
    try:
        rows = client.all(f"/deployments/{deployment['id']}/operations/")
    except Ended as error:
        return [printable(f"  What went wrong could not be asked: {error.message}")]
    return [
        printable(
            f"  {row['host']}: {row['status']}: {row['error'] or 'no reason given'}"
            + (f" (step {row['error_step']})" if row["error_step"] else "")
        )
        for row in rows
        if row["status"] not in ("succeeded", "pending", "queued", "running")
    ]
