"""Limit how many threads of this process long requests may hold at once, so that short ones always find one.

Live streams, waits and large bodies are long. Each kind has a limit of its own, and together they leave RESERVE threads
for short requests.
"""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from runtime import environment as env

from .problems import Problem

THREADS = env.number("WEB_THREADS", 32, 2, 1000)
RESERVE = max(1, min(6, THREADS // 4))


class Turns:
    """At most `limit` at once, and within the turns of `within` where that is given."""

    def __init__(self, limit: int, within: "Turns | None" = None):
        self.limit, self._within = limit, within
        self._taken = 0
        self._lock = threading.Lock()

    def enter(self) -> bool:
        """Take a turn. Return False where none is free, without waiting."""
        with self._lock:
            if self._taken >= self.limit or (self._within and not self._within.enter()):
                return False
            self._taken += 1
            return True

    def leave(self) -> None:
        with self._lock:
            self._taken -= 1
            if self._within:
                self._within.leave()


class TurnsPerCaller:
    """At most `limit` at once for each caller."""

    def __init__(self, limit: int):
        self.limit = limit
        self._taken: Counter[str] = Counter()
        self._lock = threading.Lock()

    def enter(self, who: str) -> bool:
        with self._lock:
            if self._taken[who] >= self.limit:
                return False
            self._taken[who] += 1
            return True

    def leave(self, who: str) -> None:
        with self._lock:
            self._taken[who] -= 1
            if self._taken[who] <= 0:
                del self._taken[who]


@contextmanager
def account_turn(turns: TurnsPerCaller, who: str, problem: Problem) -> Iterator[None]:
    """Hold a caller's turn during the block. Raise `problem` where none is free."""
    if not turns.enter(who):
        raise problem
    try:
        yield
    finally:
        turns.leave(who)


long = Turns(THREADS - RESERVE)
streaming = Turns(max(1, THREADS // 2), within=long)  # bodies that a thread reads as they come
pulls = Turns(max(1, THREADS // 8), within=long)  # of images by an engine, which somebody watches
downloads = TurnsPerCaller(max(2, THREADS // 8))  # whole logs and lists, sent as fast as they are taken
