"""Follow deployments to their end."""

from __future__ import annotations

import time
from collections.abc import Iterable

from .cli import say
from .client import Client, printable
from .exits import Ended, Exit, OutOfTime

ENDED = frozenset({"succeeded", "failed", "cancelled"})
MAX_WAIT = 30  # seconds that the server may hold one request
PAUSE = 2.0  # seconds between two requests if the server did not wait


def line(deployment: dict) -> str:
    counts = ", ".join(f"{number} {name}" for name, number in deployment["counts"].items() if number)
    wait = deployment.get("wait")  # null: it began at once
    if wait and deployment["status"] == "waiting":
        counts = " ".join(one["text"] for one in wait["reasons"])
    went = " → ".join(filter(None, (deployment.get("from_version_str"), deployment.get("dest_version_str"))))
    return printable(
        f"deployment {deployment['id']}  {deployment['service']}  {deployment['action']}  {went}  "
        f"{deployment['status']}  ({counts or 'nothing to do'})"
    )


def until_ended(client: Client, deployments: Iterable[dict], quiet: bool) -> list[dict]:
    """Return the deployments after their end. Raise Ended with TIMEOUT after --timeout."""
    ended = []
    for deployment in deployments:
        shown = ""
        while deployment["status"] not in ENDED:
            left = client.patience.left
            if left <= 0:
                raise Ended(f"Timeout: {line(deployment)}. It continues.", Exit.TIMEOUT)
            deployment = _poll(client, deployment, left)
            if line(deployment) != shown and not quiet:
                shown = line(deployment)
                say(shown, err=True)
        ended.append(deployment)
    return ended


def _poll(client: Client, deployment: dict, left: float) -> dict:
    """Return the deployment after a while, or when it has ended."""
    wait = max(1, int(min(MAX_WAIT, left)))
    if left < 1:
        time.sleep(max(0.0, left))
        wait = 0
    started = time.monotonic()
    try:
        current = client.get(f"/deployments/{deployment['id']}", wait=wait or None, timeout=wait + 30)
    except OutOfTime as error:
        raise Ended(f"Timeout: {line(deployment)}. It continues. {error.reason}", Exit.TIMEOUT) from None
    if current["status"] not in ENDED and time.monotonic() - started < min(1, wait):
        time.sleep(min(PAUSE, max(0.0, left - 1)))  # the server did not wait: too many clients wait already
    return current


def failures(client: Client, deployment: dict) -> list[str]:
    """Return a line for each operation that did not succeed. The exit status does not depend on them."""
    try:
        rows = client.all(f"/deployments/{deployment['id']}/operations/")
    except Ended as error:
        return [printable(f"  The failed operations could not be listed: {error.message}")]
    return [
        printable(
            f"  {row['host']}: {row['status']}: {row['error'] or 'no reason given'}"
            + (f" (step {row['error_step']})" if row["error_step"] else "")
        )
        for row in rows
        if row["status"] not in ("succeeded", "pending", "queued", "running")
    ]
