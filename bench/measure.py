"""Wall time and CPU time of commands, and of processes that run already."""
import os
import resource
import subprocess
import time
from collections.abc import Iterable
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


def run(command: list[str], environment: dict[str, str], errors: Path) -> Cost:
    """Runs the command to its end."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with errors.open("wb") as file:
        began = time.perf_counter()
        process = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=file
        )
        status = process.wait()  # without a limit: with one, Python would look only every 50 ms
        wall = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Cost(wall, cpu, status, errors.read_text(errors="replace").strip()[-500:])


def cpu_of(pids: Iterable[int]) -> float:
    """Seconds of CPU that these processes have used so far, with the children that they have waited for."""
    return sum(sum(map(int, _fields(pid)[11:15])) for pid in pids) / TICKS


def family(pid: int) -> list[int]:
    """A process and its living descendants."""
    parents = {}
    for path in Path("/proc").iterdir():
        if path.name.isdigit():
            try:
                parents[int(path.name)] = int(_fields(int(path.name))[1])
            except OSError:
                continue
    found = [pid]
    for one in found:  # grows while it is read
        found += [child for child, parent in parents.items() if parent == one]
    return found


def _fields(pid: int) -> list[str]:
    """Of /proc/PID/stat, what follows the name: state, parent, …"""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
