"""A real OpenSSH server for a test: one host, at a loopback address of its own, with its own folder and key."""

import getpass
import os
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

from demo import openssh

from . import processes
from .network import free_port, loopback_address, wait_for_port


class Sshd:
    """`with Sshd(folder) as host:` — listens at `host.address`:`host.port`, logs `host.username` in by key.

    `root` is the folder for base_path; `host_key` and `client_public` are "ssh-ed25519 AAAA…"; `client_key` is the
    private key's text. `extra` are lines for sshd_config. Everything it needs lies in `folder`.
    """

    def __init__(self, folder: Path, *, address: str | None = None, port: int | None = None, extra: str = ""):
        self.folder = Path(folder)
        self.address = address or loopback_address()
        self.port = port or free_port(self.address)
        self.username = getpass.getuser()
        self.root = self.folder / "root"
        self.root.mkdir(parents=True, exist_ok=True)
        self.client_key_path = self.folder / "client_key"
        self.client_public = openssh.make_key(self.client_key_path)
        self.client_key = self.client_key_path.read_text()
        self.host_key = openssh.make_key(self.folder / "host_key")
        self._command = openssh.prepare(self.folder, self.address, self.port, self.client_public, extra=extra)
        self._process: subprocess.Popen | None = None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()
        processes.end_using(self.root)

    @property
    def pid(self) -> int:
        assert self._process is not None, "this server was not started"
        return self._process.pid

    def start(self) -> None:
        # Without the test run's own variables: a host knows nothing of the machine that deploys to it.
        environment = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        nothing = subprocess.DEVNULL
        self._process = subprocess.Popen(self._command, env=environment, stdin=nothing, stdout=nothing, stderr=nothing)
        try:
            wait_for_port(self.address, self.port)
        except TimeoutError:
            self.stop()
            raise RuntimeError(f"sshd did not start: {self.log()}") from None

    def stop(self) -> None:
        """End the server and every connection. Commands live on, as they do on a host whose sshd is restarted."""
        if self._process is None:
            return
        connections = self.connections()
        processes.end(self._process)
        for pid in connections:
            processes.kill(pid)
        self._process = None

    def connections(self) -> list[int]:
        """Process ids of the server's connections (two for each where it runs as root)."""
        if self._process is None:
            return []
        found, level = [], [self._process.pid]
        while level:  # only sshd's own processes: below them are the commands, which are left alone
            level = [child for parent in level for child in processes.children(parent) if _is_sshd(child)]
            found += level
        return found

    def drop_connections(self) -> None:
        """Kills every connection, as if the host's sshd processes had crashed. The server goes on."""
        for pid in self.connections():
            processes.kill(pid)

    def freeze(self) -> None:
        """Stop the server and its connections where they stand: connected, and silent."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        for pid in [self.pid, *self.connections()]:
            with suppress(ProcessLookupError):  # a connection may end meanwhile
                os.kill(pid, number)

    def log(self) -> str:
        path = self.folder / "sshd.log"
        return path.read_text(errors="replace") if path.exists() else ""


def _is_sshd(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/comm").read_text().startswith("sshd")
    except OSError:
        return False
