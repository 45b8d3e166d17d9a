"""A proxy between a broker and its clients that fails as networks and servers do.

`with FaultyProxy(broker.path) as proxy:` — `proxy.url` is a BROKER_URL; `proxy.mode` may change at any time:

pass     everything passes
refuse   no connection is accepted, and open ones are cut
freeze   connections are accepted and kept, and nothing passes until the mode changes: a server that stands still
lose     the same, but connections of that time never pass anything again: a firewall that lost its table
bytes    whatever a client sends is answered with these bytes: an error, or garbage
"""

import contextlib
import socket
import threading
import time
from pathlib import Path

PASS, REFUSE, FREEZE, LOSE = "pass", "refuse", "freeze", "lose"


class FaultyProxy:
    """A TCP proxy before a server at a unix socket or a port of this machine."""

    def __init__(self, target: Path | int, scheme: str = "redis"):
        self._target, self._scheme = target, scheme
        self._mode: str | bytes = PASS
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._listener = self._listen(0)
        self.port = self._listener.getsockname()[1]
        self.taken = 0  # connections
        self._closed = False

    @property
    def url(self) -> str:
        return {"redis": f"redis://127.0.0.1:{self.port}/0", "amqp": f"amqp://guest:guest@127.0.0.1:{self.port}//"}[
            self._scheme
        ]

    @property
    def mode(self) -> str | bytes:
        return self._mode

    @mode.setter
    def mode(self, mode: str | bytes) -> None:
        before, self._mode = self._mode, mode
        if mode == REFUSE:
            self._listener.close()
            self._cut()
        elif before == REFUSE:
            self._listener = self._listen(self.port)
            threading.Thread(target=self._accept, daemon=True).start()
        if isinstance(mode, bytes) or isinstance(before, bytes):
            self._cut()

    def __enter__(self) -> "FaultyProxy":
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_) -> None:
        self._closed = True
        self._listener.close()
        self._cut()

    def _listen(self, port: int) -> socket.socket:
        return socket.create_server(("127.0.0.1", port), backlog=64)

    def _cut(self) -> None:
        with self._lock:
            open_now = list(self._open)
        for sock in open_now:
            _end(sock)

    def _accept(self) -> None:
        listener = self._listener
        while True:
            try:
                near, _ = listener.accept()
            except OSError:
                return
            self.taken += 1
            threading.Thread(target=self._serve, args=(near,), daemon=True).start()

    def _serve(self, near: socket.socket) -> None:
        with self._lock:
            self._open.add(near)
        if isinstance(self._mode, bytes):
            self._answer(near, self._mode)
            return
        state = {"lost": False}
        self._hold(state)
        try:
            far = self._reach()
        except OSError:
            _end(near)
            return
        with self._lock:
            self._open.add(far)
        threading.Thread(target=self._pass, args=(far, near, state), daemon=True).start()
        self._pass(near, far, state)

    def _reach(self) -> socket.socket:
        if isinstance(self._target, int):
            return socket.create_connection(("127.0.0.1", self._target), 5)
        far = socket.socket(socket.AF_UNIX)
        far.connect(str(self._target))
        return far

    def _hold(self, state: dict[str, bool]) -> None:
        """Return when data may pass; never for a connection that was lost, as long as this proxy runs."""
        while (self._mode in (FREEZE, LOSE) or state["lost"]) and not self._closed:
            state["lost"] |= self._mode == LOSE
            time.sleep(0.02)

    def _pass(self, source: socket.socket, sink: socket.socket, state: dict[str, bool]) -> None:
        with contextlib.suppress(OSError):
            source.settimeout(0.1)
            while True:
                self._hold(state)
                try:
                    data = source.recv(1 << 15)
                except TimeoutError:
                    continue
                if not data:
                    break
                self._hold(state)
                sink.sendall(data)
        self._leave(source, sink)

    def _answer(self, near: socket.socket, answer: bytes) -> None:
        with contextlib.suppress(OSError):
            while near.recv(1 << 15):
                near.sendall(answer)
        self._leave(near)

    def _leave(self, *socks: socket.socket) -> None:
        with self._lock:
            self._open -= set(socks)
        for sock in socks:
            _end(sock)


def _end(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)
    sock.close()
