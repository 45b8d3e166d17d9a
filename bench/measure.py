"""Wall time, CPU time and memory of commands, and of processes that run already."""

import os
import resource
import subprocess
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Cost:
    """Seconds. `cpu` is of the command with all its children."""

    wall: float
    cpu: float
    status: int
    errors: str = ""


def run(command: list[str], environment: dict[str, str], errors: Path, longest: float = 600) -> Cost:
    """Run the command to its end; kill it after `longest` seconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with errors.open("wb") as file:
        began = time.perf_counter()
        process = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=file
        )
        late = threading.Timer(longest, process.kill)
        late.start()
        status = process.wait()  # without a limit: with one, Python would look only every 50 ms
        wall = time.perf_counter() - began
        late.cancel()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Cost(wall, cpu, status, " ".join(errors.read_text(errors="replace").split())[-200:])


def cpu_of(pids: Iterable[int]) -> float:
    """Return the seconds of CPU that these processes and the children that they waited for have used so far."""
    return sum(sum(map(int, _fields(pid)[11:15])) for pid in pids) / TICKS


def memory_of(pids: Iterable[int]) -> float:
    """Return the MB (10⁶ bytes) of these processes: their own pages, and their part of the shared ones (PSS)."""
    kib = 0
    for pid in pids:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                kib += int(line.split()[1])
    return kib * 1024 / 1e6


class Peak:
    """`with Peak(pids) as peak:` — `peak.most` is the most memory that they had inside, in MB."""

    def __init__(self, pids: Callable[[], list[int]]):
        self._pids, self._over = pids, threading.Event()
        self.most = 0.0
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "Peak":
        self._look()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(0.1):
            self._look()

    def _look(self) -> None:
        try:
            self.most = max(self.most, memory_of(self._pids()))
        except OSError:
            pass  # one of them ended between the list and the look


def family(pid: int) -> list[int]:
    """Return a process and its living descendants."""
    parents = {}
    for path in Path("/proc").iterdir():
        if path.name.isdigit():
            try:
                parents[int(path.name)] = int(_fields(int(path.name))[1])
            except OSError:
                continue
    pids = [pid]
    for ancestor in pids:  # grows while it is read
        pids += [child for child, parent in parents.items() if parent == ancestor]
    return pids


def _fields(pid: int) -> list[str]:
    """Return what follows the name in /proc/PID/stat: state, parent, …"""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
