"""The processes of a build, read from /proc: which they are, how much memory they hold, what files only they hold."""

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
    resident: int  # bytes; pages that processes share count in each


def below(top: int) -> list[Process]:
    """All descendants of a process and itself. Those of a process namespace stay below its first process for ever."""
    children: dict[int, list[Process]] = {}
    known: dict[int, Process] = {}
    for name in (path.name for path in Path("/proc").iterdir()):
        if name.isdigit() and (one := _read(int(name))):
            known[one.pid] = one
            children.setdefault(one.parent, []).append(one)
    found = [known[top]] if top in known else []
    for one in found:  # grows while it is walked
        found += children.get(one.pid, [])
    return found


def _read(pid: int) -> Process | None:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return Process(pid, int(fields[1]), int(fields[17]), int(fields[21]) * _PAGE)


def memory(processes: Iterable[Process]) -> int:
    """Bytes of all together, each shared page once. Slow: for when their sum is suspicious."""
    total = 0
    for one in processes:
        try:
            lines = Path(f"/proc/{one.pid}/smaps_rollup").read_text().splitlines()
        except OSError:
            total += one.resident
            continue
        total += sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
    return total


def unlinked(processes: Iterable[Process], device: int) -> tuple[int, int]:
    """(bytes on `device`, bytes elsewhere: in memory) of open files that have no name any more. No `du` sees them."""
    seen: dict[tuple[int, int], int] = {}
    for one in processes:
        try:
            for path in Path(f"/proc/{one.pid}/fd").iterdir():
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
    """Kills what carries a text in its environment. Only for builds without a sandbox: it is not hard to escape."""
    wanted = f"DEPLOYER_BUILD={mark}".encode()
    for _ in range(5):
        found = [int(one.name) for one in Path("/proc").iterdir() if one.name.isdigit() and _carries(one, wanted)]
        if not found:
            return
        end(found)


def _carries(process: Path, wanted: bytes) -> bool:
    try:
        return wanted in (process / "environ").read_bytes().split(b"\0")
    except OSError:
        return False
