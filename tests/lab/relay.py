"""A TCP relay between a worker and a host that can cut, freeze and slow down what passes."""

import contextlib
import socket
import threading
import time


class Relay:
    """`with Relay(host.address, host.port) as relay:` — connect to `relay.address`:`relay.port` instead of the host.

    `cuts` are byte counts: the first connection is cut after that many bytes passed in both directions together, the
    second connection after the second count, and so on; later connections live. `latency` delays each piece, in
    seconds. `frozen` set: connections stay open and nothing passes any more, as with dropped packets.
    """

    def __init__(self, address: str, port: int, cuts: list[int] | None = None, latency: float = 0.0):
        self._target = (address, port)
        self._cuts = list(cuts or [])
        self._latency = latency
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.address, self.port = self._listener.getsockname()
        self.frozen = threading.Event()
        self.refusing = threading.Event()
        self.connections = 0
        self.passed: list[int] = []  # bytes of each connection, from us and to us
        self.from_us: list[int] = []  # bytes of each connection, from us alone
        self.first_bytes = b""  # the first 64 KB that we sent on the first connection
        self.cut_count = 0
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()

    def __enter__(self) -> "Relay":
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_) -> None:
        self._listener.close()
        self.cut()

    def cut(self) -> None:
        """Cuts every connection that is open now."""
        with self._lock:
            open_now = list(self._open)
        for sock in open_now:
            _end(sock)

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            if self.refusing.is_set():
                _end(near)
                continue
            try:
                far = socket.create_connection(self._target, 5)
            except OSError:
                _end(near)
                continue
            number = self.connections
            self.connections += 1
            self.passed.append(0)
            self.from_us.append(0)
            limit = self._cuts[number] if number < len(self._cuts) else None
            with self._lock:
                self._open |= {near, far}
            for sock in (near, far):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for way in ((near, far, number, limit, True), (far, near, number, limit, False)):
                threading.Thread(target=self._pass, args=way, daemon=True).start()

    def _pass(self, source: socket.socket, sink: socket.socket, number: int, limit: int | None, ours: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 15):
                if self._latency:
                    time.sleep(self._latency)
                while self.frozen.is_set():
                    time.sleep(0.02)
                with self._lock:
                    room = len(data) if limit is None else max(0, limit - self.passed[number])
                    data = data[:room]
                    self.passed[number] += len(data)
                    if ours:
                        self.from_us[number] += len(data)
                        if number == 0 and len(self.first_bytes) < 65536:
                            self.first_bytes += data
                    over = limit is not None and self.passed[number] >= limit
                    self.cut_count += over and limit is not None and bool(room)
                sink.sendall(data)
                if over:
                    break
        with self._lock:
            self._open -= {source, sink}
        _end(source)
        _end(sink)


def _end(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)
    sock.close()
