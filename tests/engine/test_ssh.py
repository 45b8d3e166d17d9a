"""The wire, against a real OpenSSH server: who is trusted, who is let in, and what travels."""
import dataclasses
import hashlib
import os
import socket
import subprocess
import threading
import time
import traceback

import paramiko
import pytest

from deployer.engine import ssh
from deployer.engine.errors import (
    AuthRefused,
    BadCredential,
    ConnectionLost,
    KeyChanged,
    NotTrusted,
    Refused,
    Unreachable,
)
from deployer.engine.ssh import Endpoint, Limits, connect, fetch_host_key, fingerprint
from tests.lab.relay import Relay
from tests.lab.sshd import Sshd

QUICK = Limits(connect=2, handshake=2, auth=2, keepalive=0.3, silence=1.5)


def endpoint_of(host, **other) -> Endpoint:
    known = {"address": host.address, "port": host.port, "username": host.username}
    return Endpoint(**known | {"host_key": host.host_key, "key": host.client_key} | other)


def collect(channel, given: bytes = b"", seconds: float = 30) -> tuple[bytes, bytes]:
    """Gives the input, reads both streams to the end."""
    end, out, err, rest = time.monotonic() + seconds, b"", b"", memoryview(given)
    while not channel.ended:
        assert time.monotonic() < end, "the command did not end"
        if rest:
            rest = rest[channel.send(rest[:1 << 16]):]
            if not rest:
                channel.finish_input()
        more = channel.read(0 if rest else 0.5)
        out, err = out + more[0], err + more[1]
    return out, err


def make_key(path, kind: str, passphrase: str = "") -> tuple[str, str]:
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", passphrase, "-f", path], check=True)
    return path.read_text(), path.with_suffix(".pub").read_text()


def let_in(host, public: str) -> None:
    with (host.folder / "authorized_keys").open("a") as file:
        file.write(public)


# --- commands ---------------------------------------------------------------------------------------------------------


def test_a_command_gets_its_input_and_gives_both_streams_and_its_exit_status(sshd):
    with connect(endpoint_of(sshd)) as connection:
        channel = connection.run("cat; echo trouble >&2; exit 7")
        assert collect(channel, b"hello " * 50_000) == (b"hello " * 50_000, b"trouble\n")
        assert channel.exit_status == 7


def test_a_command_that_a_signal_ended_has_an_exit_status(sshd):
    with connect(endpoint_of(sshd)) as connection:
        channel = connection.run("kill -9 $$")
        collect(channel)
        assert channel.exit_status == 137
        assert connection.alive


def test_several_commands_run_over_one_connection_at_once(sshd):
    with connect(endpoint_of(sshd)) as connection:
        slow, quick = connection.run("sleep 0.5; echo slow"), connection.run("echo quick")
        assert collect(quick)[0] == b"quick\n"
        assert not slow.ended
        assert collect(slow)[0] == b"slow\n"
    assert len(sshd.log().split("Accepted publickey")) == 2


def test_waiting_for_a_command_that_says_nothing_ends_in_time(sshd):
    with connect(endpoint_of(sshd)) as connection:
        channel = connection.run("sleep 20")
        start = time.monotonic()
        while time.monotonic() < start + 0.5:
            assert channel.read(0.2) == (b"", b"")
        assert time.monotonic() - start < 1
        assert channel.exit_status is None


def test_200_megabytes_on_both_streams_at_once_neither_block_nor_fill_memory(sshd):
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


def test_output_that_nobody_reads_yet_is_all_there_later_and_the_exit_status_with_it(sshd):
    with connect(endpoint_of(sshd)) as connection:
        channel = connection.run("head -c 6000000 /dev/zero; head -c 3000000 /dev/zero >&2; exit 3")
        time.sleep(0.7)
        before = resident()
        out, err = collect(channel)
        assert (len(out), len(err), channel.exit_status) == (6_000_000, 3_000_000, 3)
        assert before < 1_000_000_000


