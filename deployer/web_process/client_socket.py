"""A client's socket as threads use it: no slow client occupies a thread for long."""

import errno
import select
import socket
import threading
import time
from dataclasses import dataclass
from typing import Any

MAX_UNSENT = 512 * 1024  # bytes of a response that the loop sends after the thread has finished
SEND_TIMEOUT = 30.0  # seconds without progress


@dataclass(frozen=True, slots=True)
class Pace:
    """The slowest allowed transfer of a large body: `idle` seconds without data, and `grace` seconds of waiting plus
    one second for each `floor` bytes received."""

    idle: float = 30
    grace: float = 30
    floor: float = 8 * 1024

    def left(self, received: int, waited: float) -> float:
        """Return the seconds until the next byte must arrive; 0 or less: too slow."""
        return min(self.idle, self.grace + received / self.floor - waited)


NO_WAITING = Pace(idle=0, grace=0)  # of a buffered request


class ClientTooSlow(TimeoutError):
    """The client sends its body, or reads its response, too slowly."""

    def __init__(self, what: str):
        super().__init__(errno.EPIPE, what)  # an errno that gunicorn does not log as a server error


class ClientSocket:
    """A socket whose `recv` enforces a pace and whose `sendall` leaves up to MAX_UNSENT bytes for later.

    Only time spent waiting for the client counts: a slow package store is not the client's fault.
    """

    def __init__(self, sock: socket.socket):
        self.sock = sock
        self.unsent = bytearray()
        self._lock = threading.Lock()  # of `unsent`: the loop and a thread never send at the same time
        self.begin(Pace())

    def __getattr__(self, name: str) -> Any:
        return getattr(self.sock, name)

    def begin(self, pace: Pace) -> None:
        """Start a new request."""
        self._pace, self._received, self._waited = pace, 0, 0.0

    def recv(self, size: int, flags: int = 0) -> bytes:
        if flags:
            return self.sock.recv(size, flags)
        left = self._pace.left(self._received, self._waited)
        if left <= 0:
            raise ClientTooSlow("the body arrives too slowly")
        bound = self.sock.gettimeout()  # a shorter timeout stays in force
        self.sock.settimeout(left if bound is None else min(bound, left))
        began = time.monotonic()
        try:
            data = self.sock.recv(size)
        finally:
            self._waited += time.monotonic() - began
            self.sock.settimeout(bound)
        self._received += len(data)
        return data

    def sendall(self, data: bytes, flags: int = 0) -> None:
        """Send what the client accepts at once and keep the rest. Wait only while more than MAX_UNSENT bytes remain."""
        with self._lock:
            self.unsent += data
            self._send_now()
            deadline, last = time.monotonic() + SEND_TIMEOUT, len(self.unsent)
            while len(self.unsent) > MAX_UNSENT:
                self._wait_until_writable(deadline - time.monotonic())
                self._send_now()
                if len(self.unsent) < last:
                    deadline, last = time.monotonic() + SEND_TIMEOUT, len(self.unsent)

    def send_unsent(self) -> bool:
        """Send without waiting. Return whether all is sent. Raise OSError if the client is gone."""
        with self._lock:
            self._send_now()
            return not self.unsent

    def _send_now(self) -> None:
        while self.unsent:
            try:
                sent = self.sock.send(bytes(self.unsent[: 256 * 1024]), socket.MSG_DONTWAIT)
            except BlockingIOError:
                return
            del self.unsent[:sent]

    def _wait_until_writable(self, seconds: float) -> None:
        poll = select.poll()
        poll.register(self.sock.fileno(), select.POLLOUT)
        if seconds <= 0 or not poll.poll(seconds * 1000):
            raise ClientTooSlow("the response is not read")
