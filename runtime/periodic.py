"""A thread that repeats an action, whatever goes wrong in it."""

import logging
import threading
from collections.abc import Callable
from time import monotonic

from django.db import Error, connection

from . import watchdog

MAX_LOGGED_FAILURES = 3  # in a row; of further ones every tenth is logged
MAX_RETRY_PAUSE = 1.0  # seconds after a failure
log = logging.getLogger(__name__)


class PeriodicThread:
    """Call `act`, then pause for `pause()` seconds, until stopped. No error ends it: an unreachable database is one log
    line, any other error a traceback.

    `limit`: seconds that one call may take before the watchdog ends the process.
    """

    def __init__(self, name: str, act: Callable[[], None], pause: Callable[[], float], limit: float):
        self._name, self._act, self._pause = name, act, pause
        self._failures = 0
        self._stopping = threading.Event()
        self._pulse = watchdog.watch(name, limit)
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Start no further call."""
        self._stopping.set()

    def _run(self) -> None:
        while not self._stopping.is_set():
            with self._pulse:
                done = self._once()
            self._wait(done)
        watchdog.forget(self._pulse)

    def _wait(self, done: bool) -> None:
        """Wait for the pause, and check each second whether it has become shorter."""
        begun = monotonic()
        while not self._stopping.is_set():
            pause = self._pause() if done else min(MAX_RETRY_PAUSE, self._pause())
            if (left := begun + pause - monotonic()) <= 0:
                return
            self._stopping.wait(min(left, 1.0))

    def _once(self) -> bool:
        try:
            self._act()
            self._failures = 0
            return True
        except Exception as error:  # no other thread of this process does this work
            if self._stopping.is_set():
                return False
            self._failures += 1
            if self._failures <= MAX_LOGGED_FAILURES or self._failures % 10 == 0:
                if isinstance(error, Error):
                    log.warning(
                        "%s: database error (%s); retrying",
                        self._name,
                        type(error).__name__,
                    )
                else:
                    log.exception("%s: unexpected error; retrying", self._name)
            return False
        finally:
            self._close()  # a small pool serves others until the next call

    def _close(self) -> None:
        try:
            connection.close()
        except Exception as error:  # noqa: BLE001 - the connection is unusable anyway
            log.warning("%s: the connection could not be closed: %s", self._name, type(error).__name__)
