"""Packages that lie in the store: opened, taken from others' hands, and taken out again."""

import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from django.core.files.storage import default_storage
from django.db import transaction

from ..models import MicroService, MicroServiceVersion, UnclaimedPackage
from . import archives, placement

PIECE = 1024 * 1024  # bytes


@dataclass(frozen=True, slots=True)
class Taken:
    """A package that was rewritten into a file: what it is now, and the hash of what it was made of."""

    package: archives.Rewritten
    source_sha256: str

    def fields(self) -> dict[str, str | int]:
        """The columns of a version that describe its package."""
        made = self.package
        return {
            "sha256": made.sha256,
            "size": made.size,
            "unpacked_size": made.unpacked_size,
            "manifest": made.manifest,
            "source_sha256": self.source_sha256,
        }

    def is_of(self, version: MicroServiceVersion) -> bool:
        """Whether the version's package has this content, or was made of the same bytes."""
        return version.source_sha256 == self.source_sha256 or version.manifest == self.package.manifest


def take(read: Callable[[], bytes], temporary: BinaryIO) -> Taken:
    """Rewrites what `read` gives (b"" at the end) into the file, which is then on the disk. Raises BadArchive."""
    digest = hashlib.sha256()

    def hashed() -> bytes:
        piece = read()
        digest.update(piece)
        return piece

    made = archives.rewrite(hashed, temporary.write, Path(temporary.name).parent)
    temporary.flush()
    os.fsync(temporary.fileno())
    return Taken(made, digest.hexdigest())


def open_package(version: MicroServiceVersion) -> BinaryIO:
    """The package as a binary file, from its start. Raises FileNotFoundError where the store has lost it."""
    return default_storage.open(version.file_path, "rb")  # type: ignore[return-value]


def contents_of(version: MicroServiceVersion) -> Mapping[str, bytes]:
    """What is in the package, as packages.contents has it. Reads the whole package. Raises FileNotFoundError, and
    archives.BadArchive where the store gives something else back."""
    with open_package(version) as file:
        return archives.entries(lambda: file.read(PIECE))


def ensure_described(version: MicroServiceVersion) -> MicroServiceVersion:
    """Rewrites a package that came into the store by other means than an upload, before anything is done with it.

    Reads the whole package once. Raises FileNotFoundError where it is not there, archives.BadArchive where it is bad or
    lies in another service's folder.
    """
    if version.file_path and not version.sha256:
        rewrite(version)
    return version


def rewrite(version: MicroServiceVersion) -> bool:
    """Writes the version's package anew and gives it that one; False where the row was changed meanwhile.

    The old object, where it lies in the service's own folder, is removed hours later: an operation may be reading it.
    Raises FileNotFoundError and archives.BadArchive, and changes nothing then.
    """
    old, service = version.file_path, version.microservice
    owner = MicroService.objects.filter(name=old.partition("/")[0]).first()
    if owner is not None and owner.pk != service.pk:
        raise archives.BadArchive("it lies in another service's folder")
    with placement.Temporary(default_storage) as temporary:
        with open_package(version) as file:
            taken = take(lambda: file.read(PIECE), temporary)
        carried = placement.Carried(default_storage, temporary, service.name, version.version, taken.package.sha256)
        with carried, transaction.atomic():
            unmoved = MicroServiceVersion.objects.filter(pk=version.pk, sha256=version.sha256, file_path=old)
            won = unmoved.update(file_path=carried.path, **taken.fields())
            if won:
                carried.claim()
                release(service, [old])
    version.refresh_from_db(fields=["file_path", *taken.fields()])
    return bool(won)


def release(service: MicroService, paths: list[str], doomed: bool = False) -> list[str]:
    """Notes objects that the service's versions named as unclaimed; returns which. Call in that transaction.

    What lies elsewhere, or is named by another version still, is not the service's to remove.
    """
    own = {path for path in paths if placement.is_own(service.name, path)}
    named = MicroServiceVersion.objects.filter(file_path__startswith=f"{service.name}/")
    own -= set(named.values_list("file_path", flat=True))
    UnclaimedPackage.objects.bulk_create(
        [UnclaimedPackage(path=path, doomed=doomed) for path in sorted(own)], batch_size=500, ignore_conflicts=True
    )
    return sorted(own)


def remove(paths: list[str]) -> None:
    """Takes what was released out of the store. What is gone already is fine."""
    placement.remove(default_storage, paths)
