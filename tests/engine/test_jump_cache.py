"""Hosts behind a jump host fetch a package from it, so that it crosses the line to the jump host once."""

import ast
import hashlib
import io
import os
import re
import shutil
import signal
import socket
import subprocess
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from deployer.engine.journal import Kind
from deployer.engine.jump_cache import client as copies
from deployer.engine.jump_cache import protocol
from deployer.engine.probe import TOOLS, probe
from deployer.engine.run import OutcomeKind, Package, carry_out
from deployer.engine.ssh import USUAL, Endpoint
from tests.engine.host import Host, package
from tests.engine.test_run import QUICK, Watching
from tests.lab import processes
from tests.lab.network import free_port, wait_until
from tests.lab.relay import Relay
from tests.lab.sshd import Sshd
from tests.storm.places import SmallDisk

from .words import said, warnings

MIB = 1 << 20
SERVER = Path(protocol.__file__).with_name("server.py")


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
        """Processes that hold its lock, which is a descriptor that no other program inherits."""
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


@pytest.fixture
def network(tmp_path, request):
    with Network(tmp_path, getattr(request, "param", 1)) as found:
        yield found
    assert not copies._caches or all(not cache.users for cache in copies._caches.values())
    copies._caches.clear()  # what was refused counts for a while


def note(watch) -> str:
    """What the journal says of how the package came."""
    return next(said(event) for event in watch.told if event.kind is Kind.DONE and event.step == "upload")


# --- as it should go --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("network", [5], indirect=True)
def test_package_is_sent_to_jump_host_once(network):
    watches = network.deploy_all()
    size = len(network.data)
    assert size < network.crossed < 1.3 * size
    assert [(note(watch), watch.bytes_sent) for watch in watches] == [("fetched from the jump host", 0)] * 5
    assert all(not list(host.folder.glob("releases/*/.package")) for host in network.hosts)

    network.forget()
    network.deploy_all()
    assert network.crossed < 1.6 * size, "the copy was there, and was sent again"
    wait_until(lambda: not network.servers(), what="the end of the server on the jump host")

    network.forget()
    watches = network.deploy_all(package_port=0)
    assert network.crossed > 6 * size
    assert [(note(watch), watch.bytes_sent) for watch in watches] == [("", size)] * 5


def test_jump_host_starts_nothing_without_request(network):
    network.deploy(package_port=0)
    assert not network.cache.exists()
    outcome, _ = network.deploy()  # its release is there
    assert (outcome.kind, network.cache.exists()) == (OutcomeKind.DONE, False)


def test_nearest_jump_host_keeps_copy(network, tmp_path):
    with Sshd(tmp_path / "outer") as outer:
        known = {"username": outer.username, "host_key": outer.host_key, "key": outer.client_key}
        outer_way = Endpoint(outer.address, outer.port, **known)
        outcome, watch = network.deploy(jump=outer_way)
        assert (outcome.kind, note(watch)) == (OutcomeKind.DONE, "fetched from the jump host")
        network.forget()
        # One farther away is not asked: who knows whether a host can reach it.
        outcome, watch = network.deploy(package_port=0, jump=replace(outer_way, package_port=network.port))
        assert (outcome.kind, watch.bytes_sent) == (OutcomeKind.DONE, len(network.data))


def test_fetches_package_under_sudo(tmp_path):
    (bin := tmp_path / "bin").mkdir()
    # Like the real one it gives the program another process, and takes the environment away.
    (bin / "sudo").write_text('#!/bin/sh\nshift\nenv -i PATH="$PATH" "$@"\n')
    (bin / "sudo").chmod(0o755)
    with Network(tmp_path, 1, tools=f"{bin}:{os.environ['PATH']}") as network:
        outcome, watch = network.deploy(sudo=True)
        assert (outcome.kind, note(watch)) == (OutcomeKind.DONE, "fetched from the jump host")


@pytest.mark.parametrize("network", [2], indirect=True)
def test_workers_share_copy_port_and_token(network):
    """Each with a server of its own on the jump host; the first sends, the other waits for it."""
    with held(network, slow=0.3) as (first, answer), held(network) as (_, other):
        assert answer() == other() != b""
        assert len(network.servers()) == 2
        assert network.crossed < 1.3 * len(network.data)
        first.close()
        wait_until(lambda: len(network.servers()) == 1, what="the end of the first one's server")
        assert fetch(network, other()) == network.data


class held:
    """A worker's wish for the copy, held open: (the wish, what gives its answer once there is one)."""

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
    """What the server gives to whoever asks as a host does."""
    _, address, port, token = line.decode().split()
    name = name or network.package().sha256
    with socket.create_connection((address, int(port)), 5) as asking:
        asking.sendall(f"GET /{token}/{name}".encode() + version + b"\r\n" + b"\r\n" * bool(version))
        return b"".join(iter(lambda: asking.recv(65536), b""))


# --- where it cannot be fetched, the bytes follow ---------------------------------------------------------------------


