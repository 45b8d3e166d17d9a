"""The package store: each object belongs to one version or is removed.

An object's name is unique (it contains hash and chance), so of two uploads that race neither can touch the other's
object. It is noted as unclaimed before it exists, and the note goes in the transaction in which a version claims it.
"""

import hashlib
import logging
import os
import secrets
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from django.core.files import File
from django.core.files.storage import Storage, default_storage
from django.db import DatabaseError, transaction
from django.utils import timezone

from access.problems import refused

from ..models import MicroService, MicroServiceVersion, UnclaimedPackage
from . import archives, images

log = logging.getLogger(__name__)
PIECE = 1024 * 1024  # bytes
INCOMING = ".incoming"
UNCLAIMED_TIMEOUT = 6 * 3600  # seconds without a byte; no upload takes as long
MAX_SWEPT = 20  # objects in one sweep


@dataclass(frozen=True, slots=True)
class ReceivedPackage:
    """A package that was rewritten into a file, and the hash of the bytes that it was made of.

    `image`, `image_tag`: of the package of an image, its pinned reference and the one that was given; else "".
    """

    package: archives.Rewritten
    source_sha256: str
    image: str = ""
    image_tag: str = ""

    def fields(self) -> dict[str, str | int]:
        """Return the columns of a version that describe its package."""
        fields: dict[str, str | int] = {
            "sha256": self.package.sha256,
            "size": self.package.size,
            "unpacked_size": self.package.unpacked_size,
            "manifest": self.package.manifest,
            "source_sha256": self.source_sha256,
        }
        return fields | ({"image": self.image, "image_tag": self.image_tag} if self.image else {})

    def is_of(self, version: MicroServiceVersion) -> bool:
        """Return whether the version's package has this content, or was made of the same bytes."""
        if self.image:
            return images.is_same(version.image, self.image)
        return version.source_sha256 == self.source_sha256 or version.manifest == self.package.manifest


def receive(read: Callable[[], bytes], temporary: BinaryIO) -> ReceivedPackage:
    """Rewrite what `read` returns (b"" at the end) into the file, and fsync it. Raise BadArchive."""
    digest = hashlib.sha256()

    def hashed() -> bytes:
        piece = read()
        digest.update(piece)
        return piece

    package = archives.rewrite(hashed, temporary.write, Path(temporary.name).parent)
    temporary.flush()
    os.fsync(temporary.fileno())
    return ReceivedPackage(package, digest.hexdigest())


class TemporaryPackage:
    """A file beside the store, so that a rename puts it in place; removed on exit in any case."""

    def __init__(self, storage: Storage) -> None:
        folder = _local_path(storage, INCOMING)
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            _sweep_incoming(folder)
        self.file = tempfile.NamedTemporaryFile(dir=folder, suffix=".tar.gz", delete=False)  # noqa: SIM115

    def __enter__(self) -> BinaryIO:
        return self.file  # type: ignore[return-value]

    def __exit__(self, *_: object) -> None:
        try:
            self.file.close()  # on a full disk this fails too, and the file must go all the same
        finally:
            with suppress(FileNotFoundError):  # renamed into the store
                Path(self.file.name).unlink()


class PendingObject:
    """A package's object in the store while the context lasts, and afterwards if it was claimed.

    A remote store receives the object on entering: no transaction waits for that.
    """

    def __init__(self, storage: Storage, temporary: BinaryIO, service: str, version: str, sha256: str) -> None:
        self._storage, self._temporary = storage, temporary
        self.path = f"{service}/{version}-{sha256[:16]}-{secrets.token_hex(4)}.tar.gz"
        self._claimed = False

    def __enter__(self) -> "PendingObject":
        sweep(self._storage)
        UnclaimedPackage.objects.create(path=self.path)
        target = _local_path(self._storage, self.path)
        if target is None:
            self._temporary.seek(0)
            self._storage.save(self.path, File(self._temporary))
        else:
            _rename(Path(self._temporary.name), target)
        return self

    def claim(self) -> None:
        """Call in the transaction that writes the path to a version's row. Raise Problem where a sweep was first."""
        if not UnclaimedPackage.objects.filter(path=self.path, doomed=False).delete()[0]:
            raise refused("unavailable.package_store")
        self._claimed = True

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Where the database failed, it is unknown whether it committed: then the note decides, and the sweep.
        if not self._claimed or (kind is not None and not issubclass(kind, DatabaseError)):
            remove([self.path], self._storage)


def open_package(version: MicroServiceVersion) -> BinaryIO:
    """Open the package as a binary file. Raise FileNotFoundError where the store has lost it."""
    return default_storage.open(version.file_path, "rb")  # type: ignore[return-value]


