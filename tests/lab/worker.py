"""Real worker processes: `celery -A deployer worker`, started and killed by a test."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from . import processes
from .network import wait_until

ROOT = Path(__file__).resolve().parents[2]


class Process:
    """A child with its output in a file: started, frozen, thawed, ended or killed by its id."""

    def __init__(self, command: list[str], environment: dict[str, str], log: Path):
        self.command, self.environment, self.log_path = command, environment, Path(log)
        self.process: subprocess.Popen | None = None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()

    @property
    def pid(self) -> int:
        assert self.process is not None, "this process was not started"
        return self.process.pid

    def start(self) -> None:
        with self.log_path.open("a") as log:
            self.process = subprocess.Popen(
                self.command, env=self.environment, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def stop(self, seconds: float = 10) -> None:
        if self.process is not None:
            processes.end(self.process, seconds)
            self.process = None

    def kill(self) -> None:
        """SIGKILL to it and to whatever it started."""
        if self.process is not None:
            below = processes.descendants(self.process.pid)
            self.process.kill()
            for pid in below:
                processes.kill(pid)
            self.process.wait()
            self.process = None

    def freeze(self) -> None:
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def log(self) -> str:
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def wait_for(self, text: str, seconds: float = 30) -> None:
        """Return once the log holds `text`."""

        def seen() -> bool:
            if not self.running():
                raise RuntimeError(f"{self.command} ended before it wrote {text!r}:\n{self.log()}")
            return text in self.log()

        wait_until(seen, seconds, f"{text!r} in the log")


class Worker(Process):
    """One worker process. `slots` operations at a time; `environment` as the `environment` fixture gives it."""

    READY = " ready."  # what Celery writes once it listens to its broker
    WORKING = "this worker carries out what is due"  # what a worker writes with or without one

    def __init__(self, environment: dict[str, str], log: Path, *, slots: int = 8, name: str = "", sign: str = READY):
        self.sign = sign
        self.name = name or f"test-{os.getpid()}-{time.monotonic_ns()}"
        command = [
            sys.executable,
            "-m",
            "celery",
            "-A",
            "deployer",
            "worker",
            "--loglevel",
            "INFO",
            "--hostname",
            f"{self.name}@%h",
            "--without-gossip",
            "--without-mingle",
        ]
        super().__init__(command, {**environment, "WORKER_CONCURRENCY": str(slots)}, log)

    def start(self) -> None:
        seen = self.log().count(self.sign)
        super().start()
        wait_until(lambda: self.log().count(self.sign) > seen or not self.running(), 90, "the worker being ready")
        if not self.running():
            raise RuntimeError(f"the worker did not start:\n{self.log()}")
