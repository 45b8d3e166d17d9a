"""Waiting for hosts that another deployment has locked."""

from __future__ import annotations

import time
from typing import Any

from .cli import argument, say, seconds
from .context import Context
from .exits import Ended

LOCK_TIMEOUT = argument(
    "--lock-timeout",
    type=seconds,
    default=0.0,
    metavar="SECONDS",
    help="Wait so long for hosts that another deployment has locked, of every kind of target. Default: not at all.",
)
PAUSE = 5.0  # seconds between two requests


def post_unlocked(context: Context, path: str, body: dict[str, Any], lock_timeout: float) -> dict:
    """Send a request until no other deployment locks one of its targets, or the time is over: then it is refused.

    Jobs of one pipeline that run beside each other thus deploy one after the other, whatever their CI system says.
    """
    if not lock_timeout:
        return context.client.post(path, body)
    until: float | None = None  # the first answer is not yet waited for
    while True:
        try:
            return context.client.post(path, {**body, "on_locked": "refuse"})
        except Ended as refusal:
            if (refusal.problem or {}).get("code") != "instance_locked":
                raise
            if until is None:
                until = time.monotonic() + lock_timeout
                say("Another deployment has locked some of the hosts. Waiting for it.", err=True)
            left = min(until - time.monotonic(), context.patience.left)
            if left <= 0:
                raise
        time.sleep(min(PAUSE, left))
