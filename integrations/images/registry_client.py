"""The HTTP API of a registry: sign-in by Basic or by a token, manifests, and whether an account may push.

    image = resolve(part, proxies, reference.parse("registry.example.com/team/shop:1.2"))
    image.reference.pinned      # registry.example.com/team/shop@sha256:…

A client speaks to the configured registry and to the token server that it names, to nobody else: redirects are not
followed. The password is sent only when it is asked for, and over https only where the registry is reached so. All
together ends within `seconds`, and answers are bounded. docs/decisions/0055-own-registry-client.md says why.
"""

import json
import time
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from access.masking import Mask
from access.secrets import Secret, reveal
from messages import Message

from .. import http_client
from ..http_client import BadCertificates, Reply, Unreachable, basic, exchange, proxies_for
from . import challenges, errors, manifests
from . import reference as references
from .challenges import Challenge
from .errors import ImageMissing, ImageUnusable, RegistryAway, RegistryFailed, RegistryRefused, SignInFailed
from .manifests import Resolved
from .reference import Reference

SECONDS = 10.0  # for all requests of one client
MAX_MANIFEST = 4 * 1024 * 1024  # bytes: what registries must accept
MAX_ANSWER = 1024 * 1024  # bytes of everything else
MAX_TOKEN = 64 * 1024  # characters
MIN_SECRET = 4  # characters: a shorter one would be found in ordinary words
_ACCEPT = {"Accept": ", ".join((*manifests.INDEXES, *manifests.MANIFESTS))}
_DENIED = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)


def resolve(
    part: dict[str, Any],
    proxies: dict[str, Any] | None,
    reference: Reference,
    *,
    with_platform: bool = True,
    seconds: float = SECONDS,
) -> Resolved:
    """Return what a reference of this registry means now, within `seconds`.

    `with_platform`: also ask for the platform of a single image, which is one more request. Raise ImageMissing where
    there is none, ImageUnusable, RegistryAway, SignInFailed, or RegistryRefused for any other answer.
    """
    client = RegistryClient(part, proxies, seconds)
    image = client.manifest(reference)
    if with_platform and image.config and not image.platforms:
        image = client.with_platform(image)
    return image


