"""A jump host with its cache, hosts behind it, and requests for a copy."""

import hashlib
import io
import socket
import subprocess
import threading
import time
from dataclasses import replace
from pathlib import Path

from deployer.engine.journal import Kind
from deployer.engine.jump_cache import client as copies
from deployer.engine.run import OutcomeKind, Package, carry_out
from deployer.engine.ssh import Endpoint
from tests.engine.host import Host, package
from tests.engine.site import QUICK, Watching
from tests.lab import processes
from tests.lab.network import free_port, wait_until
from tests.lab.relay import Relay
from tests.lab.sshd import Sshd

from .words import said

MIB = 1 << 20


class Network:
    """A jump host, the line to it, and hosts behind it. `tools`: a folder that is all of the hosts' PATH."""

    def __init__(self, folder: Path, hosts: int, variables: str = "", tools: Path | str = ""):
        self.cache = folder / "cache"
        self.jump = Sshd(folder / "jump", extra=f"SetEnv XDG_CACHE_HOME={self.cache} {variables}")
        extra = f"SetEnv PATH={tools}" if tools else ""
        self.sshds = [Sshd(folder / f"host{number}", extra=extra) for number in range(hosts)]
        self.hosts = [Host(sshd.root) for sshd in self.sshds]
        self.port = free_port(self.jump.address)
        self.data = package("2.0", size=MIB)  # hexadecimal noise: about as large when it is packed

    def __enter__(self):
        for sshd in (self.jump, *self.sshds):
            sshd.start()
        self.line = Relay(self.jump.address, self.jump.port).__enter__()
        return self

    def __exit__(self, *_):
        self.line.__exit__()
        for sshd in (*self.sshds, self.jump):
            sshd.__exit__()

    @property
    def crossed(self) -> int:
        """Bytes that went over the line to the jump host."""
        return sum(self.line.from_us)

    @property
    def folder(self) -> Path:
        return self.cache / "deployment-packages" / str(self.port)

    @property
    def copies(self) -> list[str]:
        return [path.name for path in self.folder.glob("*") if len(path.name) == 64]

    def servers(self) -> list[int]:
        """Return the processes that hold its lock, which is a descriptor that no other program inherits."""
        return processes.using(self.folder)

    def endpoint(self, number: int, **jump) -> Endpoint:
        to, host = self.jump, self.sshds[number]
        known = {"username": to.username, "host_key": to.host_key, "key": to.client_key, "package_port": self.port}
        # Known to us as the relay, to the hosts behind it by its own address.
        way = Endpoint(self.line.address, self.line.port, package_address=to.address, **known)
        known = {"username": host.username, "host_key": host.host_key, "key": host.client_key}
        return Endpoint(host.address, host.port, jump=replace(way, **jump), **known)

    def package(self, data: bytes | None = None) -> Package:
        sha256 = hashlib.sha256(self.data).hexdigest()
        return Package(sha256, len(self.data), lambda: io.BytesIO(self.data if data is None else data))

    def deploy(self, number: int = 0, watch=None, package=None, limits=QUICK, sudo=False, **jump):
        host = self.hosts[number]
        host.packages["2.0"] = self.data
        watch = watch or Watching()
        run = host.run("install", None, "2.0")
        endpoint = self.endpoint(number, **jump)
        return carry_out(run, endpoint, sudo, package or self.package(), watch, fresh=True, limits=limits), watch

    def deploy_all(self, **jump) -> list:
        """To all hosts at once; their watches."""
        found = [None] * len(self.hosts)

        def one(number):
            outcome, watch = self.deploy(number, **jump)
            assert (outcome.kind, self.hosts[number].running) == (OutcomeKind.DONE, "2.0"), outcome
            found[number] = watch

        threads = [threading.Thread(target=one, args=(number,)) for number in range(len(self.hosts))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert all(found)
        return found

    def forget(self) -> None:
        """As if the service had never been on the hosts."""
        for host in self.hosts:
            subprocess.run(["rm", "-rf", host.folder], check=True)


def note(watch) -> str:
    """Return what the journal says about how the package arrived."""
    return next(said(event) for event in watch.told if event.kind is Kind.DONE and event.step == "upload")


class HeldRequest:
    """A worker's request for the copy, held open. Enters as (the request, a function that waits for its answer)."""

    def __init__(self, network, slow: float = 0.0):
        self._copy = copies.CacheRequest(
            copies.JumpCache(network.endpoint(0).jump, QUICK), package := network.package()
        )
        data = network.data

        class Slow(io.BytesIO):
            def read(self, size=-1):
                time.sleep(slow)
                return super().read(size)

        self._copy._package = replace(package, open=lambda: Slow(data))

    def __enter__(self):
        self._copy.want()
        return self._copy, self.answer

    def answer(self) -> bytes:
        return wait_until(lambda: (line := self._copy.line()) != copies.WAIT and line, what="an answer")

    def __exit__(self, *_):
        self._copy.close()


def fetch(network, line: bytes, name: str = "", version: bytes = b"") -> bytes:
    """Return what the server answers to a request as a host makes it."""
    _, address, port, token = line.decode().split()
    name = name or network.package().sha256
    with socket.create_connection((address, int(port)), 5) as asking:
        asking.sendall(f"GET /{token}/{name}".encode() + version + b"\r\n" + b"\r\n" * bool(version))
        return b"".join(iter(lambda: asking.recv(65536), b""))