def told(network, **options):
    """The journal's words for how the package came, where it came over the connection after all."""
    outcome, watch = network.deploy(**options)
    assert (outcome.kind, watch.bytes_sent) == (OutcomeKind.DONE, len(network.data)), outcome
    assert (network.hosts[0].folder / "releases/2.0/version").read_text() == "2.0"
    return note(watch)


def test_jump_host_without_python_serves_nothing(tmp_path):
    with Network(tmp_path, 1, f"PATH={tmp_path}/none") as network:
        assert "did not serve it: it has no python3" in told(network)


def test_taken_port_is_left_alone(network):
    with socket.create_server((network.jump.address, network.port), reuse_port=True):
        assert "its port" in (reason := told(network)) and "is in use" in reason


def test_unwritable_cache_folder_is_reported(network):
    network.cache.write_text("in the way")
    assert "its folder" in told(network)


def test_folder_of_other_user_is_not_used(network):
    network.cache.mkdir()
    (network.cache / "deployment-packages").symlink_to(network.cache)
    assert "belongs to another user" in told(network)


@pytest.fixture
def disk(network):
    found = SmallDisk(network.cache, kilobytes=80 << 10)
    yield found
    found.end()


def test_full_disk_of_jump_host_is_reported(network, disk):
    assert disk.made, "these tests run as root, in a container that may mount"
    disk.fill(1 << 20)
    assert re.search("its disk has only . MiB left", told(network))
    disk.empty()
    copies._caches.clear()
    network.forget()

    class Filling(io.BytesIO):
        def read(self, size=-1):
            disk.fill(1 << 16)
            return super().read(size)

    assert "its disk is full" in told(network, package=replace(network.package(), open=lambda: Filling(network.data)))
    assert not list(network.folder.glob("*.part"))


def test_read_only_disk_of_jump_host_is_reported(network, disk):
    disk.read_only()
    assert "read-only" in told(network)


@pytest.mark.parametrize("damage", ["another", "short", "endless", "gone"])
def test_wrong_fetched_package_falls_back_to_upload(network, damage):
    with held(network) as (copy, answer):
        assert answer()
        path = network.folder / network.package().sha256
        noise = {"another": network.data[:-1] + b"x", "short": network.data[:-9], "endless": network.data * 9}
        path.unlink()
        if damage in noise:
            path.write_bytes(noise[damage])
        copies._caches[network.endpoint(0).jump] = copy._cache
        assert "not fetched from the jump host" in told(network)


def test_damaged_copy_is_not_served(network):
    network.deploy()
    wait_until(lambda: not network.servers())
    (network.folder / network.copies[0]).write_bytes(b"x" * len(network.data))
    network.forget()
    assert note(network.deploy()[1]) == "fetched from the jump host"


def test_stalled_server_falls_back_to_upload(network, monkeypatch):
    monkeypatch.setattr(copies, "STALLED", 2)
    with held(network) as (copy, answer):
        assert answer()
        copies._caches[network.endpoint(0).jump] = copy._cache
        (server,) = network.servers()
        os.kill(server, signal.SIGSTOP)
        try:
            assert "nothing more arrived" in told(network)
        finally:
            os.kill(server, signal.SIGCONT)


def test_damaged_stored_package_is_reported(network):
    outcome, _ = network.deploy(package=network.package(network.data[:-20]))
    assert outcome.kind is OutcomeKind.NOT_STARTED and "damaged" in said(outcome)
    assert not network.copies


def test_dead_server_is_replaced(network, monkeypatch):
    monkeypatch.setattr(copies, "AGAIN", 0.0)
    with held(network) as (copy, answer):
        assert answer()
        os.kill(network.servers()[0], signal.SIGKILL)
        wait_until(lambda: not copy._cache.answer(network.package().sha256), what="an answer that no longer counts")
    assert note(network.deploy()[1]) == "fetched from the jump host"


# --- lines that are cut, and operations that are ----------------------------------------------------------------------


def test_cut_connection_leaves_no_partial_copy(network):
    network.line._cuts[:] = [400_000, 600_000]
    outcome, _ = network.deploy(limits=USUAL)
    assert (outcome.kind, network.hosts[0].running, network.line.cut_count) == (OutcomeKind.DONE, "2.0", 2)
    assert network.copies in ([], [network.package().sha256])
    wait_until(lambda: not network.servers())


def test_waiting_host_is_kept_alive_and_cancellable(network, monkeypatch):
    monkeypatch.setattr(copies, "ALIVE", 0.1)
    going = threading.Event()

    class Slow(io.BytesIO):
        def read(self, size=-1):
            going.wait(30)
            return super().read(size)

    def begin(watch):
        results = []
        stored = replace(network.package(), open=lambda: Slow(network.data))
        thread = threading.Thread(target=lambda: results.append(network.deploy(watch=watch, package=stored)))
        thread.start()
        watch.until(Kind.STARTED, "upload")
        time.sleep(1)
        return thread, results

    thread, results = begin(watch := Watching())
    watch.cancel.set()
    thread.join(20)
    assert (results[0][0].kind, network.hosts[0].running) == (OutcomeKind.CANCELLED, "")
    going.set()
    going.clear()
    thread, results = begin(watch := Watching())
    going.set()
    thread.join(20)
    assert (results[0][0].kind, note(watch)) == (OutcomeKind.DONE, "fetched from the jump host")


