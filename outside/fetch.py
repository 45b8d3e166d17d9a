"""Requests to the servers that the settings name: with their own CA and client certificate, through the proxies, never
following a redirect (it would carry the token elsewhere), and with an end in time."""
import base64
import os
import ssl
import tempfile
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from access.secrets import Secret

LARGEST = 1024 * 1024  # bytes of an answer


class Unreachable(Exception):
    """The server could not be spoken to; the text says why."""


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    headers: dict[str, str]  # names in lower case
    body: bytes


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


def fetch(
    part: dict[str, Any], path: str, *, headers: dict[str, str] | None = None, proxies: dict[str, Any] | None = None,
    method: str = "GET", body: bytes | None = None, timeout: float = 4.0,
) -> Reply:
    """One request below `part["url"]`. Any status is a Reply. Raises Unreachable."""
    url = part["url"].rstrip("/") + path
    request = urllib.request.Request(url, body, {"User-Agent": "deployer", **(headers or {})}, method=method)  # noqa: S310
    end = time.monotonic() + timeout
    try:
        opener = urllib.request.build_opener(
            _NoRedirect, urllib.request.ProxyHandler(proxies_for(url, proxies)),
            urllib.request.HTTPSHandler(context=tls(part)),
        )
        try:
            with opener.open(request, timeout=timeout) as answer:
                return _reply(answer, end)
        except urllib.error.HTTPError as error:
            with error:
                return _reply(error, end)
    except urllib.error.URLError as error:
        raise Unreachable(_words(error.reason)) from error
    except (OSError, HTTPException, ValueError) as error:
        raise Unreachable(_words(error)) from error


def _reply(answer: Any, end: float) -> Reply:
    pieces, size = [], 0
    while piece := answer.read1(65536):
        pieces.append(piece)
        size += len(piece)
        if size > LARGEST:
            raise Unreachable("the answer is too large")
        if time.monotonic() > end:
            raise Unreachable("the answer took too long")
    return Reply(answer.status, {name.lower(): value for name, value in answer.headers.items()}, b"".join(pieces))


def tls(part: dict[str, Any]) -> ssl.SSLContext:
    """What a part says of TLS. Raises ValueError with a sentence for certificates that are none."""
    if not part["ca"].isascii() or not part["client_cert"].isascii():
        raise ValueError("the certificates cannot be read: not PEM")
    try:
        context = ssl.create_default_context(cadata=part["ca"] or None)
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
    return f"{type(error).__name__}: {error}"[:300]
