#!/usr/bin/env python3
"""The demo's service: answers every request with its version. Nothing but sockets, so that it starts in no time.

app.py serve ADDRESS PORT VERSION     serves until it is ended
app.py check ADDRESS PORT VERSION     exit status 0 when the process that answers there has that very version
"""

import select
import socket
import sys
from typing import NoReturn


def serve(address: str, port: str, version: str) -> NoReturn:
    body = f"hello from {version}\n".encode()
    head = f"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    # The host's own address; 127.0.0.1 as well, so that the demo can be looked at with any browser.
    listeners = [_listener(one, port) for one in sorted({address, "127.0.0.1"})]
    while True:
        for listener in select.select(listeners, [], [])[0]:
            connection, _ = listener.accept()
            with connection:
                connection.settimeout(2)
                try:
                    connection.recv(65536)
                    connection.sendall(head.encode() + body)
                except OSError:
                    pass


def _listener(address: str, port: str) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((address, int(port)))
    listener.listen(64)
    return listener


def check(address: str, port: str, version: str) -> None:
    try:
        with socket.create_connection((address, int(port)), timeout=2) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: demo\r\nConnection: close\r\n\r\n")
            answer = b""
            while part := connection.recv(65536):
                answer += part
    except OSError as error:
        sys.exit(f"nothing answers at {address}:{port}: {error}")
    found = answer.partition(b"\r\n\r\n")[2].decode(errors="replace").strip()
    if found != f"hello from {version}":
        sys.exit(f"at {address}:{port} there is {found!r}, not version {version}")
    print(f"version {version} answers at {address}:{port}")


if __name__ == "__main__":
    {"serve": serve, "check": check}[sys.argv[1]](*sys.argv[2:])
