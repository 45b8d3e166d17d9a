"""Check for probes whether the broker accepts messages: in a thread, so that no probe waits for the broker.

A ping is not enough: a replica, or a server whose disk is full, answers pings and accepts nothing. So the check writes.
"""

import threading
from concurrent.futures import Future
from time import monotonic
from typing import Any

from runtime.celery_app import app

CACHE_SECONDS = 1.0  # seconds that a result is cached
PROBE_KEY = "deployer.probe"


class BrokerCheck:
    """At most one check runs at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._started = -CACHE_SECONDS
        self._result: Future[str] | None = None

    def look(self, seconds: float) -> str:
        """Return "ok", or "away" with the reason, within `seconds`."""
        with self._lock:
            if self._result is None or (self._result.done() and monotonic() - self._started > CACHE_SECONDS):
                self._started, self._result = monotonic(), Future()
                threading.Thread(target=_run, args=(self._result,), name="broker-check", daemon=True).start()
            result = self._result
        try:
            return result.result(seconds)
        except TimeoutError:
            return f"away (no answer within {seconds:.0f} s)"


def _run(result: Future[str]) -> None:
    try:
        _write()
        result.set_result("ok")
    except BaseException as error:  # noqa: BLE001 - callers wait for the result
        # Only the type: the text may contain a URL or a user name.
        result.set_result(f"away ({type(error).__name__})")


def _write() -> None:
    with app.connection_for_write() as connection:
        connection.ensure_connection(max_retries=max(0, len(connection.alt) - 1), interval_start=0, interval_step=0)
        channel: Any = connection.default_channel
        if hasattr(channel, "conn_or_acquire"):  # Redis and Valkey, with or without Sentinels
            with channel.conn_or_acquire() as client:
                client.set(PROBE_KEY, "", ex=60)
            return
        # A queue of this connection only. A server that accepts nothing (memory, disk) stops reading after the message,
        # so that fetching it gets no answer.
        queue = channel.queue_declare(exclusive=True, auto_delete=True).queue
        channel.basic_publish(channel.prepare_message(b""), exchange="", routing_key=queue)
        channel.basic_get(queue, no_ack=True)


check = BrokerCheck()
look = check.look
