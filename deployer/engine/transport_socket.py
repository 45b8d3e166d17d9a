"""What an SSH connection runs over. No SSH in here: sockets, their limits, and words for what is wrong with them."""

import errno
import socket
import threading
import time
from typing import Any

from messages import Message

from .codes import reason
from .endpoint import Endpoint
from .errors import Unreachable

AT_ONCE = 1 << 16  # bytes


class TimedSocket:
    """What an SSH connection runs over: a TCP socket, or a channel through a jump host.

    It ends itself when the peer has been silent for too long. It is the one place that sees both a blocked read and a
    blocked write, so nothing else has to watch it."""

    def __init__(self, sock: socket.socket | Any, silence: float) -> None:  # Any: a channel of paramiko
        self._sock = sock
        self._silence = silence
        self._tcp = isinstance(sock, socket.socket)
        self._read = b""  # received and not yet asked for: paramiko asks twice for each packet, a few bytes first
        self._closed = False
        self.gave_up: OSError | None = None
        self.last_received = time.monotonic()

    def recv(self, size: int) -> bytes:
        data = self._read or self._receive()
        self._read = data[size:]
        return data[:size]

    def _receive(self) -> bytes:
        try:
            data = self._sock.recv(AT_ONCE)
        except TimeoutError:
            self._check_silence()
            raise
        self.last_received = time.monotonic()
        if self._tcp:
            # Acknowledge at once: else the first channel waits 40 ms, the peer's Nagle for our delayed ACK.
            self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        return data

    def send(self, data: bytes) -> int:
        try:
            sent = self._sock.send(data)
        except TimeoutError:
            self._check_silence()
            raise
        if sent > 1024:  # a long upload that moves is a sign of life; our own small keepalive questions are not
            self.last_received = time.monotonic()
        return sent

    def _check_silence(self) -> None:
        if time.monotonic() - self.last_received > self._silence:
            self.gave_up = Silent(self._silence)
            raise self.gave_up

    def settimeout(self, seconds: float) -> None:
        self._sock.settimeout(seconds)

    def close(self) -> None:
        self._closed = True
        if self._tcp:
            try:
                self._sock.shutdown(socket.SHUT_RDWR)  # wakes the thread that reads
            except OSError:
                pass
        self._sock.close()


def dial(endpoint: Endpoint, seconds: float) -> socket.socket:
    """Open a TCP connection to the endpoint, without Nagle's delay, within `seconds`. Raise Unreachable."""
    end = time.monotonic() + seconds
    try:
        sock = first(resolved(endpoint.address, endpoint.port, seconds), end)
    except (OSError, UnicodeError) as error:
        raise Unreachable(where=endpoint.where, reason=why(error)) from None
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def resolved(address: str, port: int, seconds: float) -> list[tuple]:
    """Return where a name leads now: [(family, socket address)]. It is looked up each time, unless it is an address.

    The system's resolver knows no limit of ours and may ask silent servers for a minute, so it is left to a thread.
    Raise OSError (TimeoutError after `seconds`) or UnicodeError.
    """
    if _is_address(address):
        return [(entry[0], entry[4]) for entry in _look_up(address, port, socket.AI_NUMERICHOST)]
    answer: list = []

    def look() -> None:
        try:
            answer.append(_look_up(address, port, 0))
        except (OSError, UnicodeError) as error:
            answer.append(error)

    thread = threading.Thread(target=look, name="resolver", daemon=True)
    thread.start()
    thread.join(seconds)
    if not answer:
        raise NotResolved
    if isinstance(answer[0], Exception):
        raise answer[0]
    return [(entry[0], entry[4]) for entry in answer[0]]


class Silent(ConnectionAbortedError):
    """The peer has sent nothing for `seconds`. Not a TimeoutError, after which paramiko tries again."""

    def __init__(self, seconds: float):
        super().__init__(errno.ECONNABORTED, "silent")
        self.seconds = seconds


class NotResolved(TimeoutError):
    """No name server has answered in time."""


def _look_up(address: str, port: int, flags: int) -> list[tuple]:
    return socket.getaddrinfo(address, port, type=socket.SOCK_STREAM, flags=flags)


def _is_address(address: str) -> bool:
    return ":" in address or address.rpartition(".")[2].isdigit()


def first(places: list[tuple], end: float) -> socket.socket:
    """Connect to the first of these that accepts; the others share what time is left."""
    failed: OSError = TimeoutError()
    for number, (family, place) in enumerate(places):
        share = max(0.1, end - time.monotonic()) / (len(places) - number)
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.settimeout(share)
            sock.connect(place)
        except OSError as error:
            sock.close()
            failed = error
        else:
            return sock
    raise failed


def why(error: BaseException | None) -> Message | str:
    """Return the reason: a message, or the operating system's own words; never the peer's."""
    if isinstance(error, NotResolved) or (isinstance(error, socket.gaierror) and error.errno == socket.EAI_AGAIN):
        return reason("no_name_server")
    if isinstance(error, socket.gaierror):
        return reason("unknown_name")
    if isinstance(error, Silent):
        return reason("silent", seconds=f"{error.seconds:g}")
    if isinstance(error, TimeoutError):
        return reason("timed_out")
    if isinstance(error, OSError) and error.strerror:
        return error.strerror[:1].lower() + error.strerror[1:]
    if error is None or isinstance(error, (EOFError, OSError)):
        return reason("closed")
    if isinstance(error, UnicodeError):
        return reason("invalid_name")
    return reason("protocol_error")
