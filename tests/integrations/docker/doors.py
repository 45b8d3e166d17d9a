"""Servers that are no engine, or one that misbehaves: what they send is written out here."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

VERSION = b'{"Version": "29.0.1", "ApiVersion": "1.52", "MinAPIVersion": "1.44", "Os": "linux", "Arch": "arm64"}'


def answer(body: bytes, status: str = "200 OK", kind: str = "application/json") -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def version(**fields: str) -> bytes:
    return answer(json.dumps({**json.loads(VERSION), **fields}).encode())


@contextmanager
def door(*replies: bytes | Callable[[socket.socket], None]) -> Iterator[str]:
    """Yield the address of a server that gives a reply to each connection, in this order, and then the last again."""
    left = list(replies)
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                sock, _ = server.accept()
            except OSError:
                return
            reply = left.pop(0) if len(left) > 1 else left[0]
            threading.Thread(target=_one, args=(sock, reply), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield f"tcp://127.0.0.1:{server.getsockname()[1]}"
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()


def _one(sock: socket.socket, reply: bytes | Callable[[socket.socket], None]) -> None:
    with sock:
        try:
            if callable(reply):
                reply(sock)
                return
            sock.recv(65536)
            sock.sendall(reply)
        except OSError:
            pass


def silent(sock: socket.socket) -> None:
    """Accept, and say nothing."""
    while sock.recv(65536):
        pass


def drip(sock: socket.socket) -> None:
    """Send a byte now and then, for ever."""
    sock.recv(65536)
    sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
    while True:
        sock.sendall(b" ")
        time.sleep(0.05)


def endless(sock: socket.socket) -> None:
    """Send more than anybody wants."""
    sock.recv(65536)
    sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
    while True:
        sock.sendall(b" " * 65536)


def cut_short(sock: socket.socket) -> None:
    """Begin an answer and end in it."""
    sock.recv(65536)
    sock.sendall(b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n20\r\n{"stream": "St')