def test_input_stops_where_the_command_does_not_read_and_ends_where_it_has_ended(sshd):
    with connect(endpoint_of(sshd)) as connection:
        channel = connection.run("sleep 1; exit 4")
        sent = 0
        while not channel.ended:
            sent += channel.send(bytes(1 << 15))
            channel.read(0.01)
        assert channel.exit_status == 4
        assert sent < 4_000_000


def test_new_session_keys_in_the_middle_of_a_transfer_change_nothing(sshd, monkeypatch):
    monkeypatch.setattr(ssh._Packets, "REKEY_BYTES", 1 << 21)
    data = os.urandom(5_000_000)
    with connect(endpoint_of(sshd)) as connection:
        assert collect(connection.run("sha256sum"), data)[0].split()[0].decode() == hashlib.sha256(data).hexdigest()


# --- who is trusted ---------------------------------------------------------------------------------------------------


def plain_messages(sent: bytes) -> list[int]:
    """The types of the packets after the banner, as long as they are not encrypted."""
    _, _, rest = sent.partition(b"\r\n")
    types = []
    while rest:
        size = int.from_bytes(rest[:4], "big")
        types.append(rest[5])
        rest = rest[4 + size:]
    return types


def test_a_host_with_another_key_than_the_pinned_one_gets_nothing_after_the_key_exchange(sshd, tmp_path):
    other = make_key(tmp_path / "other", "ed25519")[1].rsplit(" ", 1)[0]
    with Relay(sshd.address, sshd.port) as relay:
        endpoint = endpoint_of(sshd, address=relay.address, port=relay.port, host_key=other)
        with pytest.raises(KeyChanged) as caught:
            connect(endpoint)
        key_exchange_only = [20, 30]  # KEXINIT and ECDH_INIT; no NEWKEYS, no log-in
        assert plain_messages(relay.first_bytes) == key_exchange_only
    assert fingerprint(other) in str(caught.value)
    assert fingerprint(sshd.host_key) in str(caught.value)
    assert caught.value.offered == sshd.host_key
    assert sshd.username + " from" not in sshd.log()


def test_a_host_that_no_longer_has_a_key_of_the_pinned_type_is_not_trusted(sshd, tmp_path):
    other = make_key(tmp_path / "other", "rsa")[1].rsplit(" ", 1)[0]
    with pytest.raises(KeyChanged, match="another type"):
        connect(endpoint_of(sshd, host_key=other))


@pytest.mark.parametrize("host_key", ["", "ssh-ed25519", "ssh-ed25519 !!!", "ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAIA=="])
def test_a_host_without_a_pinned_key_is_not_even_connected_to(sshd, host_key):
    with Relay(sshd.address, sshd.port) as relay:
        with pytest.raises(NotTrusted):
            connect(endpoint_of(sshd, address=relay.address, port=relay.port, host_key=host_key))
        assert relay.connections == 0


def test_of_a_host_with_several_keys_the_pinned_one_is_asked_for(tmp_path):
    _, public = make_key(tmp_path / "second", "rsa")
    with Sshd(tmp_path / "host", extra=f"HostKey {tmp_path / 'second'}") as host:
        for host_key in (host.host_key, public):
            with connect(endpoint_of(host, host_key=host_key)) as connection:
                assert collect(connection.run("echo in"))[0] == b"in\n"


def test_the_host_key_is_fetched_for_a_person_to_compare_and_nothing_is_sent_after_it(sshd):
    with Relay(sshd.address, sshd.port) as relay:
        assert fetch_host_key(relay.address, relay.port, 5) == sshd.host_key
        assert plain_messages(relay.first_bytes) == [20, 30]


def test_a_fingerprint_looks_as_ssh_keygen_prints_it(sshd):
    printed = subprocess.run(["ssh-keygen", "-lf", sshd.folder / "host_key.pub"], capture_output=True, text=True)
    assert fingerprint(sshd.host_key) in printed.stdout.split()


