"""Send requests to URLs that users enter: only to addresses that are allowed, within 10 s.

A name is resolved once and the connection made to what it resolved to, so a name that changes between the check and
the connection (DNS rebinding) changes nothing. Redirects are not followed: they could lead anywhere.
"""

import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from deployer.engine import transport_socket
from integrations import http_client
from integrations.allowed_receivers import Allowed
from messages import Message
from messages.rendering import english

from . import receivers

TIMEOUT = 10.0  # seconds for all of it, the resolution of the name included
MAX_ANSWER = 4096  # bytes of the answer that are kept


class AddressForbidden(Exception):
    """A host has an address that callbacks may not reach. Trying again helps only where the name changes."""

    def __init__(self, host: str):
        self.message = Message("delivery.address", {"host": host})
        super().__init__(english(self.message))


class BadUrl(ValueError):
    """A URL that a callback cannot have. `code`: of the text that says why."""

    def __init__(self, code: str):
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class Response:
    """A status and the first bytes of the answer; or an error, and no status."""

    status: int | None
    body: str = ""
    error: Message | None = None
    took: int = 0  # milliseconds

    @property
    def is_success(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


def parse_url(url: str) -> tuple[str, str, int]:
    """Return (scheme, host, port) of a URL that a callback can have. Raise BadUrl."""
    if not url.isascii() or any(ord(char) <= 32 or ord(char) == 127 for char in url):
        raise BadUrl("url_spaces")
    try:
        parts = urlsplit(url)
    except ValueError:
        raise BadUrl("http_url") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise BadUrl("http_url")
    if parts.username is not None or parts.password is not None:
        raise BadUrl("url_userinfo")
    if parts.fragment:
        raise BadUrl("url_fragment")
    try:
        port = parts.port if parts.port is not None else 443 if parts.scheme == "https" else 80
    except ValueError:
        raise BadUrl("url_port") from None
    if port == 0:
        raise BadUrl("url_port")
    return parts.scheme, parts.hostname, port


def resolve(host: str, port: int, seconds: float, allowed: Allowed) -> list[tuple[Any, ...]]:
    """Return the addresses to connect to. Raise AddressForbidden where any of them is not allowed, OSError."""
    addresses = transport_socket.resolved(host, port, seconds)
    if not addresses or not all(allowed.admits(host, str(place[0])) for _, place in addresses):
        raise AddressForbidden(host)
    return addresses


def post(url: str, headers: dict[str, str], body: bytes) -> Response:
    """Send one POST. Raise AddressForbidden; whatever else goes wrong is in the Response."""
    begun = time.monotonic()
    took = lambda: int((time.monotonic() - begun) * 1000)
    try:
        reply = _exchange(url, headers, body, begun + TIMEOUT)
    except BadUrl as error:
        return Response(None, error=Message(error.code), took=took())
    except (http_client.Unreachable, http_client.BadCertificates) as error:
        return Response(None, error=_in_words(error.message), took=took())
    except (OSError, UnicodeError) as error:  # the name could not be looked up, or a proxy gave no answer
        late = isinstance(error, TimeoutError)
        message = Message("unreachable.timeout") if late else http_client.reason_of(error)
        return Response(None, error=_in_words(message), took=took())
    return Response(reply.status, reply.body.decode(errors="replace").replace("\0", "�"), took=took())


def _exchange(url: str, headers: dict[str, str], body: bytes, end: float) -> http_client.Reply:
    _, host, port = parse_url(url)
    rules = receivers.current()
    addresses = resolve(host, port, end - time.monotonic(), rules.allowed)
    return http_client.exchange(
        url,
        method="POST",
        body=body,
        headers=headers,
        context=rules.context(host, addresses),
        timeout=max(0.1, end - time.monotonic()),
        max_bytes=MAX_ANSWER,
        truncate=True,
        resolve=lambda *_: addresses,
        dial=rules.dial(url),
    )


def _in_words(message: Message) -> Message:
    late = message.code == "unreachable.timeout"
    return Message("delivery.timeout", {"seconds": round(TIMEOUT)}) if late else message
