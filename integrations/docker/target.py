"""Where an engine listens, and a socket to it that another thread can cut."""

import contextlib
import re
import socket
import ssl
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from deployer.engine import transport_socket
from integrations import http_client

from .errors import GivenUp

PORT, TLS_PORT = 2375, 2376
MAX_PATH = 107  # bytes of a unix socket's path
CONNECT = 8.0  # seconds for a name, a connection and a TLS handshake together


@dataclass(frozen=True)
class Target:
    """The place of an engine: `path` of a unix socket, or `host` and `port`. `context`: TLS; None without."""

    address: str  # as it is configured, for people
    path: str = ""
    host: str = "docker"
    port: int = PORT
    context: ssl.SSLContext | None = field(default=None, repr=False, compare=False)

    @classmethod
    def of(cls, part: dict[str, Any]) -> "Target":
        """Return the target of the settings `docker`, which are valid. Raise http_client.BadCertificates."""
        url = part["url"]
        if url.startswith("unix://"):
            return cls(url, path=url.removeprefix("unix://"))
        secure = speaks_tls(part)
        place = urlsplit(url)
        port = place.port or (TLS_PORT if secure else PORT)
        return cls(url, "", place.hostname or "", port, http_client.tls(part) if secure else None)

    def dial(self, interrupts: Sequence["Interrupt"], seconds: float = CONNECT) -> socket.socket:
        """Connect within `seconds`. Raise OSError (ssl.SSLError too), UnicodeError or GivenUp."""
        end = time.monotonic() + seconds
        sock = self._connected(end)
        try:
            for each in interrupts:
                each.watch(sock)
            if self.context is not None:
                sock.settimeout(max(0.1, end - time.monotonic()))
                sock = self.context.wrap_socket(sock, server_hostname=self.host)
        except BaseException:
            sock.close()
            raise
        return sock

    def _connected(self, end: float) -> socket.socket:
        if self.path:
            return transport_socket.first([(socket.AF_UNIX, self.path)], end)
        left = max(0.1, end - time.monotonic())
        sock = transport_socket.first(transport_socket.resolved(self.host, self.port, left), end)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock


class Interrupt:
    """Ends a conversation with an engine from another thread, also one that has not begun."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._copies: list[socket.socket] = []
        self.over = False

    def cut(self) -> None:
        """End it: whoever waits for the engine now or later gets GivenUp."""
        with self._lock:
            self.over = True
            for copy in self._copies:
                with contextlib.suppress(OSError):
                    copy.shutdown(socket.SHUT_RDWR)

    def watch(self, sock: socket.socket) -> None:
        """Take a copy of a socket: TLS takes the socket itself; shutting down a copy ends both. Raise GivenUp."""
        with self._lock:
            if self.over:
                raise GivenUp
            self._copies.append(sock.dup())

    def release(self) -> None:
        """Forget the sockets so far."""
        with self._lock:
            for copy in self._copies:
                copy.close()
            self._copies.clear()


def speaks_tls(part: dict[str, Any]) -> bool:
    """Return whether TLS is spoken with the engine of these settings."""
    return bool(part["url"].startswith("tcp://") and (part["tls"] or part["ca"] or part["client_cert"]))


def address_error(url: str) -> str:
    """Return the code of what is wrong with an engine's address; "" where nothing is."""
    if url.startswith("unix://"):
        path = url.removeprefix("unix://")
        plain = path.startswith("/") and path.isprintable() and len(path.encode()) <= MAX_PATH
        return "" if plain else "engine_socket"
    try:
        parts = urlsplit(url)
        valid_port = parts.port is None or parts.port > 0
    except ValueError:
        return "engine_address"
    if parts.scheme != "tcp" or not parts.hostname or not valid_port or parts.path.strip("/"):
        return "engine_address"
    if parts.username is not None or parts.password is not None:
        return "url_userinfo"
    return "" if re.fullmatch(r"[!-~]+", url) and not parts.query and not parts.fragment else "address_plain"
