"""Keep a set of processes running and end all of them: a service manager for one terminal.

`restart_delay` decides; `Supervisor` acts. Every descendant ends with it, also those that the demo's hosts left.
Why this is not honcho: docs/decisions/0053-own-demo-supervisor.md.
"""

import ctypes
import logging  # noqa: F401 - not used, but loaded before any thread forks: its hooks belong to both halves of a fork
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
_prctl = getattr(ctypes.CDLL(None), "prctl", None)  # looked up before any fork; Linux only
CHECK_INTERVAL = 0.1  # seconds
MAX_RESTART_DELAY = 1.5  # so that a process is back within 2 s, however often it has died


@dataclass(frozen=True)
class Part:
    """A process to keep running."""

    name: str
    command: list[str]
    environment: dict[str, str]
    log: Path
    folder: Path
    before: Callable[[], None] | None = None  # cleans up before a start, such as the socket of a dead process


@dataclass
class _Running:
    part: Part
    process: subprocess.Popen | None = None
    deaths: list[float] = field(default_factory=list)
    due: float = 0.0


def restart_delay(deaths: list[float], now: float) -> float:
    """Return the seconds before the next start: none after a first death, more after repeated ones."""
    recent = sum(1 for death in deaths if now - death < 10)
    return 0.0 if recent <= 1 else min(MAX_RESTART_DELAY, 0.25 * 2 ** (recent - 2))


def end_with_parent() -> None:
    """Ask the kernel to send TERM to this process when the thread that started it ends."""
    if _prctl is not None:
        _prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


class Supervisor:
    """Start processes, restart them when they die, run jobs, and end everything by process id."""

    def __init__(self, say: Callable[[str], None] = print):
        self._say = say
        self._parts: list[_Running] = []
        self._jobs: dict[int, tuple[threading.Event, list[int]]] = {}
        self._lock = threading.RLock()
        self.stopping = threading.Event()
        # Orphans of a host's commands become our children, not init's, so that they can be found and reaped.
        if _prctl is not None:
            _prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)

    def start(self, part: Part) -> None:
        """Let the watching thread start the part: a child ends with the thread that started it."""
        with self._lock:
            self._parts.append(_Running(part))

    def job(self, command: list[str], environment: dict[str, str], folder: Path, log: Path) -> int:
        """Run a command to its end. Return its exit status. Not for the watching thread."""
        done, status = threading.Event(), [1]
        with self._lock:  # until the job is registered, so that the reaper finds it
            if self.stopping.is_set():
                return 1
            process = _spawn(command, environment, folder, log)
            self._jobs[process.pid] = (done, status)
        done.wait()
        process.returncode = status[0]  # reaped by process id, not by Popen
        return status[0]

    def pids(self) -> dict[str, int]:
        with self._lock:
            return {running.part.name: running.process.pid for running in self._parts if running.process}

    def watch(self) -> None:
        """Reap and restart until `stopping` is set."""
        while not self.stopping.wait(CHECK_INTERVAL):
            self.tick(time.monotonic())

    def tick(self, now: float) -> None:
        with self._lock:
            for pid, status in _reaped():
                self._gone(pid, status, now)
            for running in self._parts:
                if running.process is None and now >= running.due:
                    _launch(running)

    def end(self, seconds: float = 8) -> None:
        """Send TERM to every part, the last started first, and after `seconds` KILL to all remaining descendants."""
        self.stopping.set()
        with self._lock:
            for running in reversed(self._parts):
                if running.process is not None:
                    _signal(running.process.pid, signal.SIGTERM)
            for pid in self._jobs:
                _signal(pid, signal.SIGTERM)
            deadline = time.monotonic() + seconds
            while self._living() and time.monotonic() < deadline:
                time.sleep(0.02)
            for _ in range(100):  # repeatedly: a process may have forked during the search
                self._living()
                left = below(os.getpid())
                if not left:
                    break
                for pid in left:
                    _signal(pid, signal.SIGKILL)
                time.sleep(0.02)

    def _living(self) -> bool:
        """Reap without restarting. Return whether a part or a job still runs."""
        for pid, status in _reaped():
            self._gone(pid, status, 0.0, quietly=True)
        return bool(self._jobs) or any(running.process for running in self._parts)

    def _gone(self, pid: int, status: int, now: float, quietly: bool = False) -> None:
        if pid in self._jobs:
            done, result = self._jobs.pop(pid)
            result[0] = status
            done.set()
            return
        for running in self._parts:
            if running.process is not None and running.process.pid == pid:
                running.process.returncode = status
                running.process = None
                _end_group(pid)  # children of a web process would keep its port
                running.deaths = [*running.deaths[-20:], now]
                running.due = now + restart_delay(running.deaths, now)
                if not quietly:
                    self._say(f"{running.part.name} ended ({_words(status)}); starting it again")


def _launch(running: _Running) -> None:
    part = running.part
    if part.before is not None:
        part.before()
    running.process = _spawn(part.command, part.environment, part.folder, part.log)


def _spawn(command: list[str], environment: dict[str, str], folder: Path, log: Path) -> subprocess.Popen:
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        return subprocess.Popen(
            command,
            env=environment,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,  # Ctrl-C reaches only the supervisor, which ends its children in order
            preexec_fn=end_with_parent,
        )


def _reaped() -> list[tuple[int, int]]:
    """Return (pid, exit status, negative for a signal) of every ended child, adopted ones included."""
    ended: list[tuple[int, int]] = []
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return ended
        if pid == 0:
            return ended
        ended.append((pid, os.waitstatus_to_exitcode(status)))


def below(pid: int) -> list[int]:
    """Return the living descendants of `pid`, from /proc."""
    parents: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                state, parent = Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()[:2]
            except (OSError, ValueError):
                continue
            if state not in "ZX":
                parents.setdefault(int(parent), []).append(int(name))
    descendants, level = [], [pid]
    while level:
        level = [child for ancestor in level for child in parents.get(ancestor, [])]
        descendants += level
    return descendants


def _signal(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


def _end_group(pid: int) -> None:
    """Kill the rest of the process group of `pid`. Commands on hosts have their own sessions."""
    try:
        os.killpg(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass


def _words(status: int) -> str:
    return f"signal {-status}" if status < 0 else f"exit status {status}"
