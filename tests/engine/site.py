"""A service on a real host, and a watch that holds the engine to its promises."""

import hashlib
import io
import threading
import time

from deployer.engine.journal import Kind
from deployer.engine.run import OutcomeKind, Package, carry_out
from deployer.engine.ssh import Endpoint, Limits
from tests.engine.host import Host
from tests.lab.network import wait_until
from tests.lab.sshd import Sshd

QUICK = Limits(connect=2, handshake=3, auth=3, keepalive=0.3, silence=1.5)


class Watching:
    """Records events and output, and checks that each comes once and in order."""

    def __init__(self, output_from: int = 0):
        self.told, self.data, self.start, self.bytes_sent = [], b"", output_from, 0
        self.cancel, self.leave = threading.Event(), threading.Event()
        self.polled: list[float] = []

    def events(self, seen):
        assert [event.seq for event in seen] == sorted({event.seq for event in seen})
        assert not self.told or self.told[-1].seq < seen[0].seq, "an event was told twice"
        self.told += seen

    def output(self, start, data):
        assert start == self.start + len(self.data), "output was lost or doubled"
        self.data += data

    def sent(self, count):
        self.bytes_sent += count

    def cancelled(self):
        return self.cancel.is_set()

    def lost(self):
        self.polled.append(time.monotonic())
        return self.leave.is_set()

    def steps(self, kind: Kind = Kind.DONE) -> list[str]:
        return [event.step for event in self.told if event.kind is kind]

    def until(self, kind: Kind, step: str = "") -> None:
        wait_until(lambda: any(event.kind is kind and event.step == step for event in self.told), what=f"{kind} {step}")


class Site:
    """A service on a real host: builds operations and carries them out."""

    def __init__(self, sshd: Sshd):
        self.sshd, self.host = sshd, Host(sshd.root)
        self.known: dict = {}  # what the endpoint is besides

    def endpoint(self, at=None, **other) -> Endpoint:
        at = at or self.sshd
        known = {"address": at.address, "port": at.port, "username": self.sshd.username}
        known |= {"host_key": self.sshd.host_key, "key": self.sshd.client_key} | self.known
        return Endpoint(**known | other)

    def package(self, version: str, data: bytes | None = None, **other) -> Package:
        whole = self.host.package(version)
        return Package(hashlib.sha256(whole).hexdigest(), len(whole), lambda: io.BytesIO(data or whole), **other)

    def carry_out(self, run, watch=None, *, at=None, package="usual", **options):
        watch = watch or Watching()
        if package == "usual":
            package = self.package(run.atom.new) if run.atom.new else None
        options = {"fresh": True, "patience": 20, "limits": QUICK} | options
        return carry_out(run, self.endpoint(at), False, package, watch, **options), watch

    def have(self, version: str) -> None:
        outcome, _ = self.carry_out(self.host.run("install", None, version))
        assert outcome.kind is OutcomeKind.DONE, outcome
        self.host.log.unlink()


def in_thread(call):
    result = []
    thread = threading.Thread(target=lambda: result.append(call()), daemon=True)
    thread.start()
    return thread, result