def contents_of(version: MicroServiceVersion) -> Mapping[str, bytes]:
    """Read the whole package and return its contents as Contents.entries does.

    Raise FileNotFoundError, and archives.BadArchive where the store returns other bytes.
    """
    with open_package(version) as file:
        return archives.entries(lambda: file.read(PIECE))


def ensure_rewritten(version: MicroServiceVersion) -> MicroServiceVersion:
    """Rewrite a package that came into the store by other means than an upload, before it is used.

    Read the whole package once. Raise FileNotFoundError where it is missing, archives.BadArchive where it is bad or
    in another service's folder.
    """
    if version.file_path and not version.sha256:
        rewrite(version)
    return version


def rewrite(version: MicroServiceVersion) -> bool:
    """Write the version's package anew and assign the new one; return False where the row was changed meanwhile.

    The old object, where it is in the service's own folder, is removed hours later: an operation may be reading it.
    Raise FileNotFoundError and archives.BadArchive, and changes nothing then.
    """
    old, service = version.file_path, version.microservice
    owner = MicroService.objects.filter(name=old.partition("/")[0]).first()
    if owner is not None and owner.pk != service.pk:
        raise archives.BadArchive("bad_package.other_service")
    with TemporaryPackage(default_storage) as temporary:
        with open_package(version) as file:
            received = receive(lambda: file.read(PIECE), temporary)
        pending = PendingObject(default_storage, temporary, service.name, version.version, received.package.sha256)
        with pending, transaction.atomic():
            unchanged = MicroServiceVersion.objects.filter(pk=version.pk, sha256=version.sha256, file_path=old)
            won = unchanged.update(file_path=pending.path, **received.fields())
            if won:
                pending.claim()
                release(service, [old])
    version.refresh_from_db(fields=["file_path", *received.fields()])
    return bool(won)


def release(service: MicroService, paths: list[str], doomed: bool = False) -> list[str]:
    """Note objects of the service's versions as unclaimed and return their paths. Call in the versions' transaction.

    Objects in other folders, and those that another version still uses, are left alone.
    """
    own = {path for path in paths if is_in_folder(service.name, path)}
    used = MicroServiceVersion.objects.filter(file_path__startswith=f"{service.name}/")
    own -= set(used.values_list("file_path", flat=True))
    UnclaimedPackage.objects.bulk_create(
        [UnclaimedPackage(path=path, doomed=doomed) for path in sorted(own)], batch_size=500, ignore_conflicts=True
    )
    return sorted(own)


def is_in_folder(service: str, path: str) -> bool:
    """Return whether the path is in the service's own folder of the store, where no other service's packages are."""
    first, *rest = path.split("/")
    return first == service and bool(rest) and not {"", ".", ".."} & set(rest) and "\\" not in path


def remove(paths: Iterable[str], storage: Storage = default_storage) -> None:
    """Remove unclaimed objects; missing ones are ignored. What cannot be removed now stays noted for the sweep."""
    removed = []
    for path in paths:
        try:
            with suppress(FileNotFoundError):
                storage.delete(path)
            removed.append(path)
        except Exception:  # each store raises errors of its own; none is worth failing a finished request
            log.warning("could not remove %s from the package store; a later sweep retries", path, exc_info=True)
    for start in range(0, len(removed), 500):
        UnclaimedPackage.objects.filter(path__in=removed[start : start + 500]).delete()


def sweep(storage: Storage) -> None:
    """Remove what uploads that died left behind: objects that are unclaimed for longer than any upload takes."""
    old = UnclaimedPackage.objects.filter(created__lt=timezone.now() - timedelta(seconds=UNCLAIMED_TIMEOUT))
    paths = list(old.order_by("created").values_list("path", flat=True)[:MAX_SWEPT])
    if not paths:
        return
    UnclaimedPackage.objects.filter(path__in=paths).update(doomed=True)
    used = set(MicroServiceVersion.objects.filter(file_path__in=paths).values_list("file_path", flat=True))
    UnclaimedPackage.objects.filter(path__in=used).delete()
    remove(set(paths) - used, storage)


def _sweep_incoming(folder: Path) -> None:
    """Remove the files of processes that died during an upload."""
    for file in folder.iterdir():
        with suppress(FileNotFoundError):
            if time.time() - file.stat().st_mtime > UNCLAIMED_TIMEOUT:
                file.unlink()


def _rename(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    source.replace(target)
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _local_path(storage: Storage, path: str) -> Path | None:
    """Return the path in a local folder; None where the store is remote."""
    try:
        return Path(storage.path(path))
    except NotImplementedError:
        return None
