"""The processes of a build, read from /proc: their memory, and the unlinked files that they hold."""

import os
import signal
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class Process:
    pid: int
    parent: int
    threads: int
    resident: int  # bytes; shared pages count for each process


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
    return Process(pid, int(fields[1]), int(fields[17]), int(fields[21]) * _PAGE)


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


def end_marked(mark: str) -> None:
    """Kill the processes with this mark in their environment. Only for builds without a sandbox: easy to escape."""
    wanted = f"DEPLOYER_BUILD={mark}".encode()
    for _ in range(5):
        pids = [
            int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit() and _carries(entry, wanted)
        ]
        if not pids:
            return
        end(pids)


def _carries(process: Path, wanted: bytes) -> bool:
    try:
        return wanted in (process / "environ").read_bytes().split(b"\0")
    except OSError:
        return False
