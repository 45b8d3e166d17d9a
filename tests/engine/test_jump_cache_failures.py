"""Where a package cannot be fetched from the jump host, it is sent over the connection."""

import io
import os
import re
import signal
import socket
import threading
import time
from dataclasses import replace

import pytest

from deployer.engine.journal import Kind
from deployer.engine.jump_cache import client as copies
from deployer.engine.run import OutcomeKind
from deployer.engine.ssh import USUAL
from tests.engine.site import Watching
from tests.lab.network import wait_until
from tests.storm.places import SmallDisk

from .jump_network import HeldRequest, Network, note
from .words import said


def upload_reason(network, **options):
    """Deploy; return why the package was sent over the connection after all, in the journal's words."""
    outcome, watch = network.deploy(**options)
    assert (outcome.kind, watch.bytes_sent) == (OutcomeKind.DONE, len(network.data)), outcome
    assert (network.hosts[0].folder / "releases/2.0/version").read_text() == "2.0"
    return note(watch)


def test_jump_host_without_python_serves_nothing(tmp_path):
    with Network(tmp_path, 1, f"PATH={tmp_path}/none") as network:
        assert "did not serve it: it has no python3" in upload_reason(network)


def test_taken_port_is_left_alone(network):
    with socket.create_server((network.jump.address, network.port), reuse_port=True):
        assert "its port" in (reason := upload_reason(network)) and "is in use" in reason


def test_unwritable_cache_folder_is_reported(network):
    network.cache.write_text("in the way")
    assert "its folder" in upload_reason(network)


def test_folder_of_other_user_is_not_used(network):
    network.cache.mkdir()
    (network.cache / "deployment-packages").symlink_to(network.cache)
    assert "belongs to another user" in upload_reason(network)


@pytest.fixture
def disk(network):
    found = SmallDisk(network.cache, kilobytes=80 << 10)
    yield found
    found.end()


def test_full_disk_of_jump_host_is_reported(network, disk):
    assert disk.made, "these tests run as root, in a container that may mount"
    disk.fill(1 << 20)
    assert re.search("its disk has only . MiB left", upload_reason(network))
    disk.empty()
    copies._caches.clear()
    network.forget()

    class Filling(io.BytesIO):
        def read(self, size=-1):
            disk.fill(1 << 16)
            return super().read(size)

    assert "its disk is full" in upload_reason(
        network, package=replace(network.package(), open=lambda: Filling(network.data))
    )
    assert not list(network.folder.glob("*.part"))


def test_read_only_disk_of_jump_host_is_reported(network, disk):
    disk.read_only()
    assert "read-only" in upload_reason(network)


@pytest.mark.parametrize("damage", ["another", "short", "endless", "gone"])
def test_wrong_fetched_package_falls_back_to_upload(network, damage):
    with HeldRequest(network) as (copy, answer):
        assert answer()
        path = network.folder / network.package().sha256
        noise = {"another": network.data[:-1] + b"x", "short": network.data[:-9], "endless": network.data * 9}
        path.unlink()
        if damage in noise:
            path.write_bytes(noise[damage])
        copies._caches[network.endpoint(0).jump] = copy._cache
        assert "not fetched from the jump host" in upload_reason(network)


def test_damaged_copy_is_not_served(network):
    network.deploy()
    wait_until(lambda: not network.servers())
    (network.folder / network.copies[0]).write_bytes(b"x" * len(network.data))
    network.forget()
    assert note(network.deploy()[1]) == "fetched from the jump host"


def test_stalled_server_falls_back_to_upload(network, monkeypatch):
    monkeypatch.setattr(copies, "STALLED", 2)
    with HeldRequest(network) as (copy, answer):
        assert answer()
        copies._caches[network.endpoint(0).jump] = copy._cache
        (server,) = network.servers()
        os.kill(server, signal.SIGSTOP)
        try:
            assert "nothing more arrived" in upload_reason(network)
        finally:
            os.kill(server, signal.SIGCONT)


def test_damaged_stored_package_is_reported(network):
    outcome, _ = network.deploy(package=network.package(network.data[:-20]))
    assert outcome.kind is OutcomeKind.NOT_STARTED and "damaged" in said(outcome)
    assert not network.copies


def test_dead_server_is_replaced(network, monkeypatch):
    monkeypatch.setattr(copies, "AGAIN", 0.0)
    with HeldRequest(network) as (copy, answer):
        assert answer()
        os.kill(network.servers()[0], signal.SIGKILL)
        wait_until(lambda: not copy._cache.answer(network.package().sha256), what="an answer that no longer counts")
    assert note(network.deploy()[1]) == "fetched from the jump host"


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
