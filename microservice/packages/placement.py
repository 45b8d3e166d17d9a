"""How a package gets into the store and out of it, so that each object belongs to one version or is removed.

An object's name is its own (hash and chance are in it), so of uploads that race none can touch another's object. It
is noted as unclaimed before it is there, and the note goes in the transaction in which a version takes the object.
"""

import logging
import os
import secrets
import tempfile
import time
from collections.abc import Iterable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import BinaryIO

from django.core.files import File
from django.core.files.storage import Storage
from django.db import DatabaseError
from django.utils import timezone

from access.problems import Problem

from ..models import MicroServiceVersion, UnclaimedPackage

log = logging.getLogger(__name__)
INCOMING = ".incoming"
LEFT_OVER_AFTER = 6 * 3600  # seconds without a byte; no upload takes as long
SWEPT_AT_ONCE = 20


def is_own(service: str, path: str) -> bool:
    """Whether the path lies in the service's own folder of the store: no other service's versions may name it."""
    first, *rest = path.split("/")
    return first == service and bool(rest) and not {"", ".", ".."} & set(rest) and "\\" not in path


class Carried:
    """A package on its way to a version: in the store while the context lasts, and afterwards if it was claimed.

    To a store across the network it is carried on entering: no transaction waits for that.
    """

    def __init__(self, storage: Storage, temporary: BinaryIO, service: str, version: str, sha256: str):
        self._storage, self._temporary = storage, temporary
        self.path = f"{service}/{version}-{sha256[:16]}-{secrets.token_hex(4)}.tar.gz"
        self._claimed = False

    def __enter__(self) -> "Carried":
        sweep(self._storage)
        UnclaimedPackage.objects.create(path=self.path)
        target = _local(self._storage, self.path)
        if target is None:
            self._temporary.seek(0)
            self._storage.save(self.path, File(self._temporary))
        else:
            _rename(Path(self._temporary.name), target)
        return self

    def claim(self) -> None:
        """Call in the transaction that writes its path to a version's row. Raises Problem where the sweep was first."""
        if not UnclaimedPackage.objects.filter(path=self.path, doomed=False).delete()[0]:
            raise Problem(503, "unavailable", "Storing the package took too long.", "Send it again.")
        self._claimed = True

    def __exit__(self, kind, error, trace) -> None:
        # Where the database broke off, nobody knows whether it committed: then the note decides, and the sweep.
        if not self._claimed or (kind is not None and not issubclass(kind, DatabaseError)):
            remove(self._storage, [self.path])


def remove(storage: Storage, paths: Iterable[str]) -> None:
    """Takes unclaimed objects out of the store. What cannot be removed now stays noted for the sweep."""
    gone = []
    for path in paths:
        try:
            with suppress(FileNotFoundError):
                storage.delete(path)
            gone.append(path)
        except Exception:  # each store has errors of its own; none is worth failing a finished request
            log.warning("%s could not be removed from the package store; it is tried again later", path, exc_info=True)
    for start in range(0, len(gone), 500):
        UnclaimedPackage.objects.filter(path__in=gone[start : start + 500]).delete()


def sweep(storage: Storage) -> None:
    """Removes what was left by those who died on the way: objects noted as unclaimed for longer than any upload."""
    old = UnclaimedPackage.objects.filter(created__lt=timezone.now() - timedelta(seconds=LEFT_OVER_AFTER))
    paths = list(old.order_by("created").values_list("path", flat=True)[:SWEPT_AT_ONCE])
    if not paths:
        return
    UnclaimedPackage.objects.filter(path__in=paths).update(doomed=True)
    named = set(MicroServiceVersion.objects.filter(file_path__in=paths).values_list("file_path", flat=True))
    UnclaimedPackage.objects.filter(path__in=named).delete()
    remove(storage, set(paths) - named)


def _rename(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    source.replace(target)
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


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
            _sweep_incoming(folder)
        self.file = tempfile.NamedTemporaryFile(dir=folder, suffix=".tar.gz", delete=False)  # noqa: SIM115

    def __enter__(self) -> BinaryIO:
        return self.file  # type: ignore[return-value]

    def __exit__(self, *_: object) -> None:
        try:
            self.file.close()  # on a full disk this fails too, and what takes its room must go all the same
        finally:
            with suppress(FileNotFoundError):  # renamed into the store
                Path(self.file.name).unlink()


def _sweep_incoming(folder: Path) -> None:
    """Takes away what processes left that died in the middle of an upload."""
    for left in folder.iterdir():
        with suppress(FileNotFoundError):
            if time.time() - left.stat().st_mtime > LEFT_OVER_AFTER:
                left.unlink()
