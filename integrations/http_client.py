"""HTTP requests to servers that settings or users name: bounded in bytes and in time, and never redirected.

A redirect would carry the token elsewhere. docs/decisions/0020-one-http-client.md says why this is no library.
"""

import base64
import contextlib
import os
import socket
import ssl
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from access.secrets import Secret
from deployer.engine import transport_socket
from messages import Message
from messages.rendering import english

from . import tls as trust

MAX_ANSWER = 8 * 1024 * 1024  # bytes
MAX_TEST_ANSWER = 1024 * 1024
_NOT_TLS = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG")
_CLIENT_REFUSED = ("CERTIFICATE_REQUIRED", "BAD_CERTIFICATE", "UNKNOWN_CA", "CERTIFICATE_UNKNOWN", "HANDSHAKE_FAILURE")
MAX_REASON = 300  # characters of a library's own words

# (host, port, seconds) to [(family, socket address)]; raises OSError or UnicodeError.
Resolver = Callable[[str, int, float], list[tuple[Any, ...]]]
# (addresses, end on the monotonic clock) to a connection; raises OSError.
Dialer = Callable[[list[tuple[Any, ...]], float], socket.socket]


class Unreachable(Exception):
    """The server did not give an answer. `sent`: the request may have arrived all the same."""

    def __init__(self, message: Message, sent: bool = False):
        super().__init__(english(message))
        self.message, self.sent = message, sent


class BadCertificates(ValueError):
    """Certificates of the settings that cannot be read."""

    def __init__(self, reason: str):
        self.message = Message("certificates_unreadable", {"reason": reason})
        super().__init__(english(self.message))


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    headers: dict[str, str]  # names in lower case
    body: bytes


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


def fetch(
    part: dict[str, Any],
    path: str,
    *,
    headers: dict[str, str] | None = None,
    proxies: dict[str, Any] | None = None,
    method: str = "GET",
    body: bytes | None = None,
    timeout: float = 4.0,
) -> Reply:
    """Send one request below `part["url"]`. Any status is a Reply. Raise Unreachable."""
    url = part["url"].rstrip("/") + path
    try:
        context = tls(part)
    except BadCertificates as error:
        raise Unreachable(error.message) from error
    return exchange(
        url,
        method=method,
        body=body,
        headers=headers,
        context=context,
        proxies=proxies_for(url, proxies),
        timeout=timeout,
        max_bytes=MAX_TEST_ANSWER,
    )


def exchange(
    url: str,
    *,
    method: str = "GET",
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    context: ssl.SSLContext | None = None,
    proxies: dict[str, str] | None = None,
    timeout: float,
    max_bytes: int = MAX_ANSWER,
    truncate: bool = False,
    resolve: Resolver = transport_socket.resolved,
    dial: Dialer = transport_socket.first,
) -> Reply:
    """Send one request and return the answer, of any status. Raise Unreachable, and what `resolve` and `dial` raise.

    Ends within `timeout` seconds, also where the server sends a byte now and then. An answer of more than `max_bytes`
    is an error or, with `truncate`, cut off. The name is resolved once, by `resolve`, and what it returns is connected
    to: a name that changes between a check and the connection (DNS rebinding) changes nothing.
    """
    sent = {"User-Agent": "deployer", "Accept-Encoding": "identity", **(headers or {})}
    request = urllib.request.Request(url, body, sent, method=method)  # noqa: S310 - callers admit http and https only
    deadline = _Deadline(timeout, resolve, dial)
    opener = urllib.request.build_opener(
        _NoRedirect,
        urllib.request.ProxyHandler(proxies or {}),
        _Plain(deadline),
        _Secure(deadline, context or trust.context()),
    )
    with deadline:
        try:
            try:
                with opener.open(request, timeout=timeout) as answer:
                    return _reply(answer, deadline, max_bytes, truncate)
            except urllib.error.HTTPError as error:
                with error:
                    return _reply(error, deadline, max_bytes, truncate)
        except urllib.error.URLError as error:
            raise deadline.unreachable(error.reason) from error
        except (OSError, HTTPException, ValueError) as error:
            raise deadline.unreachable(error) from error


class _Deadline:
    """Cuts the connections of one exchange when its time is up: a timeout of single reads does not do that."""

    def __init__(self, seconds: float, resolve: Resolver, dial: Dialer):
        self._end = time.monotonic() + seconds
        self._resolve, self._dial = resolve, dial
        self._timer = threading.Timer(seconds, self._cut)
        self._timer.daemon = True
        self._sockets: list[socket.socket] = []
        self.over = self.connected = False

    def __enter__(self) -> "_Deadline":
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        for copy in self._sockets:
            copy.close()

    def connect(self, address: tuple[str, int], *_: Any) -> socket.socket:
        """Connect in place of `socket.create_connection`: all addresses of a name share the time."""
        addresses = self._resolve(*address, max(0.0, self._end - time.monotonic()))
        sock = self._dial(addresses, self._end)
        self._sockets.append(sock.dup())  # TLS takes the socket itself; shutting down a copy ends both
        self.connected = True
        sock.settimeout(max(0.1, self._end - time.monotonic()))
        return sock

    def _cut(self) -> None:
        self.over = True
        for copy in self._sockets:
            with contextlib.suppress(OSError):
                copy.shutdown(socket.SHUT_RDWR)

    def unreachable(self, error: object) -> Unreachable:
        if self.over or isinstance(error, TimeoutError):
            return Unreachable(Message("unreachable.timeout"), self.connected)
        return Unreachable(reason_of(error), self.connected)


