"""Receives packages: hashes, checks and rewrites them while they arrive, and assigns them to versions.

A version's row is the truth. The object is in the store, under a name of its own, before the transaction that claims
the row: of two uploads one wins, and an object that no row claimed is removed (packages/store.py).
"""

import base64
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, BinaryIO, Protocol

from django.core.files.storage import default_storage
from django.db import transaction
from django.http import HttpRequest, UnreadablePostError

from access.callers import Caller
from access.problems import FieldError, Problem, invalid, refused
from audit.history import record
from runtime.ids import parse_number

from .. import catalog
from ..models import MicroService, MicroServiceVersion
from ..packages import archives, differences
from ..packages.store import (
    PIECE,
    PendingObject,
    ReceivedPackage,
    TemporaryPackage,
    contents_of,
    ensure_rewritten,
    receive,
)
from ..status import BUILD_MAY_GO_ON, BUILD_TRANSITIONS, BuildStatus
from . import auto_deploy

MAX_BYTES = 4 * 1024**3
_TAKES_PACKAGE = [status for status, successors in BUILD_TRANSITIONS.items() if BuildStatus.SUCCESS in successors]


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
    """Receive a package and set the version to success; the same content again changes nothing.

    `claim` is called in the transaction that assigns the package, and may raise: then nothing is stored.

    `source_sha256` of the returned version is that of the bytes received here, also where another upload was first.
    Raise a Problem and store nothing: 400 broken off, 409 another package exists or the build has ended otherwise,
    413 too large, 422 bad archive or another digest than announced.
    """
    expected = _announced(content_digest)
    _refuse_ended(version)
    with TemporaryPackage(default_storage) as temporary:
        received = _receive(body, temporary, expected)
        if version.sha256 or _is_in_store(version):
            return _same_or_refuse(_reloaded(version), received)
        with _pending(version.microservice, version.version, received, temporary) as pending:
            return _assign(caller, version, received, pending, claim)


def publish(
    caller: Caller, service: MicroService, fields: Mapping[str, Any], body: Body, content_digest: str = ""
) -> tuple[MicroServiceVersion, bool]:
    """Create a version of catalog.VERSION_FIELDS together with its package; return it and whether it is new.

    The package is received and checked first, so the rows are written in one short transaction: both or neither.
    Refuses as `store` and `catalog.create_version` do.
    """
    expected = _announced(content_digest)
    name = str(fields["version"])
    catalog.check_version(MicroServiceVersion(microservice=service, **fields))  # the object is named after it
    with TemporaryPackage(default_storage) as temporary:
        received = _receive(body, temporary, expected)
        existing = service.versions.filter(version=name).first()
        if existing is not None and (existing.sha256 or _is_in_store(existing)):
            version, is_new = catalog.create_version(caller, service, fields)
            return _same_or_refuse(_reloaded(version), received), is_new
        with _pending(service, name, received, temporary) as pending, transaction.atomic():
            version, is_new = catalog.create_version(caller, service, fields)
            return _assign(caller, version, received, pending), is_new


def _receive(body: Body, temporary: BinaryIO, expected: str | None) -> ReceivedPackage:
    try:
        received = receive(body.read, temporary)
    except archives.BadArchive as error:
        raise Problem(422, error.message, errors=[FieldError("", error.message)]) from error
    if expected is not None and received.source_sha256 != expected:
        raise refused("digest_mismatch", [FieldError("/header/Content-Digest", "digest_differs")])
    return received


def _pending(service: MicroService, version: str, received: ReceivedPackage, temporary: BinaryIO) -> PendingObject:
    return PendingObject(default_storage, temporary, service.name, version, received.package.sha256)


def _assign(
    caller: Caller,
    version: MicroServiceVersion,
    received: ReceivedPackage,
    pending: PendingObject,
    claim: Callable[[], object] | None = None,
) -> MicroServiceVersion:
    statuses = [*_statuses_before(version), BuildStatus.SUCCESS]
    free = MicroServiceVersion.objects.filter(
        pk=version.pk, sha256="", status__in=statuses, file_path=version.file_path
    )
    with transaction.atomic():
        if claim is not None:
            claim()
        # Of uploads that race, one finds the row without a package; the others wait here until it has committed.
        won = free.update(file_path=pending.path, status=BuildStatus.SUCCESS, **received.fields())
        if won:
            pending.claim()
            _record(caller, version, received)
            auto_deploy.build_ended(_reloaded(version))
    current = _reloaded(version)
    return current if won else _same_or_refuse(current, received)


def _record(caller: Caller, version: MicroServiceVersion, received: ReceivedPackage) -> None:
    record(
        caller,
        "publish",
        "version",
        version,
        before={"status": version.status},
        after={
            "status": BuildStatus.SUCCESS.value,
            "sha256": received.package.sha256,
            "size": received.package.size,
            "source_sha256": received.source_sha256,
        },
        service=version.microservice,
    )


def _reloaded(version: MicroServiceVersion) -> MicroServiceVersion:
    row = MicroServiceVersion.objects.select_related("microservice").filter(pk=version.pk).first()
    if row is None:
        raise refused("not_found.version_deleted")
    return row


def _is_in_store(version: MicroServiceVersion) -> bool:
    """Return whether the package came into the store by other means and was not looked at yet."""
    return bool(version.file_path) and default_storage.exists(version.file_path)


def _same_or_refuse(version: MicroServiceVersion, received: ReceivedPackage) -> MicroServiceVersion:
    """Return the version where it has this package. Raise Problem 409 where it has another, or none and has ended."""
    _refuse_ended(version)
    with suppress(archives.BadArchive, FileNotFoundError):
        if received.is_of(ensure_rewritten(version)):
            version.source_sha256 = received.source_sha256  # of this request; the row keeps that of the first one
            return version
        count, changes, errors = differences.compare(contents_of(version), received.package.entries)
        raise refused("package_exists.differs", errors, version=version.version, count=count, changes=changes)
    raise refused("package_exists", version=version.version)


def _statuses_before(version: MicroServiceVersion) -> list[BuildStatus]:
    """Return the statuses in which a version takes a package.

    A pipeline that failed and is retried at its build server may send its package before the retry is known here.
    """
    at_server = not version.microservice.is_built_by_workers
    return [*_TAKES_PACKAGE, *(BUILD_MAY_GO_ON if at_server else ())]


def _refuse_ended(version: MicroServiceVersion) -> None:
    status = BuildStatus(version.status)
    if status != BuildStatus.SUCCESS and status not in _statuses_before(version):
        raise refused("build_ended", version=version.version, status=status.label)


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
