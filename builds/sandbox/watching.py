"""Watch a running build: its processes, its memory (where no control group limits it) and its disk use."""

import os
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from messages import Message

from . import layout, processes

PROCESS_CHECK_INTERVAL = 0.2  # seconds, while there are few processes
MAX_LOAD_DIVISOR = 10  # checks may take a tenth of the time
MIN_FREE_BYTES = 512 * 1024**2  # bytes kept free on the disk, regardless of who used the rest


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds and bytes. `processes` includes threads. `output`: what one command may print."""

    seconds: float = 1800
    memory: int = 4 * 1024**3
    disk: int = 8 * 1024**3
    processes: int = 1024
    file_size: int = 8 * 1024**3
    output: int = 64 * 1024**2


DEFAULT = Limits()
COMMAND = Message("build_step.command")


@dataclass
class ResourceMonitor:
    """`look` returns why the command must end, or None. It can be called often: it checks only when a check is due."""

    folder: str
    limits: Limits
    counts_memory: bool
    step: Message = COMMAND  # the command that is watched
    _due: dict[str, float] = field(default_factory=dict)
    _elsewhere: int = 0  # bytes of memory that belong to unlinked files

    def look(self, top: int) -> Message | None:
        return self._timed("processes", PROCESS_CHECK_INTERVAL, lambda: self._processes(top)) or self._timed(
            "disk", 2 * PROCESS_CHECK_INTERVAL, lambda: self.disk(top)
        )

    def disk(self, top: int = 0) -> Message | None:
        """Check the build's folder and its unlinked files."""
        tree = processes.below(top) if top else []
        on_disk, self._elsewhere = processes.unlinked(tree, Path(self.folder).stat().st_dev)
        if used(self.folder) + on_disk > self.limits.disk:
            return self._exceeded("disk", mib=self.limits.disk // 1024**2)
        about = os.statvfs(self.folder)
        if about.f_bavail * about.f_frsize < min(MIN_FREE_BYTES, about.f_blocks * about.f_frsize // 50):
            return self._exceeded("disk_full")
        return None

    def _processes(self, top: int) -> Message | None:
        tree = processes.below(top)
        if sum(process.threads for process in tree) >= self.limits.processes:
            return self._exceeded("processes", max=self.limits.processes)
        limit = self.limits.memory - self._elsewhere
        if self.counts_memory and sum(process.resident for process in tree) > limit and processes.memory(tree) > limit:
            return self.over_memory()
        return None

    def over_memory(self) -> Message:
        return self._exceeded("memory", mib=self.limits.memory // 1024**2)

    def _exceeded(self, limit: str, **params: int) -> Message:
        return Message(f"build_limit.{limit}", {"step": self.step, **params})

    def _timed(self, name: str, pause: float, look: Callable[[], Message | None]) -> Message | None:
        began = time.monotonic()
        if began < self._due.get(name, 0):
            return None
        reason = look()
        ended = time.monotonic()
        self._due[name] = ended + max(pause, MAX_LOAD_DIVISOR * (ended - began))
        return reason


def used(folder: str) -> int:
    """Return the bytes in the build's own folders. `du` reads any depth and follows none of the build's links."""
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
