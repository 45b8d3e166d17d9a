"""Hosts behind a jump host fetch a package from it, so that it is sent to the jump host once."""

import ast
import hashlib
import os
import shutil
import signal
import socket
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from deployer.engine.jump_cache import client as copies
from deployer.engine.jump_cache import protocol
from deployer.engine.probe import TOOLS
from deployer.engine.run import OutcomeKind, carry_out
from deployer.engine.ssh import Endpoint
from tests.engine.site import QUICK, Watching
from tests.lab.network import wait_until
from tests.lab.sshd import Sshd

from .jump_network import HeldRequest, Network, fetch, note
from .ssh_client import check
from .words import warnings

SERVER = Path(protocol.__file__).with_name("server.py")


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
        # One farther away is not used: a host may not reach it.
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
    with HeldRequest(network, slow=0.3) as (first, answer), HeldRequest(network) as (_, other):
        assert answer() == other() != b""
        assert len(network.servers()) == 2
        assert network.crossed < 1.3 * len(network.data)
        first.close()
        wait_until(lambda: len(network.servers()) == 1, what="the end of the first one's server")
        assert fetch(network, other()) == network.data


def looked_at(endpoint, folder):
    found = check(endpoint, folder)
    assert found.ready, str(found.error)
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
        elsewhere = network.endpoint(0, package_address="192.0.2.1")  # no server has this address
        assert "cannot fetch packages from its jump host" in looked_at(elsewhere, tmp_path)[2]


def test_token_is_not_disclosed(network, tmp_path):
    with HeldRequest(network) as (copy, answer):
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
        wait_until(lambda: any(b"curl" in args for args in read_all("cmdline").values()), what="curl")
        shown = {**read_all("cmdline"), **read_all("environ")}
        assert len(shown) > 10 and not [where for where, text in shown.items() if token in text]
        os.kill(server, signal.SIGCONT)
        wait_until(lambda: found, 20)
    assert (found[0].kind, note(watch)) == (OutcomeKind.DONE, "fetched from the jump host")
    assert b"RELEASE=" in watch.data and token not in watch.data
    kept = [path for path in tmp_path.rglob("*") if path.is_file() and path != network.folder / "token"]
    assert len(kept) > 10 and not [path for path in kept if token in path.read_bytes()]
    assert token.decode() not in repr(watch.told)


def read_all(what: str) -> dict[str, bytes]:
    found = {}
    for path in Path("/proc").glob(f"[0-9]*/{what}"):
        try:
            found[str(path)] = path.read_bytes()
        except OSError:
            continue
    return found


def test_wrong_token_gets_nothing(network):
    with HeldRequest(network) as (_, answer):
        line = answer()
        wrong = b" ".join([*line.split()[:3], b"0" * 64])
        assert fetch(network, line) == network.data
        assert fetch(network, line, version=b" HTTP/1.1").partition(b"\r\n\r\n")[2] == network.data
        assert [fetch(network, wrong), fetch(network, line, "../token"), fetch(network, line, "lock")] == [b""] * 3
        assert b"404" in fetch(network, wrong, version=b" HTTP/1.0")
        assert oct(network.folder.stat().st_mode)[-3:] == "700"


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
        with HeldRequest(network) as (_, answer):
            assert answer()
            assert (old.exists(), copy.exists()) == (stays, True)
            assert not list(network.folder.glob("*.part"))
        wait_until(lambda: not network.servers())
