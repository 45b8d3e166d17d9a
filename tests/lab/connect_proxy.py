"""A small HTTP proxy on loopback that only tunnels: `CONNECT address:port`."""

import contextlib
import socket
import threading


class ConnectProxy:
    """`asked`: the targets of CONNECT, in their order. `status`: what it answers; 200 connects."""

    def __init__(self, status: int = 200):
        self.status, self.asked = status, []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> "ConnectProxy":
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(near,), daemon=True).start()

    def _serve(self, near: socket.socket) -> None:
        with near, contextlib.suppress(OSError):
            head = b""
            while b"\r\n\r\n" not in head:
                piece = near.recv(4096)
                if not piece:
                    return
                head += piece
            method, target, _ = head.split(b"\r\n", 1)[0].decode().split()
            if method != "CONNECT":  # such as the test of the settings
                near.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                return
            self.asked.append(target)
            near.sendall(f"HTTP/1.1 {self.status} So be it\r\n\r\n".encode())
            if self.status != 200:
                return
            host, _, port = target.rpartition(":")
            with socket.create_connection((host.strip("[]"), int(port)), 5) as far:
                threading.Thread(target=_pass, args=(far, near), daemon=True).start()
                _pass(near, far)


def _pass(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(1 << 15):
            sink.sendall(data)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
