"""Wake the workers to build. The rows are the queue: if a message is lost, the sweep finds the build."""

from django.db import transaction

from runtime.wake_ups import waker

WORK = "builds.work"


def workers() -> None:
    """Wake them after the commit: no request waits for a slow or absent broker."""
    transaction.on_commit(lambda: waker.wake(WORK, 1), robust=True)
