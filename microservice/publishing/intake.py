"""Packages: taken into the store while they are hashed and looked through.

A version's row is the truth. The store's file is put in place within the transaction that claims the row, so of two
uploads one wins, and a file that nobody's row names is a left-over that the next upload replaces.
"""
import base64
import hashlib
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, BinaryIO, Protocol

from django.core.files.storage import Storage, default_storage
from django.db import transaction
from django.http import HttpRequest, UnreadablePostError

from access.callers import Caller
from access.problems import Problem, conflict, invalid

from .. import catalog
from ..history import record
from ..models import MicroService, MicroServiceVersion
from ..packages import archives, placing
from ..packages.stored import PIECE, ensure_described
from ..status import BUILD_TRANSITIONS, BuildStatus, may_become
from . import following

LIMIT = 4 * 1024**3
_TAKES_PACKAGE = [status for status, onward in BUILD_TRANSITIONS.items() if BuildStatus.SUCCESS in onward]


class Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


@dataclass
class Body:
    """A request's body as a stream: `length` bytes are announced, or None where it comes in chunks."""

    stream: Readable
    length: int | None

    def __post_init__(self):
        self.taken = 0

    def read(self) -> bytes:
        """The next piece, b"" at the end. Raises a Problem: 413 past LIMIT, 400 where the client broke off."""
        try:
            piece = self.stream.read(PIECE)
        except (UnreadablePostError, OSError) as error:
            raise _broken_off() from error
        self.taken += len(piece)
        if self.taken > LIMIT:
            raise _too_large()
        if not piece and self.length is not None and self.taken < self.length:
            raise _broken_off()
        return piece


def body_of(request: HttpRequest) -> Body:
    """The raw body; nothing of it is read yet. Raises 413 where its announced length is past LIMIT."""
    chunked = "chunked" in request.META.get("HTTP_TRANSFER_ENCODING", "").lower()
    if chunked and request.META.get("wsgi.input_terminated"):
        return Body(request.META["wsgi.input"], None)  # Django takes a body without a length for an empty one
    length = request.META.get("CONTENT_LENGTH") or "0"
    if not length.isascii() or not length.isdigit():
        raise Problem(400, "bad_request", "Content-Length is no number.")
    if int(length) > LIMIT:
        raise _too_large()
    return Body(request, int(length))


def store(caller: Caller, version: MicroServiceVersion, body: Body, content_digest: str = "") -> MicroServiceVersion:
    """Takes a package in and moves the version to success; the same bytes again change nothing.

    Raises a Problem, and keeps nothing: 400 broken off, 409 another package is there or the build has ended
    otherwise, 413 too large, 422 no good .tar.gz or another digest than announced.
    """
    expected = _announced(content_digest)
    _refuse_ended(version)
    storage = default_storage
    with placing.Temporary(storage) as temporary:
        found = _take_in(body, temporary)
        if expected is not None and found.sha256 != expected:
            raise invalid("/header/Content-Digest", "is not the digest of the bytes that came", "digest_mismatch")
        path = placing.carried(storage, temporary, version.microservice.name, version.version, found.sha256)
        return _put_in_place(caller, version, found, path, temporary, storage)


def publish(
    caller: Caller, service: MicroService, fields: Mapping[str, Any], body: Body, content_digest: str = ""
) -> tuple[MicroServiceVersion, bool]:
    """Makes a version of catalog.VERSION_FIELDS together with its package; returns it and whether it is new.

    The package is taken in and looked through first, so the rows are written in one short transaction: both or
    neither. Refuses as `store` and `catalog.create_version` do.
    """
    expected = _announced(content_digest)
    storage = default_storage
    with placing.Temporary(storage) as temporary:
        found = _take_in(body, temporary)
        if expected is not None and found.sha256 != expected:
            raise invalid("/header/Content-Digest", "is not the digest of the package's bytes", "digest_mismatch")
        path = placing.carried(storage, temporary, service.name, str(fields["version"]), found.sha256)
        with transaction.atomic():
            version, is_new = catalog.create_version(caller, service, fields)
            return _put_in_place(caller, version, found, path, temporary, storage), is_new