class RegistryClient:
    """One conversation with a registry. Not for several threads at once."""

    def __init__(self, part: dict[str, Any], proxies: dict[str, Any] | None = None, seconds: float = SECONDS):
        """`part`: the settings of the registry with every key, `proxies`: those of the proxies."""
        self._part, self._proxies = part, proxies
        self.server = references.server_of(part["url"])
        self._end = time.monotonic() + seconds
        self._authorization: dict[str, str] = {}  # by scope; "*" for a password, which has every scope
        self._mask = _Mask(part["password"])
        try:
            self._context = http_client.tls(part)
        except BadCertificates as error:
            raise RegistryAway(error.message) from error

    def manifest(self, reference: Reference) -> Resolved:
        """Return what the registry has under a reference's digest or tag."""
        path = f"/v2/{reference.name}/manifests/{reference.digest or reference.tag}"
        scope = f"repository:{reference.name}:pull"
        reply = self.ask("GET", path, scope, headers=_ACCEPT, max_bytes=MAX_MANIFEST)
        if reply.status == HTTPStatus.OK:
            return manifests.read(reference, reply.headers, reply.body)
        raise self.refusal(reply, "read", missing=reply.status in (*_DENIED, HTTPStatus.NOT_FOUND))

    def with_platform(self, image: Resolved) -> Resolved:
        """Return the same with the platform that a single image's configuration names.

        Without it where the registry keeps its blobs elsewhere: that redirect is not followed.
        """
        name = image.reference.name
        try:
            reply = self.ask("GET", f"/v2/{name}/blobs/{image.config}", f"repository:{name}:pull")
        except RegistryFailed:  # the image itself is known by now
            return image
        platforms = manifests.platform_of(reply.body, image) if reply.status == HTTPStatus.OK else ()
        return Resolved(image.reference, image.digest, image.media_type, image.size, platforms, image.config)

    def sign_in(self) -> bool:
        """Sign in by the registry's own protocol. Return whether an account was asked for. Raise RegistryFailed."""
        reply = self.ask("GET", "/v2/")
        if reply.status == HTTPStatus.UNAUTHORIZED:
            raise SignInFailed(self._denied(reply))
        if reply.status != HTTPStatus.OK:
            raise self.refusal(reply, "log in")
        if not _is_registry(reply):
            raise RegistryAway(Message("registry_other"), "log in")
        return bool(self._authorization)

    def ask(
        self,
        method: str,
        path: str,
        scope: str = "",
        *,
        headers: dict[str, str] | None = None,
        body: bytes | None = None,
        max_bytes: int = MAX_ANSWER,
    ) -> Reply:
        """Send one request, and sign in for `scope` ("repository:team/shop:pull,push") where the registry asks for it.

        Any status is a Reply. Raise RegistryAway and SignInFailed.
        """
        url = self.server + path
        known = self._authorization.get(scope) or self._authorization.get("*")
        reply = self._send(url, method, {**(headers or {}), **_header(known)}, body, max_bytes)
        if reply.status != HTTPStatus.UNAUTHORIZED or known:
            return reply
        challenge = challenges.chosen(challenges.parse(reply.headers.get("www-authenticate", "")))
        if challenge is None:
            return reply
        answered = self._answer(challenge, scope, reply)
        reply = self._send(url, method, {**(headers or {}), **_header(answered)}, body, max_bytes)
        if reply.status == HTTPStatus.UNAUTHORIZED and challenge.scheme == "basic":
            raise SignInFailed(self._denied(reply))
        return reply

    def refusal(self, reply: Reply, step: str, *, missing: bool = False) -> RegistryFailed:
        """Return the error that an answer is, in the registry's own words."""
        if 300 <= reply.status < 400:
            return RegistryAway(Message("probe.redirect", {"status": reply.status}), step)
        if errors.speaks_tls(reply.status, reply.body):
            return RegistryAway(Message("registry_speaks_tls"), step)
        words = self.words(reply)
        return ImageMissing(reply.status, words, step) if missing else RegistryRefused(reply.status, words, step)

    def words(self, reply: Reply) -> str:
        """Return what the registry says of an error, without the password."""
        return self._mask.text(errors.words_of(reply.body))

    def _answer(self, challenge: Challenge, scope: str, reply: Reply) -> str:
        """Return the Authorization that a challenge asks for."""
        if challenge.scheme == "bearer":
            self._authorization[scope] = "Bearer " + self._token(challenge, scope)
            return self._authorization[scope]
        if not self._part["user"]:
            raise SignInFailed(self._denied(reply))
        self._authorization["*"] = basic(self._part["user"], self._part["password"])["Authorization"]
        return self._authorization["*"]

    def _token(self, challenge: Challenge, scope: str) -> str:
        realm = challenge.params.get("realm", "")
        if message := challenges.realm_error(realm, self.server):
            raise SignInFailed(message)
        user = self._part["user"]
        login = basic(user, self._part["password"]) if user else {}
        host = urlsplit(realm).netloc
        try:
            reply = self._send(challenges.token_address(challenge, scope, user), "GET", login, None, MAX_ANSWER)
        except RegistryAway as error:
            raise RegistryAway(
                Message("registry_token.away", {"host": host, "reason": error.message}), "log in"
            ) from error
        if 300 <= reply.status < 400:
            raise SignInFailed(Message("registry_token.redirect", {"host": host, "status": reply.status}))
        if reply.status in _DENIED:
            raise SignInFailed(self._denied(reply))
        token = _token_of(reply) if reply.status == HTTPStatus.OK else ""
        if not token:
            raise SignInFailed(Message("registry_token.unusable", {"host": host, "status": reply.status}))
        self._mask.add(token)
        return token

    def _denied(self, reply: Reply) -> Message:
        """Return what it means that a sign-in was refused."""
        if not self._part["user"]:
            return Message("registry_sign_in.no_user")
        words = self.words(reply)
        return Message("registry_sign_in.words", {"words": words}) if words else Message("registry_sign_in")

    def _send(self, url: str, method: str, headers: dict[str, str], body: bytes | None, max_bytes: int) -> Reply:
        left = self._end - time.monotonic()
        if left <= 0:
            raise RegistryAway(Message("unreachable.timeout"))
        try:
            return exchange(
                url,
                method=method,
                body=body,
                headers=headers,
                context=self._context,
                proxies=proxies_for(url, self._proxies),
                timeout=left,
                max_bytes=max_bytes,
            )
        except Unreachable as error:
            raise RegistryAway(error.message) from error


class _Mask:
    """What may not stand in a message: the password in any form that is searched for, and tokens."""

    def __init__(self, password: Secret | str):
        self._values = [reveal(password)] if password else []

    def add(self, token: str) -> None:
        self._values.append(token)

    def text(self, text: str) -> str:
        masked = Mask(self._values).text(text)
        for value in self._values:
            if len(value) >= MIN_SECRET:
                masked = masked.replace(value, "[secret]")
        return masked


def _header(authorization: str | None) -> dict[str, str]:
    return {"Authorization": authorization} if authorization else {}


def _is_registry(reply: Reply) -> bool:
    """Return whether this answers `GET /v2/`: a web page that has every address does not."""
    if reply.headers.get("docker-distribution-api-version", "").startswith("registry/2"):
        return True
    return "html" not in reply.headers.get("content-type", "")


def _token_of(reply: Reply) -> str:
    """Return the token of a token server's answer; "" where there is none that could be sent."""
    try:
        answer: Any = json.loads(reply.body)
    except (ValueError, RecursionError):
        return ""
    if not isinstance(answer, dict):
        return ""
    token = answer.get("token") or answer.get("access_token")
    is_usable = isinstance(token, str) and len(token) <= MAX_TOKEN and token.isascii() and token.isprintable()
    return str(token) if is_usable and " " not in str(token) else ""


__all__ = [
    "ImageMissing",
    "ImageUnusable",
    "RegistryAway",
    "RegistryClient",
    "RegistryFailed",
    "RegistryRefused",
    "Resolved",
    "SignInFailed",
    "resolve",
]
