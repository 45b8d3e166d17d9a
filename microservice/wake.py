"""Tells the workers that there is work. A message carries nothing: the rows are the queue.

A message that cannot be sent, is lost or comes twice does no harm: every worker's sweep finds what nobody claimed.
"""

import logging

from django.db import transaction

from deployer.engine.failpoints import Failpoint, failpoint
from runtime.wake_ups import Sender, waker

WORK = "microservice.work"
log = logging.getLogger(__name__)


def workers(due: int) -> None:
    """After the commit: sends as many wake-ups as could be answered at once, and never more."""
    if due > 0:
        transaction.on_commit(lambda: _committed(due), robust=True)


def _committed(due: int) -> None:
    failpoint(Failpoint.ACCEPTED)
    waker.wake(WORK, due)


def send(count: int) -> None:
    """Sends wake-ups in this thread, on a connection of their own. A broker that is down costs nothing but a line."""
    sender = Sender()
    try:
        sender.send(WORK, count)
    except Exception as error:  # noqa: BLE001 - whatever the broker answers: nothing is lost with a message
        log.warning("no worker could be woken (%s): the sweep will find the work", type(error).__name__)
    finally:
        sender.drop()
