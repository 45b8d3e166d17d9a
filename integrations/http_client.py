"""Requests to the servers that the settings name: with their own CA and client certificate, through the proxies, never
following a redirect (it would carry the token elsewhere), and with an end in time."""

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
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from access.secrets import Secret
from deployer.engine import transport_socket

from . import tls as trust

LARGEST = 8 * 1024 * 1024  # bytes of an answer
LARGEST_OF_A_TEST = 1024 * 1024


class Unreachable(Exception):
    """The server could not be spoken to; the text says why. `sent`: the request may have arrived all the same."""

    def __init__(self, reason: str, sent: bool = False):
        super().__init__(reason)
        self.sent = sent


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    headers: dict[str, str]  # names in lower case
    body: bytes


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
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
    """One request below `part["url"]`. Any status is a Reply. Raises Unreachable."""
    url = part["url"].rstrip("/") + path
    try:
        context = tls(part)
    except ValueError as error:
        raise Unreachable(str(error)) from error
    return exchange(
        url,
        method=method,
        body=body,
        headers=headers,
        context=context,
        proxies=proxies_for(url, proxies),
        timeout=timeout,
        largest=LARGEST_OF_A_TEST,
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
    largest: int = LARGEST,
) -> Reply:
    """One request, and at most `largest` bytes of an answer of any status. Ends within `timeout` seconds whatever the
    server does: a server that sends a byte now and then is cut off too. Raises Unreachable (`sent`: the request may
    have arrived)."""
    told = {"User-Agent": "deployer", "Accept-Encoding": "identity", **(headers or {})}
    request = urllib.request.Request(url, body, told, method=method)  # noqa: S310 - the settings admit http and https
    deadline = _Deadline(timeout)
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
                    return _reply(answer, deadline, largest)
            except urllib.error.HTTPError as error:
                with error:
                    return _reply(error, deadline, largest)
        except urllib.error.URLError as error:
            raise deadline.told(error.reason) from error
        except (OSError, HTTPException, ValueError) as error:
            raise deadline.told(error) from error


class _Deadline:
    """Cuts the connections of one exchange when its time is up: no time limit of single reads does that."""

    def __init__(self, seconds: float):
        self._end = time.monotonic() + seconds
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

    def connect(self, address: tuple[str, int], *_) -> socket.socket:
        """In place of `socket.create_connection`: all addresses of a name share the time."""
        one = transport_socket.first(
            transport_socket.resolved(*address, max(0.0, self._end - time.monotonic())), self._end
        )
        self._sockets.append(one.dup())  # TLS takes the socket itself; shutting down a copy ends both
        self.connected = True
        one.settimeout(max(0.1, self._end - time.monotonic()))
        return one

    def _cut(self) -> None:
        self.over = True
        for copy in self._sockets:
            with contextlib.suppress(OSError):
                copy.shutdown(socket.SHUT_RDWR)

    def told(self, error: object) -> "Unreachable":
        if self.over or isinstance(error, TimeoutError):
            return Unreachable("it did not answer in time", self.connected)
        return Unreachable(_words(error), self.connected)


class _Plain(urllib.request.HTTPHandler):
    def __init__(self, deadline: _Deadline):
        super().__init__()
        self._deadline = deadline

    def http_open(self, request):
        return self.do_open(_made(HTTPConnection, self._deadline), request)


class _Secure(urllib.request.HTTPSHandler):
    def __init__(self, deadline: _Deadline, context: ssl.SSLContext):
        super().__init__(context=context)
        self._deadline, self._tls = deadline, context

    def https_open(self, request):
        return self.do_open(_made(HTTPSConnection, self._deadline), request, context=self._tls)


def _made(kind: type[HTTPConnection], deadline: _Deadline):
    def make(host: str, **more) -> HTTPConnection:
        connection = kind(host, **more)
        connection._create_connection = deadline.connect  # type: ignore[attr-defined]
        return connection

    return make


def _reply(answer: Any, deadline: _Deadline, largest: int) -> Reply:
    pieces, size = [], 0
    while piece := answer.read1(65536):
        pieces.append(piece)
        size += len(piece)
        if size > largest:
            raise Unreachable("the answer is too large", True)
    if deadline.over:  # what was cut looks like an end
        raise Unreachable("it did not answer in time", True)
    if answer.length:  # announced, and never sent
        raise Unreachable("the answer was cut short", True)
    return Reply(answer.status, {name.lower(): value for name, value in answer.headers.items()}, b"".join(pieces))


def tls(part: dict[str, Any]) -> ssl.SSLContext:
    """What a part says of TLS. Raises ValueError with a sentence for certificates that are none."""
    if not part["ca"].isascii() or not part["client_cert"].isascii():
        raise ValueError("the certificates cannot be read: not PEM")
    try:
        context = trust.context(part["ca"])
        if not part["verify"]:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        if part["client_cert"]:
            _load_client(context, part["client_cert"], part["client_key"])
    except ssl.SSLError as error:
        raise ValueError(f"the certificates cannot be read: {error.reason or 'not PEM'}") from None
    return context


def _load_client(context: ssl.SSLContext, certificate: str, key: str) -> None:
    """Python reads them from a file only: one that nobody else can read, for as long as it takes."""
    text = certificate + "\n" + (key.reveal() if isinstance(key, Secret) else key)
    descriptor, name = tempfile.mkstemp(suffix=".pem")
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
        context.load_cert_chain(name, password="")  # never asks a terminal for one
    finally:
        Path(name).unlink()


def proxies_for(url: str, proxies: dict[str, Any] | None) -> dict[str, str]:
    """{scheme: proxy} for an address; empty where it is spoken to directly."""
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


def _words(error: object) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message}"
    if isinstance(error, TimeoutError):
        return "it did not answer in time"
    told = f"{type(error).__name__}: {error}"[:300]
    return "".join(one if one.isprintable() else " " for one in told)