# --- who is let in ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
@pytest.mark.parametrize("passphrase", ["", "a long one"])
def test_each_kind_of_private_key_opens_the_door(sshd, tmp_path, kind, passphrase):
    private, public = make_key(tmp_path / "mine", kind, passphrase)
    let_in(sshd, public)
    with connect(endpoint_of(sshd, key=private, passphrase=passphrase)) as connection:
        assert collect(connection.run("echo in"))[0] == b"in\n"


def test_a_private_key_is_opened_once_a_process(sshd, tmp_path, monkeypatch):
    private, public = make_key(tmp_path / "mine", "ed25519", "slow to open")
    let_in(sshd, public)
    endpoint = endpoint_of(sshd, key=private, passphrase="slow to open")
    connect(endpoint).close()
    monkeypatch.setattr(ssh, "_parse", lambda *_: pytest.fail("opened again"))
    connect(endpoint).close()


def test_a_credential_that_cannot_be_used_is_told_before_anything_is_sent(sshd, tmp_path):
    private, _ = make_key(tmp_path / "mine", "ed25519", "right")
    broken = sshd.client_key.replace("b3BlbnNzaC1rZXktdjE", "b3BlbnNzaC1rZXktdjX")
    bad = [
        {"key": private}, {"key": private, "passphrase": "wrong"}, {"key": "no key at all"}, {"key": "\0"},
        {"key": broken}, {"key": ""}, {"key": private[:200]},
        {"key": "-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END"},
    ]
    with Relay(sshd.address, sshd.port) as relay:
        for fields in bad:
            with pytest.raises(BadCredential):
                connect(endpoint_of(sshd, address=relay.address, port=relay.port, **fields))
        assert relay.connections == 0


def test_a_key_that_the_host_does_not_know_is_refused_and_another_try_is_not_advised(sshd, tmp_path):
    private, _ = make_key(tmp_path / "mine", "ed25519")
    with pytest.raises(AuthRefused, match="did not let") as caught:
        connect(endpoint_of(sshd, key=private))
    assert not caught.value.passing


def test_a_password_is_refused_where_only_keys_are_accepted(tmp_path):
    only_keys = "PasswordAuthentication no\nKbdInteractiveAuthentication no"
    with Sshd(tmp_path / "host", extra=only_keys) as host, pytest.raises(AuthRefused, match="accepts only publickey"):
        connect(endpoint_of(host, key="", password="hunter2"))


class _PasswordServer(paramiko.ServerInterface):
    """OpenSSH takes passwords of the machine's own users only, and a test makes none; so this one is paramiko's."""

    def __init__(self, password: str):
        self.password, self.tried = password, []

    def get_allowed_auths(self, username):
        return "password"

    def check_auth_password(self, username, password):
        self.tried.append(password)
        return paramiko.AUTH_SUCCESSFUL if password == self.password else paramiko.AUTH_FAILED


@pytest.mark.parametrize("password", ["right", "wrong"])
def test_a_password_opens_the_door_and_a_wrong_one_is_refused_and_sent_to_the_pinned_host_only(password):
    key, server = paramiko.ECDSAKey.generate(), _PasswordServer("right")
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve():
            while True:
                try:
                    transport = paramiko.Transport(listener.accept()[0])
                    transport.add_server_key(key)
                    transport.start_server(threading.Event(), server)
                except OSError:
                    return

        threading.Thread(target=serve, daemon=True).start()
        pinned = f"{key.get_name()} {key.get_base64()}"
        endpoint = Endpoint("127.0.0.1", listener.getsockname()[1], "deploy", pinned, password=_Guarded(password))
        if password == "right":
            connect(endpoint).close()
        else:
            with pytest.raises(AuthRefused, match="was not accepted"):
                connect(endpoint)
        other = paramiko.ECDSAKey.generate()
        with pytest.raises(KeyChanged):
            connect(dataclasses.replace(endpoint, host_key=f"{other.get_name()} {other.get_base64()}"))
        listener.shutdown(socket.SHUT_RDWR)
    assert server.tried == [password]


