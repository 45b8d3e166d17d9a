"""Connections through an HTTP proxy to addresses that were checked here: the proxy is told no name to look up."""

import socket
import time
from typing import Any
from urllib.parse import urlsplit

from deployer.engine import transport_socket
from messages import Message

from .http_client import Unreachable, reason_of

MAX_ANSWER = 8192  # bytes of a proxy's answer before its empty line


def connect(proxy: str, places: list[tuple[Any, ...]], end: float) -> socket.socket:
    """Connect to the first of these addresses that the proxy reaches (CONNECT). `end`: on the monotonic clock.

    Raise Unreachable where the proxy cannot be reached or refuses all of them, and TimeoutError.
    """
    refusal = Unreachable(Message("unreachable.proxy_answer"))
    for _family, place in places:
        sock = _dial(proxy, end)
        try:
            status = _ask(sock, str(place[0]).partition("%")[0], place[1], end)
        except BaseException:
            sock.close()
            raise
        if 200 <= status < 300:
            return sock
        sock.close()
        refusal = Unreachable(Message("unreachable.proxy_refused", {"status": status}))
    raise refusal


def _dial(proxy: str, end: float) -> socket.socket:
    parts = urlsplit(proxy)
    left = max(0.1, end - time.monotonic())
    try:
        port = parts.port or (443 if parts.scheme == "https" else 80)
        return transport_socket.first(transport_socket.resolved(parts.hostname or "", port, left), end)
    except TimeoutError:
        raise
    except (OSError, UnicodeError) as error:
        raise Unreachable(Message("unreachable.proxy", {"reason": reason_of(error)})) from error


def _ask(sock: socket.socket, address: str, port: int, end: float) -> int:
    """Return the status of the proxy's answer to CONNECT."""
    target = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
    try:
        sock.settimeout(max(0.1, end - time.monotonic()))
        sock.sendall(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\nUser-Agent: deployer\r\n\r\n".encode())
        answer = b""
        while not answer.endswith(b"\r\n\r\n"):
            sock.settimeout(max(0.1, end - time.monotonic()))
            byte = sock.recv(1)  # what follows belongs to the receiver
            answer += byte
            if not byte or len(answer) > MAX_ANSWER:
                raise Unreachable(Message("unreachable.proxy_answer"))
    except TimeoutError:
        raise
    except OSError as error:
        raise Unreachable(Message("unreachable.proxy", {"reason": reason_of(error)})) from error
    words = answer.split(b"\r\n", 1)[0].split()
    if len(words) < 2 or not words[0].startswith(b"HTTP/") or not words[1].isdigit():
        raise Unreachable(Message("unreachable.proxy_answer"))
    return int(words[1])