class _Plain(urllib.request.HTTPHandler):
    def __init__(self, deadline: _Deadline):
        super().__init__()
        self._deadline = deadline

    def http_open(self, request: urllib.request.Request) -> Any:
        return self.do_open(_connects_with(HTTPConnection, self._deadline), request)


class _Secure(urllib.request.HTTPSHandler):
    def __init__(self, deadline: _Deadline, context: ssl.SSLContext):
        super().__init__(context=context)
        self._deadline, self._tls = deadline, context

    def https_open(self, request: urllib.request.Request) -> Any:
        return self.do_open(_connects_with(HTTPSConnection, self._deadline), request, context=self._tls)


def _connects_with(kind: type[HTTPConnection], deadline: _Deadline) -> Any:
    def make(host: str, **more: Any) -> HTTPConnection:
        connection = kind(host, **more)
        connection._create_connection = deadline.connect  # type: ignore[attr-defined]
        return connection

    return make


def _reply(answer: Any, deadline: _Deadline, max_bytes: int, truncate: bool) -> Reply:
    headers = {name.lower(): value for name, value in answer.headers.items()}
    if len(asked := answer.headers.get_all("WWW-Authenticate") or []) > 1:
        headers["www-authenticate"] = ", ".join(asked)
    pieces, size = [], 0
    while piece := answer.read1(65536):
        pieces.append(piece)
        size += len(piece)
        if size > max_bytes and truncate:
            return Reply(answer.status, headers, b"".join(pieces)[:max_bytes])
        if size > max_bytes:
            raise Unreachable(Message("unreachable.answer_too_large", {"max": max_bytes}), True)
    if deadline.over:  # what was cut looks like an end
        raise Unreachable(Message("unreachable.timeout"), True)
    if answer.length:  # announced, and never sent
        raise Unreachable(Message("unreachable.answer_incomplete"), True)
    return Reply(answer.status, headers, b"".join(pieces))


def tls(part: dict[str, Any]) -> ssl.SSLContext:
    """Return the TLS context of a part's settings. Raise BadCertificates."""
    if not part["ca"].isascii() or not part["client_cert"].isascii():
        raise BadCertificates("not PEM")
    try:
        context = trust.context(part["ca"])
        if not part["verify"]:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        if part["client_cert"]:
            _load_client(context, part["client_cert"], part["client_key"])
    except ssl.SSLError as error:
        raise BadCertificates(error.reason or "not PEM") from None
    return context


def _load_client(context: ssl.SSLContext, certificate: str, key: str) -> None:
    """Load a client certificate. Python reads it from a file only: one that only this user can read, for a moment."""
    text = certificate + "\n" + (key.reveal() if isinstance(key, Secret) else key)
    descriptor, name = tempfile.mkstemp(suffix=".pem")
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
        context.load_cert_chain(name, password="")  # never asks a terminal for one
    finally:
        Path(name).unlink()


def proxies_for(url: str, proxies: dict[str, Any] | None) -> dict[str, str]:
    """Return {scheme: proxy} for an address; empty where the connection is direct."""
    if not proxies:
        return {}
    host = (urlsplit(url).hostname or "").lower()
    for name in proxies.get("no_proxy") or []:
        suffix = name.lower().lstrip("*.")
        if host == suffix or host.endswith("." + suffix):
            return {}
    return {scheme: proxies[scheme] for scheme in ("http", "https") if proxies.get(scheme)}


def basic(user: str, password: str) -> dict[str, str]:
    text = f"{user}:{password.reveal() if isinstance(password, Secret) else password}"
    return {"Authorization": "Basic " + base64.b64encode(text.encode()).decode()}


def reason_of(error: object) -> Message:
    """Return why there was no connection, in a library's words."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return Message("unreachable.certificate", {"reason": error.verify_message})
    if isinstance(error, ssl.SSLError) and any(word in (error.reason or "") for word in _NOT_TLS):
        return Message("unreachable.speaks_no_tls")
    if isinstance(error, ssl.SSLError) and any(word in (error.reason or "") for word in _CLIENT_REFUSED):
        return Message("unreachable.client_certificate", {"reason": str(error.reason)})
    text = f"{type(error).__name__}: {error}"[:MAX_REASON]
    return Message("unreachable", {"reason": "".join(char if char.isprintable() else " " for char in text)})
