"""Hostile clients: many slow connections to a web server, from this machine, over plain sockets or TLS."""

import http.client
import select
import socket
import ssl
import time
from contextlib import suppress
from urllib.parse import urlsplit


class Slow:
    """`count` connections that each send `first`, and then one more byte whenever `drip` is called."""

    def __init__(self, url: str, count: int, first: bytes, source: str = "127.0.0.1"):
        parts = urlsplit(url)
        self.connections: list[socket.socket] = []
        self._answered: set[socket.socket] = set()  # of those over TLS
        for _ in range(count):
            with suppress(OSError):
                self.connections.append(self._opened(parts, first, source))

    def __enter__(self) -> "Slow":
        return self

    def __exit__(self, *_) -> None:
        for one in self.connections:
            one.close()

    @staticmethod
    def _opened(parts, first: bytes, source: str) -> socket.socket:
        plain = socket.create_connection((parts.hostname, parts.port), timeout=10, source_address=(source, 0))
        if parts.scheme == "https":
            plain = unverified().wrap_socket(plain, server_hostname=parts.hostname)
        plain.sendall(first)
        return plain

    def drip(self, byte: bytes = b"a") -> None:
        for one in self.connections:
            with suppress(OSError):
                one.sendall(byte)

    def ended(self) -> int:
        """How many of them the server has answered or closed."""
        readable = select.select(self.connections, [], [], 0)[0]
        encrypted = [one for one in readable if isinstance(one, ssl.SSLSocket) and one not in self._answered]
        self._answered.update(one for one in encrypted if _has_answer(one))
        return len(self._answered) + sum(not isinstance(one, ssl.SSLSocket) for one in readable)


def _has_answer(one: ssl.SSLSocket) -> bool:
    """Return whether there is an answer or an end, and not only the tickets that a server sends after the handshake.
    What is there is read."""
    one.setblocking(False)
    try:
        one.recv(4000)
    except ssl.SSLWantReadError:
        return False
    except OSError:
        pass
    finally:
        one.setblocking(True)
    return True


def unverified() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def connection_to(url: str, timeout: float = 15, source: str = "127.0.0.1") -> http.client.HTTPConnection:
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port
    if parts.scheme == "https":
        return http.client.HTTPSConnection(
            host, port, timeout=timeout, source_address=(source, 0), context=unverified()
        )
    return http.client.HTTPConnection(host, port, timeout=timeout, source_address=(source, 0))


def seconds(url: str, timeout: float = 60, source: str = "127.0.0.1") -> float:
    """How long an honest GET takes; `timeout` where there is no answer by then."""
    began = time.monotonic()
    connection = connection_to(url, timeout, source)
    try:
        connection.request("GET", urlsplit(url).path)
        connection.getresponse().read()
    except TimeoutError:
        return timeout
    finally:
        connection.close()
    return time.monotonic() - began