class _Guarded(str):
    """A secret as the web side hands it in: printed, it shows nothing."""

    def __str__(self):
        return "[secret]"

    __repr__ = __str__

    def reveal(self):
        return str.__str__(self)


def test_a_secret_is_in_no_repr_and_in_no_traceback(sshd, tmp_path):
    private, _ = make_key(tmp_path / "mine", "ed25519", "open sesame")
    marks = [private.splitlines()[2], "open sesame", "hunter2"]
    secrets = {"key": private, "passphrase": "open sesame", "password": "hunter2"}
    endpoint = endpoint_of(sshd, **{name: _Guarded(text) for name, text in secrets.items()})
    outer = dataclasses.replace(endpoint, key="", jump=endpoint)
    texts = [repr(endpoint), str(outer), f"{outer}"]
    for trial in (endpoint, outer, dataclasses.replace(endpoint, passphrase=_Guarded("no"))):
        try:
            connect(trial)
        except (AuthRefused, BadCredential) as error:
            texts += [*traceback.format_exception(error), repr(error)]
    assert len(texts) > 6
    assert not [mark for mark in marks for text in texts if mark in text]


def test_a_server_with_older_algorithms_is_spoken_to(tmp_path):
    older = "Ciphers aes256-ctr\nMACs hmac-sha2-256\nKexAlgorithms diffie-hellman-group14-sha256"
    with Sshd(tmp_path / "host", extra=older) as host, connect(endpoint_of(host)) as connection:
        assert collect(connection.run("cat"), b"x" * 300_000)[0] == b"x" * 300_000


def test_a_server_that_has_only_unsafe_algorithms_is_told_apart(tmp_path):
    with Sshd(tmp_path / "host", extra="Ciphers aes128-cbc") as host, pytest.raises(Unreachable, match="no algorithm"):
        connect(endpoint_of(host))


# --- jump hosts -------------------------------------------------------------------------------------------------------


def test_a_host_behind_a_jump_host_is_reached_through_it(sshds):
    jump, host = sshds(2)
    with connect(endpoint_of(host, jump=endpoint_of(jump))) as connection:
        data = os.urandom(1_000_000)
        assert collect(connection.run("cat"), data)[0] == data
    assert fetch_host_key(host.address, host.port, 5, jump=endpoint_of(jump)) == host.host_key


def test_a_jump_host_with_another_key_gets_nothing_and_the_host_behind_it_neither(sshds, tmp_path):
    jump, host = sshds(2)
    other = make_key(tmp_path / "other", "ed25519")[1]
    with Relay(host.address, host.port) as relay:
        with pytest.raises(KeyChanged, match=f"{jump.address}"):
            connect(endpoint_of(host, address=relay.address, port=relay.port, jump=endpoint_of(jump, host_key=other)))
        assert relay.connections == 0


def test_operations_share_the_connection_to_a_jump_host_and_the_last_closes_it(sshds):
    jump, host = sshds(2)
    with Relay(jump.address, jump.port) as relay:
        way = endpoint_of(jump, address=relay.address, port=relay.port)
        results, start = [], threading.Barrier(4)

        def work():
            start.wait()
            with connect(endpoint_of(host, jump=way)) as connection:
                results.append(collect(connection.run("sleep 0.3; echo in"))[0])

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert (results, relay.connections) == ([b"in\n"] * 4, 1)
        assert not ssh._jumps._slots
        with connect(endpoint_of(host, jump=way)):
            relay.cut()
            time.sleep(0.2)
            with connect(endpoint_of(host, jump=way)) as second:  # the dead one is replaced
                assert collect(second.run("echo in"))[0] == b"in\n"
        assert not ssh._jumps._slots


def test_a_jump_host_that_cannot_reach_the_host_or_forwards_nothing_is_named(sshds, tmp_path):
    jump, host = sshds(2)
    with socket.create_server((host.address, 0)) as listener:
        closed = listener.getsockname()[1]
    with pytest.raises(Unreachable, match="jump host"):
        connect(endpoint_of(host, port=closed, jump=endpoint_of(jump)))
    with Sshd(tmp_path / "strict", extra="AllowTcpForwarding no") as strict, pytest.raises(Refused, match="tunnel"):
        connect(endpoint_of(host, jump=endpoint_of(strict)))
    assert not ssh._jumps._slots


