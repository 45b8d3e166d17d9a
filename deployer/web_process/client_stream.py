"""A client's connection as the threads of the web process see it: no slow reader or writer keeps one for long."""

import errno
import select
import socket
import threading
import time
from dataclasses import dataclass
from typing import Any

OWED = 512 * 1024  # bytes of an answer that the loop sends on after the thread has left
SEND_TIMEOUT = 30.0  # seconds for which a client may take nothing


@dataclass(frozen=True, slots=True)
class Pace:
    """How slowly a large body may come: `idle` seconds without a byte; and beyond `grace` seconds of waiting in all,
    one second for each `floor` bytes that came."""

    idle: float = 30
    grace: float = 30
    floor: float = 8 * 1024

    def left(self, received: int, waited: float) -> float:
        """Seconds that the next byte may take. None are left where it is 0 or less."""
        return min(self.idle, self.grace + received / self.floor - waited)


ALL_HERE = Pace(idle=0, grace=0)  # of a request that was collected before a thread got it: there is nothing to wait for


class TooSlow(TimeoutError):
    """The client sends slower, or takes its answer slower, than anybody honest does."""

    def __init__(self, what: str):
        super().__init__(errno.EPIPE, what)  # an error of the client's that gunicorn does not log as one of ours


class Line:
    """A socket whose `recv` keeps to a pace and whose `sendall` leaves up to OWED bytes for later; all else is its own.

    Time counts while the client is waited for only: a slow store is not the client's fault.
    """

    def __init__(self, sock: socket.socket):
        self.sock = sock
        self.owed = bytearray()
        self._lock = threading.Lock()  # of `owed`: the loop and a thread never send at once
        self.begin(Pace())

    def __getattr__(self, name: str) -> Any:
        return getattr(self.sock, name)

    def begin(self, pace: Pace) -> None:
        """A new request begins."""
        self._pace, self._received, self._waited = pace, 0, 0.0

    def recv(self, size: int, flags: int = 0) -> bytes:
        if flags:
            return self.sock.recv(size, flags)
        left = self._pace.left(self._received, self._waited)
        if left <= 0:
            raise TooSlow("the body comes too slowly")
        bound = self.sock.gettimeout()  # whoever set a shorter one keeps it
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
        """Sends what the client takes at once; the rest is owed. Waits only where more than OWED bytes would be."""
        with self._lock:
            self.owed += data
            self._send_now()
            deadline, last = time.monotonic() + SEND_TIMEOUT, len(self.owed)
            while len(self.owed) > OWED:
                self._wait_until_writable(deadline - time.monotonic())
                self._send_now()
                if len(self.owed) < last:
                    deadline, last = time.monotonic() + SEND_TIMEOUT, len(self.owed)

    def send_owed(self) -> bool:
        """Sends on without waiting; whether all is sent. Raises OSError where the client has gone."""
        with self._lock:
            self._send_now()
            return not self.owed

    def _send_now(self) -> None:
        while self.owed:
            try:
                sent = self.sock.send(bytes(self.owed[: 256 * 1024]), socket.MSG_DONTWAIT)
            except BlockingIOError:
                return
            del self.owed[:sent]

    def _wait_until_writable(self, seconds: float) -> None:
        poll = select.poll()
        poll.register(self.sock.fileno(), select.POLLOUT)
        if seconds <= 0 or not poll.poll(seconds * 1000):
            raise TooSlow("the answer is not taken")
