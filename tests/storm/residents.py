"""The processes of the product, kept alive while a storm kills them: as a service manager does, within 2 s."""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

from demo.supervise import below, end_with_parent
from tests.lab import postgres

ROOT = Path(__file__).resolve().parents[2]
LOOK = 0.1  # seconds between two looks at the processes
RESTART = 0.4  # seconds from a death to the next start


class Resident:
    """One process that is always there. `deaths` are the ids of those that were."""

    def __init__(
        self,
        name: str,
        command: list[str],
        environment: dict[str, str],
        log: Path,
        clear: Callable[[], None] | None = None,
    ):
        self.name, self.command, self.environment, self.log, self.clear = name, command, environment, log, clear
        self.process: subprocess.Popen | None = None
        self.stopped = False  # by SIGSTOP, by the storm
        self.born = 0.0
        self.due = 0.0
        self.kept_down = False
        self.options: dict = {"cwd": ROOT}

    @property
    def pid(self) -> int:
        return self.process.pid if self.process else 0

    def start(self) -> None:
        if self.clear:
            self.clear()
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=end_with_parent,
                **self.options,
            )
        self.born, self.stopped = time.monotonic(), False

    def signal(self, number: int) -> bool:
        """To the process alone. False: it is not there."""
        if self.process is None or self.process.poll() is not None:
            return False
        self.process.send_signal(number)
        if number in (signal.SIGSTOP, signal.SIGCONT):
            self.stopped = number == signal.SIGSTOP
        return True

    def kill_all(self) -> bool:
        """SIGKILL to it and to whatever it started in its own session (a web process's children, a server's)."""
        if self.process is None or self.process.poll() is not None:
            return False
        for pid in [self.pid, *below(self.pid)]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        return True


class Residents:
    """Starts all, watches them from one thread that outlives them, and starts the dead again."""

    def __init__(self, died: Callable[[Resident, int], None]):
        self.all: list[Resident] = []
        self._died = died
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._watch, name="residents", daemon=True)
        self._thread.start()

    def add(self, resident: Resident) -> Resident:
        with self._lock:
            self.all.append(resident)
        return resident

    def _watch(self) -> None:
        while not self._over.wait(LOOK):
            with self._lock:
                for one in self.all:
                    self._look_at(one)
        with self._lock:
            for one in reversed(self.all):
                if one.process is not None and one.process.poll() is None:
                    one.process.send_signal(signal.SIGCONT)
                    one.kill_all()
                    one.process.wait()

    def _look_at(self, one: Resident) -> None:
        now = time.monotonic()
        if one.process is not None and one.process.poll() is not None:
            pid, one.process = one.process.pid, None
            try:
                os.killpg(pid, signal.SIGKILL)  # what it left would hold its port
            except ProcessLookupError:
                pass
            one.due = now + RESTART
            self._died(one, pid)
        if one.process is None and now >= one.due and not one.kept_down:
            one.start()

    def end(self) -> None:
        self._over.set()
        self._thread.join(30)


class Database(postgres.Postgres):
    """A PostgreSQL server whose process is one of the residents: killed, and started again on the same data."""

    # What is committed must have left the process that is killed; losing the machine's own memory is not played here.
    settings = [*(setting for setting in postgres.FAST if "commit" not in setting), "synchronous_commit=on"]

    def as_resident(self, log: Path) -> Resident:
        assert self.process is not None and self.folder is not None
        one = Resident("database", [str(word) for word in self.process.args], dict(os.environ), log, self._clear)
        one.options = postgres._as(postgres._server_user(), self.folder)
        one.process, one.born = self.process, time.monotonic()
        return one

    def _clear(self) -> None:
        assert self.folder is not None
        (self.folder / "data" / "postmaster.pid").unlink(missing_ok=True)
