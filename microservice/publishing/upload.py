"""Receives packages: hashes, checks and rewrites them while they arrive. `assignment` gives them to versions."""

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO, Protocol

from django.http import HttpRequest, UnreadablePostError

from access.callers import Caller
from access.problems import FieldError, Problem, invalid, refused
from runtime.ids import parse_number

from ..models import MicroService, MicroServiceVersion
from ..packages import archives
from ..packages.store import PIECE, ReceivedPackage, receive
from . import assignment

MAX_BYTES = 4 * 1024**3


class Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


@dataclass
class Body:
    """A request's body as a stream. `length`: the announced bytes, or None where it comes in chunks.

    `at_end` is called once everything has arrived, before anything is stored, and may raise a Problem: hours may have
    passed since the sender was authenticated.
    """

    stream: Readable
    length: int | None
    at_end: Callable[[], object] | None = None

    def __post_init__(self) -> None:
        self.received = 0

    def read(self) -> bytes:
        """Return the next piece, b"" at the end. Raise a Problem: 413 past MAX_BYTES, 400 where the client left."""
        try:
            piece = self.stream.read(PIECE)
        except (UnreadablePostError, OSError) as error:
            raise refused("incomplete.package") from error
        self.received += len(piece)
        if self.received > MAX_BYTES:
            raise _too_large()
        if not piece and self.length is not None and self.received < self.length:
            raise refused("incomplete.package")
        if not piece and self.at_end is not None:
            self.at_end()
        return piece


def body_of(request: HttpRequest) -> Body:
    """Return the raw body, unread. Raise 413 where its announced length is past MAX_BYTES."""
    chunked = "chunked" in request.META.get("HTTP_TRANSFER_ENCODING", "").lower()
    if chunked and request.META.get("wsgi.input_terminated"):
        return Body(request.META["wsgi.input"], None)  # Django treats a body without a length as empty
    length = parse_number(request.META.get("CONTENT_LENGTH") or "0")
    if length is None:
        raise refused("bad_request.content_length")
    if length > MAX_BYTES:
        raise _too_large()
    return Body(request, length)


def store(
    caller: Caller,
    version: MicroServiceVersion,
    body: Body,
    content_digest: str = "",
    *,
    claim: Callable[[], object] | None = None,
) -> MicroServiceVersion:
    """Receive a package and set the version to success: see `assignment.assign`.

    Raise a Problem and store nothing: 400 broken off, 409 another package exists or the build has ended otherwise,
    413 too large, 422 bad archive or another digest than announced.
    """
    return assignment.assign(caller, version, _receiver(body, content_digest), claim)


def publish(
    caller: Caller, service: MicroService, fields: Mapping[str, Any], body: Body, content_digest: str = ""
) -> tuple[MicroServiceVersion, bool]:
    """Create a version together with its package: see `assignment.create`. Refuses as `store` does."""
    return assignment.create(caller, service, fields, _receiver(body, content_digest))


def _receiver(body: Body, content_digest: str) -> assignment.Receiver:
    expected = _announced(content_digest)

    def receive_it(temporary: BinaryIO) -> ReceivedPackage:
        try:
            received = receive(body.read, temporary)
        except archives.BadArchive as error:
            raise Problem(422, error.message, errors=[FieldError("", error.message)]) from error
        if expected is not None and received.source_sha256 != expected:
            raise refused("digest_mismatch", [FieldError("/header/Content-Digest", "digest_differs")])
        return received

    return receive_it


def _announced(content_digest: str) -> str | None:
    """Return the sha-256 of a Content-Digest header (RFC 9530) in hex; None where there is no header."""
    for entry in content_digest.split(","):
        name, _, value = entry.strip().partition("=")
        if name.lower() != "sha-256":
            continue
        try:
            digest = base64.b64decode(value[1:-1], validate=True)
        except ValueError:
            digest = b""
        if len(digest) != 32 or not (value.startswith(":") and value.endswith(":")):
            raise invalid("/header/Content-Digest", "digest_format")
        return digest.hex()
    if content_digest.strip():
        raise invalid("/header/Content-Digest", "digest_algorithm")
    return None


def _too_large() -> Problem:
    return refused("too_large.package", max_gib=MAX_BYTES // 1024**3)
