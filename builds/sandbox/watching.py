"""Looks at a build while it runs: its processes, its memory (where no control group limits it), its disk."""

import os
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from . import layout, processes

OFTEN = 0.2  # seconds between two looks at processes, if they are few
BUSY = 10  # a look may take one part in so many of the time
LEAST_FREE = 512 * 1024**2  # bytes that stay free on the disk, whoever used the rest


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds and bytes; `processes` counts threads. `output`: what a command may print."""

    seconds: float = 1800
    memory: int = 4 * 1024**3
    disk: int = 8 * 1024**3
    processes: int = 1024
    file_size: int = 8 * 1024**3
    output: int = 64 * 1024**2


DEFAULT = Limits()


@dataclass
class Watch:
    """`look` returns why the command must end, or an empty text. Called often; it looks when it is time."""

    folder: str
    limits: Limits
    counts_memory: bool
    what: str = ""  # the command that is looked at
    _due: dict[str, float] = field(default_factory=dict)
    _elsewhere: int = 0  # bytes in memory that belong to files without a name

    def look(self, top: int) -> str:
        return self._timed("processes", OFTEN, lambda: self._processes(top)) or self._timed(
            "disk", 2 * OFTEN, lambda: self.disk(top)
        )

    def disk(self, top: int = 0) -> str:
        """How much lies in the build's folder, and in files that have no name any more."""
        there = processes.below(top) if top else []
        on_disk, self._elsewhere = processes.unlinked(there, Path(self.folder).stat().st_dev)
        if used(self.folder) + on_disk > self.limits.disk:
            return f"{self.what} used more than {_size(self.limits.disk)} of disk (BUILD_DISK)"
        about = os.statvfs(self.folder)
        if about.f_bavail * about.f_frsize < min(LEAST_FREE, about.f_blocks * about.f_frsize // 50):
            return f"{self.what} was ended because the disk of the worker is almost full"
        return ""

    def _processes(self, top: int) -> str:
        there = processes.below(top)
        if sum(one.threads for one in there) >= self.limits.processes:
            return f"{self.what} used more than {self.limits.processes} processes and threads (BUILD_PROCESSES)"
        limit = self.limits.memory - self._elsewhere
        if self.counts_memory and sum(one.resident for one in there) > limit and processes.memory(there) > limit:
            return self.over_memory()
        return ""

    def over_memory(self) -> str:
        return f"{self.what} used more than {_size(self.limits.memory)} of memory (BUILD_MEMORY)"

    def _timed(self, what: str, pause: float, look: Callable[[], str]) -> str:
        began = time.monotonic()
        if began < self._due.get(what, 0):
            return ""
        reason = look()
        ended = time.monotonic()
        self._due[what] = ended + max(pause, BUSY * (ended - began))
        return reason


def used(folder: str) -> int:
    """Bytes of the build's own folders. Everything they hold is another's work: `du` reads any depth, and follows none
    of its links."""
    names = [f"{folder}/{name}" for name in layout.FOLDERS]
    done = subprocess.run(
        [*layout.as_owner(), "du", "-scx", "--block-size=1", "--", *names],
        capture_output=True,
        text=True,
        check=False,
        errors="replace",
    )
    last = done.stdout.splitlines()[-1:]
    return int(last[0].split()[0]) if last and last[0].split()[0].isdigit() else 0


def _size(number: int) -> str:
    return f"{number // 1024**2} MiB"
