"""A relay between a worker and a host: records the time of the first byte and the bytes, and can be slow."""

import socket
import threading
import time


class Relay:
    """`with Relay(address, to_port) as relay:` — listens on `relay.port`; `relay.first` are times of perf_counter.

    `rate`: bytes a second that pass in each direction of each connection; 0 for as many as can. `relay.passed` counts
    what went to the host."""

    def __init__(self, address: str, to_port: int, rate: int = 0):
        self._rate, self.passed = rate, 0
        self._to = (address, to_port)
        self._listener = socket.create_server((address, 0))
        self.port = self._listener.getsockname()[1]
        self.first: list[float] = []

    def __enter__(self) -> "Relay":
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._to)
            except OSError:  # closed: it is over
                return
            for end in (client, server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._carry, args=(client, server, True), daemon=True).start()
            threading.Thread(target=self._carry, args=(server, client, False), daemon=True).start()

    def _carry(self, source: socket.socket, sink: socket.socket, onward: bool) -> None:
        note = onward
        try:
            while data := source.recv(1 << 16):
                if note:
                    self.first.append(time.perf_counter())
                    note = False
                self.passed += len(data) if onward else 0
                if self._rate:
                    time.sleep(len(data) / self._rate)
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            source.close()
            sink.close()
