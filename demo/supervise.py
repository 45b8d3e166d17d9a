"""Keeps a set of processes running, and ends all of them: what a service manager does, for one terminal.

`restart_delay` decides; `Supervisor` acts. Every process below it ends with it, also what the demo's hosts
left running.
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
_prctl = getattr(ctypes.CDLL(None), "prctl", None)  # found before any fork; not Linux: then there is none
TICK = 0.1  # seconds between two looks at the children
SLOWEST_RESTART = 1.5  # a part that dies is back within 2 s, however often it has died


@dataclass(frozen=True)
class Part:
    """A process that is always running."""

    name: str
    command: list[str]
    environment: dict[str, str]
    log: Path
    folder: Path
    before: Callable[[], None] | None = None  # clears the way for a start: a dead process's socket, say


@dataclass
class _Running:
    part: Part
    process: subprocess.Popen | None = None
    deaths: list[float] = field(default_factory=list)
    due: float = 0.0


def restart_delay(deaths: list[float], now: float) -> float:
    """Seconds to wait before the next start: none after a first death, more when deaths follow each other."""
    recent = sum(1 for death in deaths if now - death < 10)
    return 0.0 if recent <= 1 else min(SLOWEST_RESTART, 0.25 * 2 ** (recent - 2))


def end_with_parent() -> None:
    """Asks the kernel to send TERM to this process when the thread that started it ends."""
    if _prctl is not None:
        _prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


class Supervisor:
    """Starts parts, starts them again when they die, runs jobs to their end, and ends everything by process id."""

    def __init__(self, say: Callable[[str], None] = print):
        self._say = say
        self._parts: list[_Running] = []
        self._jobs: dict[int, tuple[threading.Event, list[int]]] = {}
        self._lock = threading.RLock()
        self.stopping = threading.Event()
        # What a host's commands leave behind becomes our child, not init's: so it can be found and reaped.
        if _prctl is not None:
            _prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)

    def start(self, part: Part) -> None:
        """Has the part started by the watching thread: a child started by a thread that ends would end with it."""
        with self._lock:
            self._parts.append(_Running(part))

    def job(self, command: list[str], environment: dict[str, str], folder: Path, log: Path) -> int:
        """Runs a command to its end in the calling thread (never the watching one). Returns its exit status."""
        done, status = threading.Event(), [1]
        with self._lock:  # held until the job is known, so that the reaper cannot meet it before that
            if self.stopping.is_set():
                return 1
            process = _spawn(command, environment, folder, log)
            self._jobs[process.pid] = (done, status)
        done.wait()
        process.returncode = status[0]  # it was reaped by number; Popen need not look for it
        return status[0]

    def pids(self) -> dict[str, int]:
        with self._lock:
            return {one.part.name: one.process.pid for one in self._parts if one.process}

    def watch(self) -> None:
        """Reaps and restarts until `stopping` is set."""
        while not self.stopping.wait(TICK):
            self.tick(time.monotonic())

    def tick(self, now: float) -> None:
        with self._lock:
            for pid, status in _reaped():
                self._gone(pid, status, now)
            for running in self._parts:
                if running.process is None and now >= running.due:
                    _launch(running)

    def end(self, seconds: float = 8) -> None:
        """TERM to every part, the last started first; after `seconds` KILL to whatever is left below us."""
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
            for _ in range(100):  # again, because something may have been forking while it was looked for
                self._living()
                left = below(os.getpid())
                if not left:
                    break
                for pid in left:
                    _signal(pid, signal.SIGKILL)
                time.sleep(0.02)

    def _living(self) -> bool:
        """Reaps; whether a part or a job still runs. Nothing is started again."""
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
                _end_group(pid)  # a web process's children would hold its port
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
            start_new_session=True,  # Ctrl-C in the terminal is for us alone: we end our children in order
            preexec_fn=end_with_parent,
        )


def _reaped() -> list[tuple[int, int]]:
    """Every child that has ended since last time, adopted ones too: (pid, exit status, negative for a signal)."""
    found: list[tuple[int, int]] = []
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return found
        if pid == 0:
            return found
        found.append((pid, os.waitstatus_to_exitcode(status)))


def below(pid: int) -> list[int]:
    """Living processes below `pid`, from /proc."""
    parents: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                state, parent = Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()[:2]
            except (OSError, ValueError):
                continue
            if state not in "ZX":
                parents.setdefault(int(parent), []).append(int(name))
    found, level = [], [pid]
    while level:
        level = [child for one in level for child in parents.get(one, [])]
        found += level
    return found


def _signal(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


def _end_group(pid: int) -> None:
    """Kills what is left of the process group that `pid` led. Commands on hosts have sessions of their own."""
    try:
        os.killpg(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass


def _words(status: int) -> str:
    return f"signal {-status}" if status < 0 else f"exit status {status}"
