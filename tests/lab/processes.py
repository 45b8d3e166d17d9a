"""Finding and ending processes by their id. Only what a test started itself is ever ended."""

import os
import signal
import subprocess
import time
from pathlib import Path


def end(process: subprocess.Popen, seconds: float = 10) -> None:
    """TERM, then KILL after `seconds`. Returns when the process is gone and reaped."""
    if process.poll() is None:
        process.send_signal(signal.SIGCONT)  # one that a test froze cannot end
        process.terminate()
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
    process.wait()


def kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def parent_of(pid: int) -> int | None:
    """Return the parent's id; None where there is no such process (any more)."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    return int(stat.rpartition(")")[2].split()[1])


def alive(pid: int) -> bool:
    """Return whether the process runs; one that ended and waits to be reaped does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


def command_line(pid: int) -> str:
    """Return its words; "" where there is no such process (any more)."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""


def children(pid: int) -> list[int]:
    return [other for other in _pids() if parent_of(other) == pid]


def descendants(pid: int) -> list[int]:
    """All processes below `pid`, nearest first."""
    found, level = [], [pid]
    while level:
        level = [child for parent in level for child in children(parent)]
        found += level
    return found


def using(folder: Path) -> list[int]:
    """Return the processes whose working directory, command line, open files or environment point into `folder`."""
    folder = Path(folder).resolve()
    return [pid for pid in _pids() if pid != os.getpid() and _uses(pid, str(folder))]


def end_using(folder: Path, seconds: float = 5) -> None:
    """Kills what a test's commands left running (a started service, say), found by the test's own folder."""
    deadline = time.monotonic() + seconds
    while (found := [pid for pid in using(folder) if alive(pid)]) and time.monotonic() < deadline:
        for pid in found:
            kill(pid)
        time.sleep(0.02)


def _pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _uses(pid: int, folder: str) -> bool:
    inside = (folder + "/").encode()
    proc = Path(f"/proc/{pid}")
    for file in ("cmdline", "environ"):
        try:
            if inside in (proc / file).read_bytes():
                return True
        except OSError:
            continue
    links = [proc / "cwd", *_open_files(proc)]
    for link in links:
        try:
            if (os.readlink(link) + "/").startswith(folder + "/"):
                return True
        except OSError:
            continue
    return False


def _open_files(proc: Path) -> list[Path]:
    try:
        return [proc / "fd" / name for name in os.listdir(proc / "fd")]
    except OSError:
        return []
