"""Assigns packages to versions: one row and one object, or neither.

A version's row is the truth. The object is in the store, under a name of its own, before the transaction that claims
the row: of two that publish at once one wins, and an object that no row claimed is removed (packages/store.py).
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, BinaryIO

from django.core.files.storage import default_storage
from django.db import transaction

from access.callers import Caller
from access.problems import FieldError, Problem, refused
from audit.history import record

from .. import catalog
from ..models import MicroService, MicroServiceVersion
from ..packages import archives, differences
from ..packages.store import PendingObject, ReceivedPackage, TemporaryPackage, contents_of, ensure_rewritten
from ..status import BUILD_CANCELLED, BUILD_MAY_GO_ON, BUILD_TRANSITIONS, BuildStatus
from . import auto_deploy

Receiver = Callable[[BinaryIO], ReceivedPackage]  # writes the package into the file; raises a Problem
_TAKES_PACKAGE = [status for status, successors in BUILD_TRANSITIONS.items() if BuildStatus.SUCCESS in successors]


def assign(
    caller: Caller, version: MicroServiceVersion, receive: Receiver, claim: Callable[[], object] | None = None
) -> MicroServiceVersion:
    """Receive a package and set the version to success; the same content again changes nothing.

    `claim` is called in the transaction that assigns the package, and may raise: then nothing is stored.

    `source_sha256` of the returned version is that of the bytes received here, also where another one was first.
    Raise a Problem and store nothing: 409 where another package exists or the build has ended otherwise.
    """
    _refuse_ended(version)
    with TemporaryPackage(default_storage) as temporary:
        received = receive(temporary)
        if version.sha256 or _is_in_store(version):
            return _same_or_refuse(_reloaded(version), received)
        with _pending(version.microservice, version.version, received, temporary) as pending:
            return _assign(caller, version, received, pending, claim)


def create(
    caller: Caller, service: MicroService, fields: Mapping[str, Any], receive: Receiver
) -> tuple[MicroServiceVersion, bool]:
    """Create a version of catalog.VERSION_FIELDS together with its package; return it and whether it is new.

    The package is received and checked first, so the rows are written in one short transaction: both or neither.
    Refuses as `assign` and `catalog.create_version` do.
    """
    name = str(fields["version"])
    catalog.check_version(MicroServiceVersion(microservice=service, **fields))  # the object is named after it
    with TemporaryPackage(default_storage) as temporary:
        received = receive(temporary)
        existing = service.versions.filter(version=name).first()
        if existing is not None and (existing.sha256 or _is_in_store(existing)):
            version, is_new = catalog.create_version(caller, service, fields)
            return _same_or_refuse(_reloaded(version), received), is_new
        with _pending(service, name, received, temporary) as pending, transaction.atomic():
            version, is_new = catalog.create_version(caller, service, fields)
            return _assign(caller, version, received, pending), is_new


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
    ).exclude(status=BuildStatus.FAILED, build_detail_code__startswith=BUILD_CANCELLED)  # while it was received
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
            **({"image": received.image, "image_tag": received.image_tag} if received.image else {}),
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
            if not received.image:
                version.source_sha256 = received.source_sha256  # of this request; the row keeps that of the first one
            return version
        if version.image or received.image:
            raise _another_image(version, received)
        count, changes, errors = differences.compare(contents_of(version), received.package.entries)
        raise refused("package_exists.differs", errors, version=version.version, count=count, changes=changes)
    raise refused("package_exists", version=version.version)


def _another_image(version: MicroServiceVersion, received: ReceivedPackage) -> Problem:
    """Return the 409 where one of the two packages is an image, and the other one is another image or none."""
    if not received.image:
        return refused("package_exists.is_image", version=version.version, image=version.image)
    if not version.image:
        return refused("package_exists.no_image", [FieldError("/version", "has_package")], version=version.version)
    change: dict[str, Any] = {"version": version.version, "old": version.image, "new": received.image}
    given = received.image_tag or received.image
    error = FieldError("/image", "image_differs", **change)
    return refused("package_exists.another_image", [error], **change, given=given)


def _statuses_before(version: MicroServiceVersion) -> list[BuildStatus]:
    """Return the statuses in which a version takes a package.

    A pipeline that failed and is retried at its build server may send its package before the retry is known here.
    """
    at_server = not version.microservice.is_built_by_workers
    return [*_TAKES_PACKAGE, *(BUILD_MAY_GO_ON if at_server and not version.is_build_cancelled else ())]


def _refuse_ended(version: MicroServiceVersion) -> None:
    status = BuildStatus(version.status)
    if status != BuildStatus.SUCCESS and status not in _statuses_before(version):
        raise refused("build_ended", version=version.version, status=status.label)
