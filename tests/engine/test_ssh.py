"""SSH against a real OpenSSH server: what is sent, and which keys are trusted."""

import hashlib
import os
import subprocess
import time

import pytest

from deployer.engine import ssh
from deployer.engine.errors import (
    KeyChanged,
    NotTrusted,
)
from deployer.engine.ssh import connect, fetch_host_key, fingerprint
from tests.lab.busy import within
from tests.lab.relay import Relay
from tests.lab.sshd import Sshd

from .ssh_client import collect, endpoint_of, make_key
from .words import said

# --- commands ---------------------------------------------------------------------------------------------------------


def test_command_streams_and_exit_status(sshd):
    with connect(endpoint_of(sshd)) as connection:
        channel = connection.run("cat; echo trouble >&2; exit 7")
        assert collect(channel, b"hello " * 50_000) == (b"hello " * 50_000, b"trouble\n")
        assert channel.exit_status == 7


def test_signalled_command_has_exit_status(sshd):
    with connect(endpoint_of(sshd)) as connection:
        channel = connection.run("kill -9 $$")
        collect(channel)
        assert channel.exit_status == 137
        assert connection.alive


def test_concurrent_commands_share_connection(sshd):
    with connect(endpoint_of(sshd)) as connection:
        slow, quick = connection.run("sleep 0.5; echo slow"), connection.run("echo quick")
        assert collect(quick)[0] == b"quick\n"
        assert not slow.ended
        assert collect(slow)[0] == b"slow\n"
    assert len(sshd.log().split("Accepted publickey")) == 2


def test_silent_command_times_out(sshd):
    with connect(endpoint_of(sshd)) as connection:
        channel = connection.run("sleep 20")
        start = time.monotonic()
        while time.monotonic() < start + 0.5:
            assert channel.read(0.2) == (b"", b"")
        assert time.monotonic() - start < within(1)
        assert channel.exit_status is None


def test_large_output_uses_bounded_memory(sshd):
    command = "head -c 100000000 /dev/zero & head -c 100000000 /dev/zero >&2; wait"
    with connect(endpoint_of(sshd)) as connection:
        channel = connection.run(command)
        before, sizes, peak = resident(), [0, 0], 0
        while not channel.ended:
            out, err = channel.read(5)
            sizes = [sizes[0] + len(out), sizes[1] + len(err)]
            peak = max(peak, resident())
    assert sizes == [100_000_000, 100_000_000]
    assert peak - before < 60_000_000


def resident() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")


def test_unread_output_is_kept(sshd):
    with connect(endpoint_of(sshd)) as connection:
        channel = connection.run("head -c 6000000 /dev/zero; head -c 3000000 /dev/zero >&2; exit 3")
        time.sleep(0.7)
        before = resident()
        out, err = collect(channel)
        assert (len(out), len(err), channel.exit_status) == (6_000_000, 3_000_000, 3)
        assert before < 1_000_000_000


def test_input_follows_command(sshd):
    with connect(endpoint_of(sshd)) as connection:
        channel = connection.run("sleep 1; exit 4")
        sent = 0
        while not channel.ended:
            sent += channel.send(bytes(1 << 15))
            channel.read(0.01)
        assert channel.exit_status == 4
        assert sent < 4_000_000


def test_rekey_during_transfer_is_harmless(sshd, monkeypatch):
    monkeypatch.setattr(ssh.transport.BoundedPacketizer, "REKEY_BYTES", 1 << 21)
    data = os.urandom(5_000_000)
    with connect(endpoint_of(sshd)) as connection:
        assert collect(connection.run("sha256sum"), data)[0].split()[0].decode() == hashlib.sha256(data).hexdigest()


# --- trusted keys -----------------------------------------------------------------------------------------------------


def plain_messages(sent: bytes) -> list[int]:
    """Return the types of the packets after the banner, as long as they are not encrypted."""
    _, _, rest = sent.partition(b"\r\n")
    types = []
    while rest:
        size = int.from_bytes(rest[:4], "big")
        types.append(rest[5])
        rest = rest[4 + size :]
    return types


def test_host_with_changed_key_gets_nothing(sshd, tmp_path):
    other = make_key(tmp_path / "other", "ed25519")[1].rsplit(" ", 1)[0]
    with Relay(sshd.address, sshd.port) as relay:
        endpoint = endpoint_of(sshd, address=relay.address, port=relay.port, host_key=other)
        with pytest.raises(KeyChanged) as caught:
            connect(endpoint)
        key_exchange_only = [20, 30]  # KEXINIT and ECDH_INIT; no NEWKEYS, no log-in
        assert plain_messages(relay.first_bytes) == key_exchange_only
    assert fingerprint(other) in said(caught.value)
    assert fingerprint(sshd.host_key) in said(caught.value)
    assert caught.value.offered == sshd.host_key
    assert sshd.username + " from" not in sshd.log()


def test_missing_pinned_key_type_is_not_trusted(sshd, tmp_path):
    other = make_key(tmp_path / "other", "rsa")[1].rsplit(" ", 1)[0]
    with pytest.raises(KeyChanged, match="another_key_type"):
        connect(endpoint_of(sshd, host_key=other))


@pytest.mark.parametrize("host_key", ["", "ssh-ed25519", "ssh-ed25519 !!!", "ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAIA=="])
def test_host_without_pinned_key_is_not_connected_to(sshd, host_key):
    with Relay(sshd.address, sshd.port) as relay:
        with pytest.raises(NotTrusted):
            connect(endpoint_of(sshd, address=relay.address, port=relay.port, host_key=host_key))
        assert relay.connections == 0


def test_asks_for_pinned_key_type(tmp_path):
    _, public = make_key(tmp_path / "second", "rsa")
    with Sshd(tmp_path / "host", extra=f"HostKey {tmp_path / 'second'}") as host:
        for host_key in (host.host_key, public):
            with connect(endpoint_of(host, host_key=host_key)) as connection:
                assert collect(connection.run("echo in"))[0] == b"in\n"


def test_fetching_host_key_sends_nothing_else(sshd):
    with Relay(sshd.address, sshd.port) as relay:
        assert fetch_host_key(relay.address, relay.port, 5) == sshd.host_key
        assert plain_messages(relay.first_bytes) == [20, 30]


def test_fingerprint_matches_ssh_keygen(sshd):
    printed = subprocess.run(["ssh-keygen", "-lf", sshd.folder / "host_key.pub"], capture_output=True, text=True)
    assert fingerprint(sshd.host_key) in printed.stdout.split()
