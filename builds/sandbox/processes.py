"""The processes of a build, read from /proc: their memory, and the unlinked files that they hold."""

import os
import signal
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_PAGE = os.sysconf("SC_PAGE_SIZE")
MARK = "DEPLOYER_BUILD"  # the variable with a build's mark, where there is no sandbox


@dataclass(frozen=True, slots=True)
class Process:
    pid: int
    parent: int
    threads: int
    resident: int  # bytes; shared pages count for each process
    started: int  # ticks since boot: tells it from a later process with its id


def below(top: int) -> list[Process]:
    """Return a process and all its descendants. Processes of a PID namespace always stay below its first process."""
    children: dict[int, list[Process]] = {}
    known: dict[int, Process] = {}
    for name in (path.name for path in Path("/proc").iterdir()):
        if name.isdigit() and (process := _read(int(name))):
            known[process.pid] = process
            children.setdefault(process.parent, []).append(process)
    tree = [known[top]] if top in known else []
    for process in tree:  # grows during the loop
        tree += children.get(process.pid, [])
    return tree


def _read(pid: int) -> Process | None:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    if fields[0] in "ZX":  # gone, and only not reaped yet
        return None
    return Process(pid, int(fields[1]), int(fields[17]), int(fields[21]) * _PAGE, int(fields[19]))


def memory(processes: Iterable[Process]) -> int:
    """Return the bytes of all together, counting shared pages once. Slow: only if their sum exceeds the limit."""
    total = 0
    for process in processes:
        try:
            lines = Path(f"/proc/{process.pid}/smaps_rollup").read_text().splitlines()
        except OSError:
            total += process.resident
            continue
        total += sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
    return total


def unlinked(processes: Iterable[Process], device: int) -> tuple[int, int]:
    """Return (bytes on `device`, bytes in memory) of unlinked open files, which `du` does not see."""
    seen: dict[tuple[int, int], int] = {}
    for process in processes:
        try:
            for path in Path(f"/proc/{process.pid}/fd").iterdir():
                _count(path, seen)
        except OSError:
            continue
    disk = sum(size for (where, _), size in seen.items() if where == device)
    return disk, sum(seen.values()) - disk


def _count(path: Path, seen: dict[tuple[int, int], int]) -> None:
    try:
        about = path.stat()
    except OSError:
        return
    if about.st_nlink == 0:
        seen[about.st_dev, about.st_ino] = about.st_blocks * 512


def end(pids: Iterable[int]) -> None:
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            continue


def word_of(mark: str) -> str:
    """Return the argument that carries a mark."""
    return f"deployer-build:{mark}"


def end_marked(mark: str, timeout: float = 2.0) -> bool:
    """Kill the processes of a build, and everything below them. Return whether all are gone.

    Outside, the programs of a sandbox carry the mark as an argument, and whatever is inside ends with them. Without a
    sandbox all have it in their environment, which is easy to escape.
    """
    deadline = time.monotonic() + timeout
    known: set[tuple[int, int]] = set()
    while True:
        known |= {(one.pid, one.started) for top in _marked(mark) for one in below(top)}
        known = {(pid, started) for pid, started in known if (one := _read(pid)) and one.started == started}
        if not known:
            return True
        if time.monotonic() > deadline:
            return False
        end(pid for pid, _ in known)
        time.sleep(0.02)


def _marked(mark: str) -> list[int]:
    words = {"environ": f"{MARK}={mark}".encode(), "cmdline": word_of(mark).encode()}
    return [
        int(entry.name)
        for entry in Path("/proc").iterdir()
        if entry.name.isdigit() and any(_has(entry / name, word) for name, word in words.items())
    ]


def _has(file: Path, word: bytes) -> bool:
    try:
        return word in file.read_bytes().split(b"\0")
    except OSError:
        return False