# --- lines that are bad -----------------------------------------------------------------------------------------------


def test_where_nothing_listens_and_where_no_name_is_known_the_reason_is_told(sshd):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        closed = listener.getsockname()[1]
    with pytest.raises(Unreachable, match="refused"):
        connect(endpoint_of(sshd, address="127.0.0.1", port=closed))
    with pytest.raises(Unreachable, match="name"):
        connect(endpoint_of(sshd, address="no.such.host.invalid"))


NO_SSH = [None, b"HTTP/1.1 400 Bad Request\r\n\r\n" * 200, b"SSH-2.0-half\r\n", b"\0" * 100_000]


@pytest.mark.parametrize("says", NO_SSH)
def test_a_peer_that_is_silent_or_speaks_something_else_is_given_up_in_time(sshd, says):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        peers = []

        def answer():
            peer = listener.accept()[0]
            peers.append(peer)
            if says:
                peer.sendall(says)

        threading.Thread(target=answer, daemon=True).start()
        start = time.monotonic()
        with pytest.raises(Unreachable) as caught:
            connect(endpoint_of(sshd, address="127.0.0.1", port=listener.getsockname()[1]), QUICK)
        assert time.monotonic() - start < 5
        assert "HTTP" not in str(caught.value)
        peers[0].close()


def test_a_quiet_command_on_a_living_host_is_waited_for_past_the_time_of_silence(sshd):
    with connect(endpoint_of(sshd), QUICK) as connection:
        assert collect(connection.run("sleep 3; echo done"))[0] == b"done\n"


@pytest.mark.parametrize("sending", [False, True])
def test_a_frozen_server_is_noticed(sshd, sending):
    with connect(endpoint_of(sshd), QUICK) as connection:
        channel = connection.run("cat > /dev/null")
        channel.read(0.5)
        sshd.freeze()
        try:
            assert_lost_within(5, channel, sending)
        finally:
            sshd.thaw()


@pytest.mark.parametrize("sending", [False, True])
def test_dropped_packets_are_noticed(sshd, sending):
    with Relay(sshd.address, sshd.port) as relay:
        with connect(endpoint_of(sshd, address=relay.address, port=relay.port), QUICK) as connection:
            channel = connection.run("cat > /dev/null")
            channel.read(0.5)
            relay.frozen.set()
            assert_lost_within(5, channel, sending)
        relay.frozen.clear()


def assert_lost_within(seconds: float, channel, sending: bool) -> None:
    start = time.monotonic()
    with pytest.raises(ConnectionLost, match="said nothing"):
        while time.monotonic() < start + 2 * seconds:
            if sending:
                while channel.send(bytes(1 << 15)):
                    pass
            channel.read(0.2)
    assert time.monotonic() - start < seconds


def test_the_usual_limits_notice_a_dead_host_within_30_seconds():
    usual = Limits()
    assert usual.silence + usual.keepalive + ssh._Transport._active_check_timeout < 30
    assert usual.silence > 2 * usual.keepalive


def test_a_connection_that_is_cut_anywhere_ends_in_a_passing_error_or_not_at_all(sshd):
    """Also in the middle of the key exchange and of the log-in: a cut line must never look like a refusal."""
    for limit in [0, 1, 22, 500, 1100, 1500, 1800, 2100, 2500, 2800, 3100, 3300, 3500, 4000, 6000, 20_000]:
        with Relay(sshd.address, sshd.port, cuts=[limit]) as relay:
            endpoint = endpoint_of(sshd, address=relay.address, port=relay.port)
            with pytest.raises((Unreachable, ConnectionLost)) as caught, connect(endpoint, QUICK) as connection:
                collect(connection.run("cat"), bytes(100_000), 5)
            assert caught.value.passing
            assert relay.cut_count or limit == 0
