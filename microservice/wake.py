"""Wakes workers. A message carries nothing: the rows are the queue.

A message that cannot be sent, is lost or is duplicated does no harm: every worker's sweep finds unclaimed operations.
"""

import logging

from django.db import transaction

from deployer.engine.failpoints import Failpoint, failpoint
from runtime.wake_ups import Sender, waker

WORK = "microservice.work"
log = logging.getLogger(__name__)


def workers(due: int) -> None:
    """Send, after the commit, as many wake-ups as workers can answer at once, and no more."""
    if due > 0:
        transaction.on_commit(lambda: _committed(due), robust=True)


def _committed(due: int) -> None:
    failpoint(Failpoint.ACCEPTED)
    waker.wake(WORK, due)


def send(count: int) -> None:
    """Send wake-ups in this thread, on a connection of its own. A broker that is down costs only a line in the log."""
    sender = Sender()
    try:
        sender.send(WORK, count)
    except Exception as error:  # noqa: BLE001 - whatever the broker answers: nothing is lost with a message
        log.warning("could not wake workers (%s): a sweep will find the work", type(error).__name__)
    finally:
        sender.drop()
