"""Who may keep a thread of this process for long: so many at once, so that short requests always find one.

Live streams, waits and large bodies are long. Each kind has a limit of its own, and all of them together leave RESERVE
threads to what is short.
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
    """At most `most` at once, within another limit where there is one."""

    def __init__(self, most: int, within: "Turns | None" = None):
        self.most, self._within = most, within
        self._taken = 0
        self._lock = threading.Lock()

    def enter(self) -> bool:
        """Takes a turn; False where none is free. Never waits."""
        with self._lock:
            if self._taken >= self.most or (self._within and not self._within.enter()):
                return False
            self._taken += 1
            return True

    def leave(self) -> None:
        with self._lock:
            self._taken -= 1
            if self._within:
                self._within.leave()


class Each:
    """At most `most` at once of each caller."""

    def __init__(self, most: int):
        self.most = most
        self._taken: Counter[str] = Counter()
        self._lock = threading.Lock()

    def enter(self, who: str) -> bool:
        with self._lock:
            if self._taken[who] >= self.most:
                return False
            self._taken[who] += 1
            return True

    def leave(self, who: str) -> None:
        with self._lock:
            self._taken[who] -= 1
            if self._taken[who] <= 0:
                del self._taken[who]


@contextmanager
def account_turn(turns: Each, who: str, problem: Problem) -> Iterator[None]:
    """A caller's turn for as long as the block lasts. Raises `problem` where there is none."""
    if not turns.enter(who):
        raise problem
    try:
        yield
    finally:
        turns.leave(who)


long = Turns(THREADS - RESERVE)
streaming = Turns(max(1, THREADS // 2), within=long)  # bodies that a thread reads as they come
downloads = Each(max(2, THREADS // 8))  # whole logs, sent as fast as they are taken
