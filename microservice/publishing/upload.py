"""Packages: taken into the store while they are hashed, looked through and written anew.

A version's row is the truth. The object is in the store before the transaction that claims the row, under a name of
its own: of two uploads one wins, and what no row took is removed (packages/placement.py).
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
from access.problems import Problem, conflict, invalid
from audit.history import record

from .. import catalog
from ..models import MicroService, MicroServiceVersion
from ..packages import archives, differences, placement
from ..packages.store import PIECE, Taken, contents_of, ensure_described, take
from ..status import BUILD_MAY_GO_ON, BUILD_TRANSITIONS, BuildStatus
from . import auto_deploy

LIMIT = 4 * 1024**3
GOOD = (
    "Send a .tar.gz (or .tar, .tar.bz2, .tar.xz, .zip) of files, folders and links that stay inside it: "
    "tar -czf package.tar.gz -C FOLDER ."
)
_TAKES_PACKAGE = [status for status, onward in BUILD_TRANSITIONS.items() if BuildStatus.SUCCESS in onward]


class Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


@dataclass
class Body:
    """A request's body as a stream: `length` bytes are announced, or None where it comes in chunks.

    `at_end` is called once all of it has come, before anything is kept of it, and may raise a Problem: hours may have
    passed since its sender was recognised.
    """

    stream: Readable
    length: int | None
    at_end: Callable[[], object] | None = None

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
        if not piece and self.at_end is not None:
            self.at_end()
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


def store(
    caller: Caller,
    version: MicroServiceVersion,
    body: Body,
    content_digest: str = "",
    *,
    claim: Callable[[], object] | None = None,
) -> MicroServiceVersion:
    """Takes a package in and moves the version to success; the same content again changes nothing.

    `claim` is called in the transaction that takes the package, and may raise: then nothing is taken.

    `source_sha256` of the version that is returned is that of the bytes that came, also where others were first.
    Raises a Problem, and keeps nothing: 400 broken off, 409 another package is there or the build has ended
    otherwise, 413 too large, 422 no good archive or another digest than announced.
    """
    expected = _announced(content_digest)
    _refuse_ended(version)
    with placement.Temporary(default_storage) as temporary:
        taken = _take_in(body, temporary, expected)
        if version.sha256 or _is_there(version):
            return _same(_again(version), taken)
        with _carried(version.microservice, version.version, taken, temporary) as carried:
            return _claim(caller, version, taken, carried, claim)


def publish(
    caller: Caller, service: MicroService, fields: Mapping[str, Any], body: Body, content_digest: str = ""
) -> tuple[MicroServiceVersion, bool]:
    """Makes a version of catalog.VERSION_FIELDS together with its package; returns it and whether it is new.

    The package is taken in and looked through first, so the rows are written in one short transaction: both or
    neither. Refuses as `store` and `catalog.create_version` do.
    """
    expected = _announced(content_digest)
    name = str(fields["version"])
    catalog.check_version(MicroServiceVersion(microservice=service, **fields))  # the object is named after it
    with placement.Temporary(default_storage) as temporary:
        taken = _take_in(body, temporary, expected)
        there = service.versions.filter(version=name).first()
        if there is not None and (there.sha256 or _is_there(there)):
            found, is_new = catalog.create_version(caller, service, fields)
            return _same(_again(found), taken), is_new
        with _carried(service, name, taken, temporary) as carried, transaction.atomic():
            version, is_new = catalog.create_version(caller, service, fields)
            return _claim(caller, version, taken, carried), is_new


def _take_in(body: Body, temporary: BinaryIO, expected: str | None) -> Taken:
    """Hashes, checks and writes anew in one pass."""
    try:
        taken = take(body.read, temporary)
    except archives.BadArchive as error:
        raise invalid("", f"this is no package: {error}", "bad_package", error.hint or GOOD) from error
    if expected is not None and taken.source_sha256 != expected:
        raise invalid("/header/Content-Digest", "is not the digest of the package's bytes", "digest_mismatch")
    return taken


def _carried(service: MicroService, version: str, taken: Taken, temporary: BinaryIO) -> placement.Carried:
    return placement.Carried(default_storage, temporary, service.name, version, taken.package.sha256)


def _claim(
    caller: Caller,
    version: MicroServiceVersion,
    taken: Taken,
    carried: placement.Carried,
    claim: Callable[[], object] | None = None,
) -> MicroServiceVersion:
    may = [*_takes_package(version), BuildStatus.SUCCESS]
    free = MicroServiceVersion.objects.filter(pk=version.pk, sha256="", status__in=may, file_path=version.file_path)
    with transaction.atomic():
        if claim is not None:
            claim()
        # Of uploads that race, one finds the row without a package; the others wait here until it has committed.
        won = free.update(file_path=carried.path, status=BuildStatus.SUCCESS, **taken.fields())
        if won:
            carried.claim()
            package = taken.package
            record(
                caller,
                "publish",
                "version",
                version,
                before={"status": version.status},
                after={
                    "status": BuildStatus.SUCCESS.value,
                    "sha256": package.sha256,
                    "size": package.size,
                    "source_sha256": taken.source_sha256,
                },
                service=version.microservice,
            )
            auto_deploy.build_ended(_again(version))
    there = _again(version)
    return there if won else _same(there, taken)


def _again(version: MicroServiceVersion) -> MicroServiceVersion:
    there = MicroServiceVersion.objects.select_related("microservice").filter(pk=version.pk).first()
    if there is None:
        raise Problem(404, "not_found", "The version was deleted meanwhile.")
    return there


def _is_there(version: MicroServiceVersion) -> bool:
    """Whether somebody put its package into the store by other means, and it was not looked at yet."""
    return bool(version.file_path) and default_storage.exists(version.file_path)


def _same(there: MicroServiceVersion, taken: Taken) -> MicroServiceVersion:
    """The version that has this package already. Raises Problem 409 where it has another one, or none and has ended."""
    _refuse_ended(there)
    told = "what is stored of it cannot be read"
    errors: list[dict] = []
    with suppress(archives.BadArchive, FileNotFoundError):
        if taken.is_of(ensure_described(there)):
            there.source_sha256 = taken.source_sha256  # what this request sent; the row keeps what the first one did
            return there
        told, errors = differences.between(contents_of(there), taken.package.entries)
    raise conflict(
        "package_exists",
        f"{there.version} has another package already, which is never replaced: {told}.",
        "Publish it as another version.",
        errors,
    )


def _takes_package(version: MicroServiceVersion) -> list[BuildStatus]:
    """A pipeline that failed and was retried at its build server sends its package, perhaps before we know of it."""
    at_server = version.microservice.build_orig != MicroService.Origin.GIT
    return [*_TAKES_PACKAGE, *(BUILD_MAY_GO_ON if at_server else ())]


def _refuse_ended(version: MicroServiceVersion) -> None:
    status = BuildStatus(version.status)
    if status != BuildStatus.SUCCESS and status not in _takes_package(version):
        raise conflict(
            "build_ended",
            f"The build of {version.version} has ended: {status.label}.",
            "Publish it as another version.",
        )


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
