"""Whether the broker takes messages, for probes: asked by a thread of its own, so that no probe waits for it.

An answer to a greeting says little: a replica, or a server whose disk is full, greets as ever and takes nothing. So
something is written to it.
"""

import threading
from concurrent.futures import Future
from time import monotonic
from typing import Any

from runtime.celery_app import app

FRESH = 1.0  # seconds for which an answer holds: many probes cost the broker as much as one
NAME = "deployer.probe"


class Check:
    """At most one question is on its way, however many ask."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._asked = -FRESH
        self._answer: Future[str] | None = None

    def look(self, seconds: float) -> str:
        """ "ok", or "away" and why. Returns within `seconds`; raises nothing."""
        with self._lock:
            if self._answer is None or (self._answer.done() and monotonic() - self._asked > FRESH):
                self._asked, self._answer = monotonic(), Future()
                threading.Thread(target=_ask, args=(self._answer,), name="broker-check", daemon=True).start()
            answer = self._answer
        try:
            return answer.result(seconds)
        except TimeoutError:
            return f"away (no answer within {seconds:.0f} s)"


def _ask(answer: Future[str]) -> None:
    try:
        _write()
        answer.set_result("ok")
    except BaseException as error:  # noqa: BLE001 - whatever it is, somebody waits for an answer
        # The kind of error only: its text may hold an address or a user's name.
        answer.set_result(f"away ({type(error).__name__})")


def _write() -> None:
    with app.connection_for_write() as line:
        line.ensure_connection(max_retries=max(0, len(line.alt) - 1), interval_start=0, interval_step=0)
        channel: Any = line.default_channel
        if hasattr(channel, "conn_or_acquire"):  # Redis and Valkey, through Sentinels or not
            with channel.conn_or_acquire() as client:
                client.set(NAME, "", ex=60)
            return
        # A queue that only this connection sees, and that goes with it. A server that takes nothing (memory, disk)
        # stops reading after the message, so that the question for it has no answer.
        queue = channel.queue_declare(exclusive=True, auto_delete=True).queue
        channel.basic_publish(channel.prepare_message(b""), exchange="", routing_key=queue)
        channel.basic_get(queue, no_ack=True)


check = Check()
look = check.look
