"""How a package's bytes get into the store: by a rename within a local folder, carried to any other store."""
import os
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from django.core.files import File
from django.core.files.storage import Storage

INCOMING = ".incoming"
LEFT_OVER_AFTER = 6 * 3600  # seconds without a byte


def carried(storage: Storage, temporary: BinaryIO, service: str, version: str, sha256: str) -> str:
    """The package's path in the store. To a store across the network it is carried now: no transaction waits for that.

    There its name holds its hash: of uploads that race, each has its own, and one that nobody's row names does no harm.
    """
    if _local(storage, INCOMING):
        return f"{service}/{version}.tar.gz"
    path = f"{service}/{version}-{sha256[:16]}.tar.gz"
    if not storage.exists(path):  # an object is there as a whole or not at all
        temporary.seek(0)
        storage.save(path, File(temporary))
    return path


def place(storage: Storage, temporary: BinaryIO, path: str) -> None:
    target = _local(storage, path)
    if target is None:
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    Path(temporary.name).replace(target)
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def drop(storage: Storage, path: str) -> None:
    """Takes away what was carried for nothing; within a local folder nothing was."""
    if _local(storage, path) is None:
        storage.delete(path)


def _local(storage: Storage, path: str) -> Path | None:
    """Where it lies in a local folder; None where the store is none."""
    try:
        return Path(storage.path(path))
    except NotImplementedError:
        return None


class Temporary:
    """A file beside the store, so that a rename puts it in place; gone afterwards whatever happens."""

    def __init__(self, storage: Storage):
        folder = _local(storage, INCOMING)
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            _sweep(folder)
        self.file = tempfile.NamedTemporaryFile(dir=folder, suffix=".tar.gz", delete=False)  # noqa: SIM115

    def __enter__(self) -> BinaryIO:
        return self.file  # type: ignore[return-value]

    def __exit__(self, *_) -> None:
        self.file.close()
        with suppress(FileNotFoundError):  # renamed into the store
            Path(self.file.name).unlink()


def _sweep(folder: Path) -> None:
    """Takes away what processes left that died in the middle of an upload."""
    for left in folder.iterdir():
        with suppress(FileNotFoundError):
            if time.time() - left.stat().st_mtime > LEFT_OVER_AFTER:
                left.unlink()
