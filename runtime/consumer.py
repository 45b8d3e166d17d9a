"""Celery's consumer, which may be without a broker as long as it likes: it is one way to wake this process, no more.

Celery ends a worker whose broker answers an error that it does not know (a replica after a failover, a full disk, a
server that is still loading, a wrong password), and lets its pauses between two tries grow to half a minute. Here each
error is a lost connection, and there is a try every few seconds. Meanwhile the rows are carried out all the same:
worker/recovery.py.
"""

import logging
from time import monotonic, sleep
from typing import Any

from celery.worker.consumer import Consumer as CeleryConsumer
from celery.worker.state import maybe_shutdown

from .listening import listening

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 2.0  # seconds between two tries
SETTLED = 1.0  # seconds after which a connection is one: a replica refuses only what it is asked first
REMIND = 60.0  # seconds after which a broker that is still away is told of again
log = logging.getLogger(__name__)


def pause_after(tries: int) -> float:
    """Seconds to the next try after so many that failed in a row. Pure."""
    return min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(tries - 1, 10))


Steps: Any = CeleryConsumer.Blueprint  # a class, whatever the stubs say


class Consumer(CeleryConsumer):
    """As Celery's, but that no error of the broker ends it."""

    hub: Any

    class Blueprint(Steps):
        # Not what tells other workers about this one: it publishes in the consumer's thread, and tries again for ever
        # where nobody answers. Which workers there are stands in rows.
        default_steps = [
            step for step in Steps.default_steps if step.rpartition(":")[2] not in ("Heart", "Mingle", "Gossip")
        ]

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.connection_errors = (Exception,)
        self._tries, self._told, self._attempt = 0, 0.0, 0

    def ensure_connected(self, conn):
        """One try of each address; `start` tries again, and a signal to stop is heard in between."""
        return conn.ensure_connection(
            max_retries=max(0, len(conn.alt) - 1), interval_start=0, interval_step=0, callback=maybe_shutdown
        )

    def on_ready(self) -> None:
        super().on_ready()
        if self.hub:
            self.hub.call_later(SETTLED, self._settled, self._attempt)

    def _settled(self, attempt: int) -> None:
        if attempt == self._attempt:
            if self._tries:
                log.info("the broker is back after %.0f s", listening.seconds)
            self._tries = 0
            listening.becomes(True)

    def on_connection_error_before_connected(self, exc) -> None:
        self._without(exc)

    def on_connection_error_after_connected(self, exc) -> None:
        super().on_connection_error_after_connected(exc)
        self._without(exc)

    def _without(self, exc: Exception) -> None:
        listening.becomes(False)
        self._attempt += 1
        self._tries += 1
        if self._tries == 1 or monotonic() - self._told > REMIND:
            self._told = monotonic()
            # The kind only: an answer of the broker may quote what it was sent.
            log.warning(
                "the broker is away (%s): work is found in the rows, and the broker is tried again", type(exc).__name__
            )
        end = monotonic() + pause_after(self._tries)
        while monotonic() < end:
            maybe_shutdown()
            sleep(0.1)
