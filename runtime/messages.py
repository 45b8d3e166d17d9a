"""Sends wake-ups to the workers by a thread of its own: no click waits for a broker that is slow, frozen or gone.

A message carries nothing: the rows are the queue, and what could not be sent is found by every worker's sweep.
"""

import logging
import threading
from time import monotonic
from typing import Any

from deployer.engine.failpoints import Failpoint, failpoint

from .celery_app import app

MOST = 8  # messages at once: each is answered by a crew, and all of them together by as many as a worker has slots
REMIND = 60.0  # seconds after which a broker that is still away is told of again
log = logging.getLogger(__name__)


class Sender:
    """One connection that is kept, and given up at the first error. For one thread."""

    def __init__(self) -> None:
        self._producer: Any = None

    def send(self, task: str, count: int) -> None:
        """Raises whatever the broker answers. A connection that was kept may have been closed by a broker that was
        restarted meanwhile, or be one to a server that has become a replica: then a new one is tried once."""
        kept = self._producer is not None
        try:
            self._send(task, count)
        except Exception:
            self.drop()
            if not kept:
                raise
            try:
                self._send(task, count)
            except Exception:
                self.drop()
                raise

    def _send(self, task: str, count: int) -> None:
        if self._producer is None:
            self._producer = app.amqp.Producer(app.connection_for_write(), auto_declare=False)
        for _ in range(count):
            app.send_task(task, producer=self._producer)

    def drop(self) -> None:
        producer, self._producer = self._producer, None
        try:
            if producer is not None:
                producer.connection.collect()  # says no goodbye: nobody may be there to hear it
        except Exception as error:  # noqa: BLE001 - it is given up either way
            log.debug("a connection to the broker could not be closed: %s", type(error).__name__)


class Waker:
    """One daemon thread a process, started by the first need (after a server has forked)."""

    def __init__(self) -> None:
        self._change = threading.Condition()
        self._asked: dict[str, int] = {}
        self._thread: threading.Thread | None = None
        self._told = -REMIND

    def ask(self, task: str, count: int) -> None:
        """Returns at once. Whatever was asked for and not sent yet is sent together, `MOST` at once."""
        with self._change:
            self._asked[task] = min(self._asked.get(task, 0) + count, MOST)
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="waker", daemon=True)
                self._thread.start()
            self._change.notify()

    def _run(self) -> None:
        sender = Sender()
        while True:
            with self._change:
                self._change.wait_for(lambda: self._asked)
                asked, self._asked = self._asked, {}
            failpoint(Failpoint.WAKING)
            try:
                for task, count in asked.items():
                    sender.send(task, count)
            except Exception as error:  # noqa: BLE001 - whatever the broker answers: nothing is lost with a message
                self._tell(error)

    def _tell(self, error: Exception) -> None:
        if monotonic() - self._told > REMIND:
            self._told = monotonic()
            # The kind only: an answer of the broker may quote what it was sent.
            log.warning("no worker could be woken (%s): the sweep will find the work", type(error).__name__)


waker = Waker()
