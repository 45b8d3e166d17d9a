"""Tells the workers that there is work. A message carries nothing: the rows are the queue.

A message that cannot be sent, is lost or comes twice does no harm: every worker's sweep finds what nobody claimed.
Messages are sent by a thread of their own, so that no click waits for a broker that is slow, frozen or gone.
"""

import logging
import threading

from django.db import transaction
from kombu.exceptions import OperationalError

from deployer.celery import app
from deployer.engine import crash

WORK = "microservice.work"
MOST = 8  # messages at once: each is answered by a crew, and all of them together by as many as a worker has slots
log = logging.getLogger(__name__)


def workers(due: int) -> None:
    """After the commit: sends as many wake-ups as could be answered at once, and never more."""
    if due > 0:
        transaction.on_commit(lambda: _committed(due), robust=True)


def _committed(due: int) -> None:
    crash.here(crash.Point.ACCEPTED)
    _waker.ask(due)


def send(count: int) -> None:
    """Sends wake-ups on one connection. A broker that is down costs nothing but this line in the log."""
    try:
        with app.producer_or_acquire() as producer:
            for _ in range(count):
                app.send_task(WORK, producer=producer)
    except (OperationalError, OSError) as error:
        log.warning("no worker could be woken (%s): the sweep will find the work", type(error).__name__)


class _Waker:
    """One daemon thread a process, started by the first need (after a server has forked)."""

    def __init__(self) -> None:
        self._change = threading.Condition()
        self._asked = 0
        self._thread: threading.Thread | None = None

    def ask(self, count: int) -> None:
        with self._change:
            self._asked = min(self._asked + count, MOST)
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="waker", daemon=True)
                self._thread.start()
            self._change.notify()

    def _run(self) -> None:
        while True:
            with self._change:
                self._change.wait_for(lambda: self._asked)
                count, self._asked = self._asked, 0
            crash.here(crash.Point.WAKING)
            send(count)


_waker = _Waker()
