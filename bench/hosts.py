"""The hosts: loopback addresses, each with a folder, behind real OpenSSH servers without root."""

import copy
import getpass
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

from demo.network import choose_port
from demo.openssh import make_key, prepare

SERVICE = "app"
AT_ONCE = 16  # addresses that one sshd listens on at most: a limit of OpenSSH


def addresses(count: int) -> list[str]:
    return [f"127.0.1.{number}" for number in range(1, count + 1)]


class Hosts:
    """`count` hosts below `folder`. `start()` before use, `stop()` after it."""

    def __init__(self, folder: Path, count: int):
        self.root, self.addresses = folder / "hosts", addresses(count)
        self.port = choose_port(self.addresses[0])
        self.user = getpass.getuser()
        self.key, self.known = folder / "client_key", folder / "known_hosts"
        self._folder = folder
        self._servers: list[subprocess.Popen] = []

    def start(self) -> None:
        public = make_key(self.key)
        host_key = make_key(self._folder / "host_key")
        self.host_key = " ".join(host_key.split()[:2])
        self.known.write_text("".join(f"[{address}]:{self.port} {self.host_key}\n" for address in self.addresses))
        for address in self.addresses:
            (self.root / address / SERVICE).mkdir(parents=True)
        for at in range(0, len(self.addresses), AT_ONCE):
            first, *others = self.addresses[at : at + AT_ONCE]
            server = self._folder / f"sshd{at}"
            server.mkdir()
            for name in ("host_key", "host_key.pub"):
                shutil.copy(self._folder / name, server / name)
            lines = ["LogLevel ERROR", "MaxStartups 2000", "Subsystem sftp internal-sftp"]
            lines += [f"ListenAddress {other}:{self.port}" for other in others]
            # A home of its own, and empty: what this user's shell does at every log-in is not what is measured.
            lines.append(f"SetEnv HOME={server}")
            command = prepare(server, first, self.port, public, extra="\n".join(lines))
            self._servers.append(subprocess.Popen(command, stdin=subprocess.DEVNULL))
        for address in self.addresses:
            _wait_for(address, self.port)

    def stop(self) -> None:
        for server in self._servers:
            server.terminate()
        for server in self._servers:
            server.wait()

    def behind(self, port: int, root: Path) -> "Hosts":
        """Return the same hosts, reached at another port, with other folders."""
        there = copy.copy(self)
        there.port, there.root = port, root
        with self.known.open("a") as known:
            known.writelines(f"[{address}]:{port} {self.host_key}\n" for address in self.addresses)
        return there

    def pids(self) -> list[int]:
        return [server.pid for server in self._servers]

    def folder(self, address: str, of_product: bool) -> Path:
        """Return where a contestant deploys to: the product keeps a folder a service, the others use the host's own."""
        return self.root / address / SERVICE if of_product else self.root / address

    def clear(self) -> None:
        """Remove what contestants that keep no state have left. The product's files stay: it knows what is there."""
        for address in self.addresses:
            for entry in (self.root / address).iterdir():
                if entry.name != SERVICE:
                    entry.unlink() if entry.is_symlink() or entry.is_file() else shutil.rmtree(entry)

    def carrying(self, addresses: list[str], version: str, files: int, of_product: bool) -> int:
        """Count the hosts that carry the whole version, linked and started."""
        return sum(_carries(self.folder(address, of_product), version, files) for address in addresses)


def _carries(folder: Path, version: str, files: int) -> bool:
    release = folder / "releases" / version
    try:
        return (
            (folder / "current").resolve() == release.resolve()
            and (folder / "current" / "VERSION").read_text().strip() == version
            and (folder / "run" / "pid").read_text().strip().isdigit()
            and sum(len(names) for _, _, names in os.walk(release)) >= files
        )
    except OSError:
        return False


def _wait_for(address: str, port: int, seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection((address, port), 1).close()
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
