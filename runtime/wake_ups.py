"""Send wake-up messages to the workers in a thread: no request waits for a slow, frozen or absent broker.

A message carries nothing: the rows are the queue, and the workers' sweep finds work whose message was lost.
"""

import logging
import threading
from time import monotonic
from typing import Any

from deployer.engine.failpoints import Failpoint, failpoint

from .celery_app import app

MAX_MESSAGES = 8  # pending per task: each wakes one thread pool
LOG_INTERVAL = 60.0  # seconds between two log lines about an unreachable broker
log = logging.getLogger(__name__)


class Sender:
    """Keep one connection and drop it at the first error. For one thread."""

    def __init__(self) -> None:
        self._producer: Any = None

    def send(self, task: str, count: int) -> None:
        """Send the messages. Raise the broker's error.

        A kept connection may be stale (the broker was restarted, or has become a replica): a new one is tried once.
        """
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
                producer.connection.collect()  # closes without a handshake: the broker may not answer one
        except Exception as error:  # noqa: BLE001 - it is dropped either way
            log.debug("a connection to the broker could not be closed: %s", type(error).__name__)


class Waker:
    """One daemon thread per process, started by the first wake-up (so after a server has forked)."""

    def __init__(self) -> None:
        self._change = threading.Condition()
        self._pending: dict[str, int] = {}
        self._thread: threading.Thread | None = None
        self._logged = -LOG_INTERVAL

    def wake(self, task: str, count: int) -> None:
        """Queue wake-ups and return at once. At most MAX_MESSAGES of a task are pending."""
        with self._change:
            self._pending[task] = min(self._pending.get(task, 0) + count, MAX_MESSAGES)
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="waker", daemon=True)
                self._thread.start()
            self._change.notify()

    def _run(self) -> None:
        sender = Sender()
        while True:
            with self._change:
                self._change.wait_for(lambda: self._pending)
                pending, self._pending = self._pending, {}
            failpoint(Failpoint.WAKING)
            try:
                for task, count in pending.items():
                    sender.send(task, count)
            except Exception as error:  # noqa: BLE001 - any error: a lost message loses no work
                self._log(error)

    def _log(self, error: Exception) -> None:
        if monotonic() - self._logged > LOG_INTERVAL:
            self._logged = monotonic()
            # Only the type: an error of the broker may quote a message.
            log.warning("the wake-up could not be sent (%s): the sweep will find the work", type(error).__name__)


waker = Waker()
