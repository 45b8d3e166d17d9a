"""Packages that lie in the store: opened, described, and taken out again."""

import hashlib
from collections.abc import Iterable
from contextlib import suppress
from typing import BinaryIO

from django.core.files.storage import default_storage

from ..models import MicroServiceVersion
from . import archives

PIECE = 1024 * 1024  # bytes


def open_package(version: MicroServiceVersion) -> BinaryIO:
    """The package as a binary file, from its start. Raises FileNotFoundError where the store has lost it."""
    return default_storage.open(version.file_path, "rb")  # type: ignore[return-value]


def ensure_described(version: MicroServiceVersion) -> MicroServiceVersion:
    """Fills in sha256 and size of a package that was put into the store by other means than an upload.

    Reads the whole package once. Raises FileNotFoundError where it is not there, archives.BadArchive where it is bad.
    """
    if version.file_path and not version.sha256:
        digest, size = hashlib.sha256(), 0
        with open_package(version) as file:
            def read() -> bytes:
                nonlocal size
                piece = file.read(PIECE)
                digest.update(piece)
                size += len(piece)
                return piece

            unpacked = archives.check(read)
        fields = {"sha256": digest.hexdigest(), "size": size, "unpacked_size": unpacked}
        MicroServiceVersion.objects.filter(pk=version.pk, sha256="").update(**fields)
        version.refresh_from_db(fields=list(fields))
    return version


def remove(paths: Iterable[str]) -> None:
    """Takes packages out of the store. What is gone already is fine."""
    for path in paths:
        with suppress(FileNotFoundError):
            default_storage.delete(path)
