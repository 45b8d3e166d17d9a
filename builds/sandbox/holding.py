"""A worker's hold on a build, as the sandbox sees it: a mark on its processes, and the moment when all of it must end.

Moments are seconds of a clock that goes on while a process, or the machine, is stopped.
"""

import time
import uuid
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def now() -> float:
    return time.clock_gettime(_CLOCK)


class Hold(Protocol):
    """`mark`: what the processes of the build carry, different for each build and worker."""

    @property
    def mark(self) -> str: ...

    def check(self) -> None:
        """Raise if the build is not this worker's any more. Costs nothing."""

    def report(self, text: str) -> None:
        """Take the end of the build's output. May raise as `check` does."""

    def until(self) -> float:
        """Return the moment when the build must have ended, unless it is later by then."""

    def ending(self, end: Callable[[], object]) -> AbstractContextManager[object]:
        """Call `end` once if the build is lost inside, in another thread: it ends what runs."""


class Unheld:
    """The hold of a build that no worker can lose."""

    def __init__(self, report: Callable[[str], None] = lambda text: None):
        self.mark, self._report = uuid.uuid4().hex, report

    def check(self) -> None:
        pass

    def report(self, text: str) -> None:
        self._report(text)

    def until(self) -> float:
        return float("inf")

    def ending(self, end: Callable[[], object]) -> AbstractContextManager[object]:
        return nullcontext()