@dataclass(frozen=True, slots=True)
class _Found:
    sha256: str
    size: int
    unpacked_size: int


def _take_in(body: Body, temporary: BinaryIO) -> _Found:
    """Writes, hashes and checks in one pass."""
    digest = hashlib.sha256()

    def read() -> bytes:
        piece = body.read()
        digest.update(piece)
        temporary.write(piece)
        return piece

    try:
        unpacked = archives.check(read)
    except archives.BadArchive as error:
        raise invalid("", f"this is no package: {error}", "bad_package", "Send a .tar.gz of files, folders and "
                      "links that stay inside it.") from error
    temporary.flush()
    os.fsync(temporary.fileno())
    return _Found(digest.hexdigest(), body.taken, unpacked)


def _put_in_place(
    caller: Caller, version: MicroServiceVersion, found: _Found, path: str, temporary: BinaryIO, storage: Storage
) -> MicroServiceVersion:
    free = MicroServiceVersion.objects.filter(
        pk=version.pk, sha256="", status__in=[*_TAKES_PACKAGE, BuildStatus.SUCCESS], file_path=version.file_path
    )
    if version.file_path and storage.exists(version.file_path):
        free = free.none()  # somebody put it into the store by other means
    with transaction.atomic():
        # Of uploads that race, one finds the row without a package; the others wait here until it has committed.
        won = free.update(file_path=path, sha256=found.sha256, size=found.size, unpacked_size=found.unpacked_size,
                          status=BuildStatus.SUCCESS)
        if won:
            placing.place(storage, temporary, path)
            record(caller, "publish", "version", version, before={"status": version.status},
                   after={"status": BuildStatus.SUCCESS.value, "sha256": found.sha256, "size": found.size},
                   service=version.microservice)
            built = MicroServiceVersion.objects.select_related("microservice").get(pk=version.pk)
            following.build_ended(built)
    there = MicroServiceVersion.objects.select_related("microservice").filter(pk=version.pk).first()
    if there is None:
        raise Problem(404, "not_found", "The version was deleted meanwhile.")
    if not won:
        if there.file_path != path:
            placing.drop(storage, path)
        _refuse_ended(there)
        _refuse_other(there, found.sha256)
    return there


def _refuse_other(there: MicroServiceVersion, sha256: str) -> None:
    with suppress(archives.BadArchive, FileNotFoundError):
        if ensure_described(there).sha256 == sha256:
            return
    raise conflict("package_exists", f"{there.version} has another package already; it is never replaced.",
                   "Publish it as another version.")


def _refuse_ended(version: MicroServiceVersion) -> None:
    status = BuildStatus(version.status)
    if status != BuildStatus.SUCCESS and not may_become(BUILD_TRANSITIONS, status, BuildStatus.SUCCESS):
        raise conflict("build_ended", f"The build of {version.version} has ended: {status.label}.",
                       "Publish it as another version.")


def _announced(content_digest: str) -> str | None:
    """The sha-256 of a Content-Digest header (RFC 9530) in hex; None where it names none that is known."""
    for entry in content_digest.split(","):
        name, _, value = entry.strip().partition("=")
        if name.lower() != "sha-256":
            continue
        try:
            digest = base64.b64decode(value[1:-1], validate=True)
        except ValueError:
            digest = b""
        if len(digest) != 32 or not (value.startswith(":") and value.endswith(":")):
            raise invalid("/header/Content-Digest", "must be sha-256=:base64 of 32 bytes:")
        return digest.hex()
    if content_digest.strip():
        raise invalid("/header/Content-Digest", "names no sha-256")
    return None


def _too_large() -> Problem:
    return Problem(413, "too_large", f"A package has {LIMIT // 1024**3} GiB at most.")


def _broken_off() -> Problem:
    return Problem(400, "incomplete", "The request ended before its body did.", "Send it again.")
