"""Tells the workers that there is something to build. The rows are the queue; a lost message is found by the sweep."""

from django.db import transaction

from runtime.messages import waker

WORK = "builds.work"


def workers() -> None:
    """After the commit: no request waits for a broker that is slow or gone."""
    transaction.on_commit(lambda: waker.ask(WORK, 1), robust=True)
