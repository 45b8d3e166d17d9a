"""Remove what has expired: sessions, counts of attempts, and windows of failed sign-ins, which the history records."""

import time

from access.sessions import SessionStore

from . import failed_sign_ins, throttle

INTERVAL = 60.0  # seconds
_last_run = 0.0


def run_if_due() -> None:
    """Call from a worker's sweep, which runs every few seconds."""
    global _last_run
    if not _last_run or time.monotonic() - _last_run > INTERVAL:
        _last_run = time.monotonic()
        SessionStore.clear_expired()
        failed_sign_ins.flush()
        throttle.prune()
