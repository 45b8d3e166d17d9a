"""What a process does again and again in a thread of its own, whatever goes wrong in it."""

import logging
import threading
from collections.abc import Callable
from time import monotonic

from django.db import Error, connection

from . import watchdog

FIRST_WORDS = 3  # failures in a row that are logged each; of further ones every tenth
AFTER_A_FAILURE = 1.0  # seconds at most until the next try
log = logging.getLogger(__name__)


class Loop:
    """Calls `act` and pauses as many seconds as `pause()` says, until it is stopped. No error ends it: a database that
    is away is one line in the log, anything else a line with its place.

    `limit`: seconds that one call may take before the process is taken to hang.
    """

    def __init__(self, name: str, act: Callable[[], None], pause: Callable[[], float], limit: float):
        self._name, self._act, self._pause = name, act, pause
        self._failures = 0
        self._stopping = threading.Event()
        self._pulse = watchdog.watch(name, limit)
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Nothing more is begun."""
        self._stopping.set()

    def _run(self) -> None:
        while not self._stopping.is_set():
            with self._pulse:
                done = self._once()
            self._rest(done)
        watchdog.forget(self._pulse)

    def _rest(self, done: bool) -> None:
        """Looks now and then whether the pause has become a shorter one."""
        begun = monotonic()
        while not self._stopping.is_set():
            pause = self._pause() if done else min(AFTER_A_FAILURE, self._pause())
            if (left := begun + pause - monotonic()) <= 0:
                return
            self._stopping.wait(min(left, 1.0))

    def _once(self) -> bool:
        try:
            self._act()
            self._failures = 0
            return True
        except Exception as error:  # what is done here is not done by anybody else in this process
            if self._stopping.is_set():
                return False
            self._failures += 1
            if self._failures <= FIRST_WORDS or self._failures % 10 == 0:
                if isinstance(error, Error):
                    log.warning(
                        "%s: the database did not answer as it should (%s); trying again",
                        self._name,
                        type(error).__name__,
                    )
                else:
                    log.exception("%s met an error that it does not know; trying again", self._name)
            return False
        finally:
            self._close()  # a pool that is small has others to serve until the next time

    def _close(self) -> None:
        try:
            connection.close()
        except Exception as error:  # noqa: BLE001 - the connection is of no use any more
            log.warning("%s: its connection could not be closed: %s", self._name, type(error).__name__)
