"""Hostile SSH servers: they cost no memory, no time and no thread."""

import resource
import socket
import struct
import threading
import time
from contextlib import suppress

import paramiko
import pytest
from paramiko.common import MSG_CHANNEL_DATA, MSG_EXT_INFO, MSG_IGNORE, MSG_USERAUTH_INFO_REQUEST

from deployer.engine.errors import WireError
from deployer.engine.ssh import Endpoint, Limits, connect, fetch_host_key
from deployer.engine.ssh.packets import MAX_COUNTED, MAX_GREETING, MAX_PACKET
from deployer.engine.ssh.transport import WINDOW
from tests.lab.busy import within

QUICK = Limits(connect=2, handshake=4, auth=4, keepalive=1, silence=3)
CALM = 60_000  # KiB that the process may grow by


@pytest.fixture
def listening():
    """Serve one connection with a function, on loopback; return the endpoint."""
    listeners = []

    def listen(serve, **more) -> Endpoint:
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)

        def run():
            try:
                while True:
                    serve(listener.accept()[0])
            except (OSError, EOFError, paramiko.SSHException):
                pass

        threading.Thread(target=run, daemon=True).start()
        return Endpoint("127.0.0.1", listener.getsockname()[1], "deploy", **more)

    yield listen
    for listener in listeners:
        listener.close()


def flood(data: bytes, first: bytes = b""):
    def serve(connection):
        with connection:
            connection.sendall(first)
            while True:
                connection.sendall(data)

    return serve


def packet_of(size: int) -> bytes:
    return b"SSH-2.0-x\r\n" + struct.pack(">IB", size, 4)


@pytest.mark.parametrize(
    "serve",
    [
        flood(b"x" * 65536),
        flood(b"welcome\r\n" * 1000),
        flood(b"\0" * 65536, packet_of(0x7FFFFFF8)),
        flood(b"\0" * 65536, packet_of(MAX_PACKET + 4096)),
    ],
    ids=["a greeting without a newline", "endless lines before the version", "a packet of 2 GiB", "a packet too large"],
)
def test_foreign_greeting_is_bounded(listening, serve):
    began, before = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    endpoint = listening(serve)
    with pytest.raises(WireError):
        fetch_host_key(endpoint.address, endpoint.port, 60.0)
    assert time.monotonic() - began < within(3.5), "the limit of bytes ended it, not that of time"
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < CALM


class Server(paramiko.Transport):
    """A server that answers in its own way once a client logs in."""

    def __init__(self, connection, key, rude):
        super().__init__(connection)
        self.add_server_key(key)
        self.rude = rude


class LetsIn(paramiko.ServerInterface):
    def __init__(self):
        self.transport = None

    def get_allowed_auths(self, username):
        return "password"

    def check_auth_password(self, username, password):
        if self.transport.rude == "auth":
            self.transport.say()
        return paramiko.AUTH_SUCCESSFUL

    def check_channel_request(self, kind, chanid):
        return paramiko.OPEN_SUCCEEDED

    def check_channel_exec_request(self, channel, command):
        threading.Thread(target=self.transport.talk, args=(channel,), daemon=True).start()
        return True


def message(*parts) -> paramiko.Message:
    made = paramiko.Message()
    for part in parts:
        made.add_byte(bytes([part[1]])) if isinstance(part, tuple) else made.add_bytes(part)
    return made


def rude(listening, say=None, talk=None) -> Endpoint:
    """`say(transport)` before the log-in is answered; `talk(transport, channel)` once a command runs."""
    key = paramiko.ECDSAKey.generate()

    def serve(connection):
        server = LetsIn()
        transport = Server(connection, key, "auth" if say else "")
        transport.say, transport.talk = lambda: say(transport), lambda channel: _said(talk, transport, channel)
        server.transport = transport
        transport.start_server(threading.Event(), server)

    return listening(serve, host_key=f"{key.get_name()} {key.get_base64()}", password="right")


def _said(talk, transport, channel) -> None:
    """Send from a thread of its own: the client may have gone before all of it was sent."""
    with suppress(EOFError, OSError, paramiko.SSHException):
        talk(transport, channel)


def test_connects_to_honest_server(listening):
    """Else the others here would show nothing."""
    endpoint = rude(listening, talk=lambda transport, channel: (channel.sendall(b"hello"), channel.close()))
    with connect(endpoint, QUICK) as connection:
        assert connection.run("x").read(3.0)[0] == b"hello"


@pytest.mark.parametrize("count", [MAX_COUNTED + 1, 0xFFFFFFFF])
@pytest.mark.parametrize("kind", [MSG_EXT_INFO, MSG_USERAUTH_INFO_REQUEST])
def test_absurd_count_ends_connection(listening, kind, count):
    before = b"" if kind == MSG_EXT_INFO else struct.pack(">III", 0, 0, 0)
    endpoint = rude(listening, lambda t: t._send_message(message((0, kind), before, struct.pack(">I", count))))
    began, cpu = time.monotonic(), time.process_time()
    with pytest.raises(WireError):
        connect(endpoint, QUICK)
    time.sleep(0.3)
    assert time.monotonic() - began < within(5) and time.process_time() - cpu < 2


def test_accepts_few_extensions(listening):
    def say(transport):
        made = message((0, MSG_EXT_INFO), struct.pack(">I", 1))
        made.add_string("server-sig-algs")
        made.add_string("ssh-ed25519")
        transport._send_message(made)

    connect(rude(listening, say), QUICK).close()


@pytest.mark.parametrize("what", ["ignored packets", "packets to no channel", "empty packets", "beyond the window"])
def test_unrequested_flood_ends_connection(listening, what):
    ended = threading.Event()

    def talk(transport, channel):
        number = struct.pack(">I", channel.remote_chanid)
        floods = {
            "ignored packets": message((0, MSG_IGNORE), struct.pack(">I", 30_000), b"x" * 30_000),
            "packets to no channel": message((0, MSG_CHANNEL_DATA), number, struct.pack(">I", 30_000), b"x" * 30_000),
            "empty packets": message((0, MSG_CHANNEL_DATA), number, struct.pack(">I", 0)),
            "beyond the window": message((0, MSG_CHANNEL_DATA), number, struct.pack(">I", 30_000), b"x" * 30_000),
        }
        try:
            while transport.is_active():
                transport._send_message(floods[what])
        except (EOFError, OSError):
            pass  # as it should be
        finally:
            ended.set()

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with connect(rude(listening, talk=talk), QUICK) as connection:
        channel = connection.run("x")
        if what == "packets to no channel":
            channel.close()
        until = time.monotonic() + 15
        with pytest.raises(WireError):
            while time.monotonic() < until:
                if what == "beyond the window":
                    time.sleep(0.05)  # nothing is read
                    channel.send(b"x") or connection.alive or channel.read(0)
                else:
                    assert channel.read(0.1)[0] == b"" or what != "empty packets"
                    if not connection.alive:
                        raise connection.lost()
    assert ended.wait(60)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < CALM


def test_whole_window_is_accepted(listening):
    def talk(transport, channel):
        channel.sendall(b"y" * (4 * WINDOW))
        channel.shutdown_write()
        channel.send_exit_status(0)

    with connect(rude(listening, talk=talk), QUICK) as connection:
        channel, heard = connection.run("x"), 0
        until = time.monotonic() + 30
        while not channel.ended and time.monotonic() < until:
            heard += len(channel.read(0.5)[0])
    assert heard == 4 * WINDOW
    assert MAX_GREETING >= 1 << 15
