"""A Celery consumer that survives any loss of its broker: messages are only one way to wake this process.

Celery ends a worker if the broker answers an error that it does not know (a replica after a failover, a full disk, a
server that is still loading, a wrong password), and lets the pauses between two attempts grow to half a minute. Here
every error is a lost connection, with an attempt every few seconds. Meanwhile the sweep (worker/recovery.py) finds the
work.
"""

import logging
from time import monotonic, sleep
from typing import Any

from celery.worker.consumer import Consumer as CeleryConsumer
from celery.worker.state import maybe_shutdown
from kombu import Connection

from .broker_connection import broker_connection

FIRST_PAUSE, MAX_PAUSE = 0.5, 2.0  # seconds between two attempts
STABLE_AFTER = 1.0  # seconds until a connection counts as restored: a replica accepts it and refuses the first command
LOG_INTERVAL = 60.0  # seconds between two log lines about a broker that is still away
log = logging.getLogger(__name__)


def pause_after(tries: int) -> float:
    """Return the seconds to wait after so many failed attempts in a row. Pure."""
    return min(MAX_PAUSE, FIRST_PAUSE * 2 ** min(tries - 1, 10))


Steps: Any = CeleryConsumer.Blueprint  # a class, whatever the stubs say


class ResilientConsumer(CeleryConsumer):
    """Celery's consumer, except that no error of the broker ends it."""

    hub: Any

    class Blueprint(Steps):
        # Without the steps that announce this worker to others: they publish in the consumer's thread and retry for
        # ever without an answer. The rows say which workers exist.
        default_steps = [
            step for step in Steps.default_steps if step.rpartition(":")[2] not in ("Heart", "Mingle", "Gossip")
        ]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.connection_errors = (Exception,)
        self._tries, self._logged, self._attempt = 0, 0.0, 0

    def ensure_connected(self, conn: Connection) -> Connection:
        """Try each address once. `start` tries again, and handles a signal to stop in between."""
        return conn.ensure_connection(
            max_retries=max(0, len(conn.alt) - 1), interval_start=0, interval_step=0, callback=maybe_shutdown
        )

    def on_ready(self) -> None:
        super().on_ready()
        if self.hub:
            self.hub.call_later(STABLE_AFTER, self._mark_stable, self._attempt)

    def _mark_stable(self, attempt: int) -> None:
        if attempt == self._attempt:
            if self._tries:
                log.info("reconnected to the broker after %.0f s", broker_connection.seconds)
            self._tries = 0
            broker_connection.set(True)

    def on_connection_error_before_connected(self, exc: Exception) -> None:
        self._handle_loss(exc)

    def on_connection_error_after_connected(self, exc: Exception) -> None:
        super().on_connection_error_after_connected(exc)
        self._handle_loss(exc)

    def _handle_loss(self, exc: Exception) -> None:
        broker_connection.set(False)
        self._attempt += 1
        self._tries += 1
        if self._tries == 1 or monotonic() - self._logged > LOG_INTERVAL:
            self._logged = monotonic()
            # Only the type: an error of the broker may quote a message.
            log.warning("the broker is unreachable (%s): the sweep finds the work; reconnecting", type(exc).__name__)
        end = monotonic() + pause_after(self._tries)
        while monotonic() < end:
            maybe_shutdown()
            sleep(0.1)