# --- the host check ---------------------------------------------------------------------------------------------------


def looked_at(endpoint, folder):
    found = probe(endpoint, str(folder), False)
    assert found.ready, found
    return found.serves_packages, found.uses_jump_packages, " ".join(warnings(found))


def test_host_check_tries_fetching(network, tmp_path):
    behind = network.endpoint(0)
    assert looked_at(behind.jump, tmp_path) == (True, None, "")
    assert looked_at(behind, tmp_path) == (None, True, "")
    assert looked_at(network.endpoint(0, package_port=0), tmp_path) == (None, None, "")
    wait_until(lambda: not network.servers(), what="the end of the server")
    with socket.create_server((network.jump.address, network.port)):
        assert looked_at(behind.jump, tmp_path)[0] is False
        reason = looked_at(behind, tmp_path)
        assert reason[1] is False and f"its port {network.port} is in use" in reason[2]


def test_host_check_reports_failed_fetch(tmp_path):
    (tools := tmp_path / "bin").mkdir()
    for tool in (*TOOLS, "id", "df", "sh", "grep", "kill"):
        (tools / tool).symlink_to(shutil.which(tool))
    with Network(tmp_path, 1, tools=tools) as network:
        assert looked_at(network.endpoint(0), tmp_path)[2].endswith("install curl, or GNU wget, or nc.")
        (tools / "curl").symlink_to(shutil.which("curl"))
        elsewhere = network.endpoint(0, package_address="192.0.2.1")  # of nobody
        assert "cannot fetch packages from its jump host" in looked_at(elsewhere, tmp_path)[2]


# --- the secret -------------------------------------------------------------------------------------------------------


def test_token_is_not_disclosed(network, tmp_path):
    with held(network) as (copy, answer):
        token = answer().split()[-1]
        copies._caches[network.endpoint(0).jump] = copy._cache
        (server,) = network.servers()
        os.kill(server, signal.SIGSTOP)  # the host's tool waits for it, so that there is time to look
        host, watch, found = network.hosts[0], Watching(), []
        host.packages["2.0"] = network.data
        run = host.run("install", None, "2.0", post="set; cat /proc/$$/environ; ls $SHARED/../.deployer")
        threading.Thread(
            target=lambda: found.append(
                carry_out(run, network.endpoint(0), False, network.package(), watch, fresh=True, limits=QUICK)
            )
        ).start()
        wait_until(lambda: any(b"curl" in args for args in everybody("cmdline").values()), what="curl")
        shown = {**everybody("cmdline"), **everybody("environ")}
        assert len(shown) > 10 and not [where for where, text in shown.items() if token in text]
        os.kill(server, signal.SIGCONT)
        wait_until(lambda: found, 20)
    assert (found[0].kind, note(watch)) == (OutcomeKind.DONE, "fetched from the jump host")
    assert b"RELEASE=" in watch.data and token not in watch.data
    kept = [path for path in tmp_path.rglob("*") if path.is_file() and path != network.folder / "token"]
    assert len(kept) > 10 and not [path for path in kept if token in path.read_bytes()]
    assert token.decode() not in repr(watch.told)


def everybody(what: str) -> dict[str, bytes]:
    found = {}
    for path in Path("/proc").glob(f"[0-9]*/{what}"):
        try:
            found[str(path)] = path.read_bytes()
        except OSError:
            continue
    return found


def test_wrong_token_gets_nothing(network):
    with held(network) as (_, answer):
        line = answer()
        wrong = b" ".join([*line.split()[:3], b"0" * 64])
        assert fetch(network, line) == network.data
        assert fetch(network, line, version=b" HTTP/1.1").partition(b"\r\n\r\n")[2] == network.data
        assert [fetch(network, wrong), fetch(network, line, "../token"), fetch(network, line, "lock")] == [b""] * 3
        assert b"404" in fetch(network, wrong, version=b" HTTP/1.0")
        assert oct(network.folder.stat().st_mode)[-3:] == "700"


# --- the server by itself ---------------------------------------------------------------------------------------------


def test_server_runs_on_old_python():
    ast.parse(SERVER.read_text(), feature_version=(3, 6))


def test_unused_copies_are_removed(network):
    network.deploy()
    wait_until(lambda: not network.servers())
    copy = network.folder / network.package().sha256
    for age, stays in ((80_000, True), (90_000, False)):
        old = network.folder / hashlib.sha256(str(age).encode()).hexdigest()
        old.write_bytes(b"of yesterday")
        os.utime(old, (time.time() - age, time.time() - age))
        (network.folder / "half.part").write_bytes(b"of a killed worker")
        with held(network) as (_, answer):
            assert answer()
            assert (old.exists(), copy.exists()) == (stays, True)
            assert not list(network.folder.glob("*.part"))
        wait_until(lambda: not network.servers())
