"""What ends by itself: sessions past their limits, counts of guesses, windows of failed sign-ins that the history
is told of."""

import time

from access.sessions import SessionStore

from . import failed_sign_ins, throttle

EVERY = 60.0
_looked = 0.0


def run_if_due() -> None:
    """For a worker's sweep, which comes every few seconds and is there for other things."""
    global _looked
    if not _looked or time.monotonic() - _looked > EVERY:
        _looked = time.monotonic()
        SessionStore.clear_expired()
        failed_sign_ins.flush()
        throttle.prune()
