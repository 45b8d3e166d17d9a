"""Long and bad connections: jump hosts, silence, and connections that are cut."""

import os
import socket
import threading
import time

import pytest

from deployer.engine import ssh
from deployer.engine.errors import (
    ConnectionLost,
    KeyChanged,
    SessionRefused,
    Unreachable,
)
from deployer.engine.ssh import Limits, connect, fetch_host_key
from tests.lab.busy import within
from tests.lab.relay import Relay
from tests.lab.sshd import Sshd

from .ssh_client import QUICK, collect, endpoint_of, make_key
from .words import said

# --- jump hosts -------------------------------------------------------------------------------------------------------


def test_reaches_host_through_jump_host(sshds):
    jump, host = sshds(2)
    with connect(endpoint_of(host, jump=endpoint_of(jump))) as connection:
        data = os.urandom(1_000_000)
        assert collect(connection.run("cat"), data)[0] == data
    assert fetch_host_key(host.address, host.port, 5, jump=endpoint_of(jump)) == host.host_key


def test_jump_host_with_changed_key_gets_nothing(sshds, tmp_path):
    jump, host = sshds(2)
    other = make_key(tmp_path / "other", "ed25519")[1]
    with Relay(host.address, host.port) as relay:
        with pytest.raises(KeyChanged, match=f"{jump.address}"):
            connect(endpoint_of(host, address=relay.address, port=relay.port, jump=endpoint_of(jump, host_key=other)))
        assert relay.connections == 0


def test_operations_share_jump_connection(sshds):
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
        assert not ssh.connection._jumps._slots
        with connect(endpoint_of(host, jump=way)):
            relay.cut()
            time.sleep(0.2)
            with connect(endpoint_of(host, jump=way)) as second:  # the dead one is replaced
                assert collect(second.run("echo in"))[0] == b"in\n"
        assert not ssh.connection._jumps._slots


def test_late_byte_does_not_end_shared_connection(sshds):
    """A thread is about to send when another closes: on a slow line that is often so."""
    jump, host = sshds(2)
    with connect(endpoint_of(jump)) as connection:
        transport = connection._transport
        tunnel, send = connection.tunnel(host.address, host.port), transport._send_user_message

        def late(message):
            transport._send_user_message = send
            tunnel.close()
            time.sleep(0.5)  # the jump host forgets the channel
            send(message)

        transport._send_user_message = late
        tunnel.send(b"too late")
        assert collect(connection.run("echo alive"))[0] == b"alive\n"


def test_tunnel_closes_after_broken_jump_connection(sshds):
    jump, host = sshds(2)

    def broken(message):
        raise EOFError

    with connect(endpoint_of(jump)) as connection:
        tunnel = connection.tunnel(host.address, host.port)
        connection._transport._send_user_message = broken
        tunnel.close()
        assert tunnel.closed


def test_names_jump_host_that_cannot_connect(sshds, tmp_path):
    jump, host = sshds(2)
    with socket.create_server((host.address, 0)) as listener:
        closed = listener.getsockname()[1]
    with pytest.raises(Unreachable, match="jump_host_cannot_connect"):
        connect(endpoint_of(host, port=closed, jump=endpoint_of(jump)))
    with (
        Sshd(tmp_path / "strict", extra="AllowTcpForwarding no") as strict,
        pytest.raises(SessionRefused, match="tunnel"),
    ):
        connect(endpoint_of(host, jump=endpoint_of(strict)))
    assert not ssh.connection._jumps._slots


# --- lines that are bad -----------------------------------------------------------------------------------------------


def test_unreachable_host_has_reason(sshd):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        closed = listener.getsockname()[1]
    with pytest.raises(Unreachable, match="refused"):
        connect(endpoint_of(sshd, address="127.0.0.1", port=closed))
    with pytest.raises(Unreachable, match="name"):
        connect(endpoint_of(sshd, address="no.such.host.invalid"))


NO_SSH = [None, b"HTTP/1.1 400 Bad Request\r\n\r\n" * 200, b"SSH-2.0-half\r\n", b"\0" * 100_000]


@pytest.mark.parametrize("says", NO_SSH)
def test_silent_or_foreign_peer_times_out(sshd, says):
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
        assert time.monotonic() - start < within(5)
        assert "HTTP" not in said(caught.value)
        peers[0].close()


def test_waits_for_quiet_command(sshd):
    with connect(endpoint_of(sshd), QUICK) as connection:
        assert collect(connection.run("sleep 3; echo done"))[0] == b"done\n"


@pytest.mark.parametrize("sending", [False, True])
def test_frozen_server_is_noticed(sshd, sending):
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
    with pytest.raises(ConnectionLost, match="silent"):
        while time.monotonic() < start + 2 * seconds:
            if sending:
                while channel.send(bytes(1 << 15)):
                    pass
            channel.read(0.2)
    assert time.monotonic() - start < within(seconds)


def test_dead_host_is_noticed_within_30_seconds():
    usual = Limits()
    assert usual.silence + usual.keepalive + ssh.transport.Transport._active_check_timeout < 30
    assert usual.silence > 2 * usual.keepalive


def test_cut_connection_raises_transient_error(sshd):
    """Also in the middle of the key exchange and of the log-in: a cut line must never look like a refusal."""
    for limit in [0, 1, 22, 500, 1100, 1500, 1800, 2100, 2500, 2800, 3100, 3300, 3500, 4000, 6000, 20_000]:
        with Relay(sshd.address, sshd.port, cuts=[limit]) as relay:
            endpoint = endpoint_of(sshd, address=relay.address, port=relay.port)
            with pytest.raises((Unreachable, ConnectionLost)) as caught, connect(endpoint, QUICK) as connection:
                collect(connection.run("cat"), bytes(100_000), 5)
            assert caught.value.passing
            assert relay.cut_count or limit == 0
