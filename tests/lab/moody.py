"""What stands between a broker and whoever speaks to it, and does to the line what networks and servers do.

`with Moody(broker.path) as door:` — `door.url` is a BROKER_URL; `door.mood` says what happens, from one moment to the
next:

pass     everything passes
refuse   nobody listens, and whoever is connected is cut off
freeze   connections are taken and kept, and nothing passes until the mood changes: a server that stands still
lose     the same, and who is or gets connected meanwhile never hears anything again: a firewall that lost its table
bytes    whoever says something gets this for an answer, whatever it was: an error, or garbage
"""

import contextlib
import socket
import threading
import time
from pathlib import Path

PASS, REFUSE, FREEZE, LOSE = "pass", "refuse", "freeze", "lose"


class Moody:
    """A TCP door before a server at a unix socket or a port of this machine."""

    def __init__(self, target: Path | int, scheme: str = "redis"):
        self._target, self._scheme = target, scheme
        self._mood: str | bytes = PASS
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
    def mood(self) -> str | bytes:
        return self._mood

    @mood.setter
    def mood(self, mood: str | bytes) -> None:
        before, self._mood = self._mood, mood
        if mood == REFUSE:
            self._listener.close()
            self._cut()
        elif before == REFUSE:
            self._listener = self._listen(self.port)
            threading.Thread(target=self._accept, daemon=True).start()
        if isinstance(mood, bytes) or isinstance(before, bytes):
            self._cut()

    def __enter__(self) -> "Moody":
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
        if isinstance(self._mood, bytes):
            self._answer(near, self._mood)
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
        """Returns when something may pass; never for a connection that was lost, as long as this door is there."""
        while (self._mood in (FREEZE, LOSE) or state["lost"]) and not self._closed:
            state["lost"] |= self._mood == LOSE
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
