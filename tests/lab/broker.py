"""A real Valkey server for a test, on a unix socket."""

import socket
import subprocess
from pathlib import Path
from urllib.parse import quote

from runtime import embedded_broker

from . import processes
from .network import wait_until


class Broker:
    """`with Broker(socket_path) as broker:` — `broker.url` is a BROKER_URL. Killed or frozen through `process`."""

    def __init__(self, path: Path):
        self.path = Path(path)
        self.url = f"redis+socket://{quote(str(self.path))}"
        self.process: subprocess.Popen | None = None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def start(self) -> None:
        self.path.unlink(missing_ok=True)
        self.process = subprocess.Popen(
            embedded_broker.command(self.path),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_until(self.answers, 10, "the broker's first answer")

    def stop(self) -> None:
        if self.process is not None:
            processes.end(self.process)
            self.process = None

    def kill(self) -> None:
        """SIGKILL: everything that was queued is lost."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def answers(self) -> bool:
        try:
            return self.ask("PING") == b"+PONG\r\n"
        except OSError:
            return False

    def empty(self) -> None:
        """Throws every message away."""
        self.ask("FLUSHALL")

    def ask(self, command: str) -> bytes:
        """One command in the protocol's inline form; its answer as it comes."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(5)
            connection.connect(str(self.path))
            connection.sendall(command.encode() + b"\r\n")
            return connection.recv(65536)
