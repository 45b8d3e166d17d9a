"""One request to a stranger's address: only where it is allowed, to the very address that was looked at, within 10 s.

A name is resolved once and the connection made to what it resolved to, so a name that changes its mind between the look
and the connection (DNS rebinding) changes nothing. Redirects are not followed: they would lead anywhere.
"""

import http.client
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as TooSlow
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from urllib.parse import urlsplit

from django.conf import settings

from access.public_networks import embedded, is_public
from integrations import tls

DEADLINE = 10.0  # seconds for all of it, the name's resolution included
RESOLVE = 5.0
CLIPPED = 4096  # bytes of the answer that are kept


class Refused(Exception):
    """The address may not be spoken to. Its text says why; trying again changes nothing but where names resolve."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: a status and the answer's first bytes, or an error and no status."""

    status: int | None
    body: str = ""
    error: str = ""
    took: int = 0  # milliseconds

    @property
    def is_good(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


_resolvers = ThreadPoolExecutor(8, thread_name_prefix="resolve")  # getaddrinfo has no timeout of its own


def allowed(address: str) -> bool:
    """Whether requests may go to an IP address: public, or inside one of CALLBACK_ALLOWED_NETWORKS."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    meant = (parsed, *embedded(parsed))
    if any(one in ip_network(entry, strict=False) for entry in settings.CALLBACK_ALLOWED_NETWORKS for one in meant):
        return True
    return is_public(parsed)


def place_of(url: str) -> tuple[str, str, int, str]:
    """(scheme, host, port, path with query) of an address that a callback may have. Raises ValueError."""
    if not url.isascii() or any(ord(char) <= 32 or ord(char) == 127 for char in url):
        raise ValueError("must be an http:// or https:// address without spaces")
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("must be an http:// or https:// address")
    if parts.username is not None or parts.password is not None:
        raise ValueError("must hold no user or password: use a header")
    if parts.fragment:
        raise ValueError("must hold no fragment")
    port = parts.port if parts.port is not None else 443 if parts.scheme == "https" else 80
    if not 0 < port < 65536:
        raise ValueError("has a port that is none")
    return parts.scheme, parts.hostname, port, (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def resolve(host: str, port: int) -> str:
    """The address to connect to. Raises Refused where any of the name's addresses may not be spoken to, OSError."""
    try:
        found = _resolvers.submit(socket.getaddrinfo, host, port, 0, socket.SOCK_STREAM).result(RESOLVE)
    except TooSlow:
        raise OSError(f"{host} could not be resolved within {RESOLVE:.0f} s") from None
    except UnicodeError:
        raise OSError(f"{host} is no name") from None
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    if not addresses or not all(allowed(address) for address in addresses):
        raise Refused(f"{host} is at an address that callbacks may not reach (see CALLBACK_ALLOWED_NETWORKS).")
    return addresses[0]


def post(url: str, headers: dict[str, str], body: bytes) -> Answer:
    """Sends one POST. Raises Refused; whatever else goes wrong is in the Answer."""
    begun = time.monotonic()
    took = lambda: int((time.monotonic() - begun) * 1000)
    try:
        scheme, host, port, path = place_of(url)
        address = resolve(host, port)
        status, answer = _speak(scheme, host, port, path, address, headers, body, begun + DEADLINE)
        return Answer(status, answer, took=took())
    except Refused:
        raise
    except (OSError, http.client.HTTPException, ValueError) as error:
        late = took() >= DEADLINE * 1000 - 100
        text = f"no answer within {DEADLINE:.0f} s" if late else f"{type(error).__name__}: {error}"
        return Answer(None, error=text[:500], took=took())


def _speak(
    scheme: str, host: str, port: int, path: str, address: str, headers: dict[str, str], body: bytes, end: float
) -> tuple[int, str]:
    left = max(0.1, end - time.monotonic())
    if scheme == "https":
        connection: http.client.HTTPConnection = http.client.HTTPSConnection(
            host, port, timeout=left, context=tls.context()
        )
    else:
        connection = http.client.HTTPConnection(host, port, timeout=left)
    # The name stays in the Host header and in TLS; the connection goes where the name was seen to lead.
    connection._create_connection = lambda _, timeout, *rest: socket.create_connection((address, port), timeout)  # type: ignore[attr-defined]
    # A timeout is for one read; somebody who answers a byte at a time is cut off by this.
    cut = threading.Timer(left, _cut, [connection])
    cut.daemon = True
    cut.start()
    try:
        connection.request("POST", path, body, headers)
        response = connection.getresponse()
        return response.status, response.read(CLIPPED).decode(errors="replace").replace("\0", "�")
    finally:
        cut.cancel()
        connection.close()


def _cut(connection: http.client.HTTPConnection) -> None:
    try:
        if connection.sock is not None:
            connection.sock.shutdown(socket.SHUT_RDWR)
    except OSError:  # it has ended by itself
        pass
