"""The package store as the settings name it: a local folder, or S3 through django-storages (an optional extra).

`STORAGES["default"]` is `Chosen`: it asks the settings, so that a change needs no restart. Packages are not moved when
the store changes; who changes it copies them first.
"""
import os
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.files.storage import FileSystemStorage, Storage
from django.db import connection

from access.secrets import Secret

from . import parts

REMEMBERED = 2.0  # seconds until another process's change is seen


class Chosen:
    """Hands everything on to the storage that is set at the moment."""

    def __init__(self, location: str | Path):
        self._default = FileSystemStorage(location=location)
        self._lock = threading.Lock()
        self._known: tuple[float, dict | None, Storage] | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._storage(), name)

    def _storage(self) -> Storage:
        with self._lock:
            now = time.monotonic()
            if self._known is None or now - self._known[0] > REMEMBERED:
                part = _look()
                if self._known is None or part != self._known[1]:
                    self._known = (now, part, build(part) if part else self._default)
                self._known = (now, *self._known[1:])
            return self._known[2]

    def forget(self) -> None:
        self._known = None


def _look() -> dict[str, Any] | None:
    """Threads that talk to hosts have no connection and keep none."""
    had_one = connection.connection is not None
    try:
        return parts.chosen("package_store")
    finally:
        if not had_one and not connection.in_atomic_block:
            connection.close()


def build(part: dict[str, Any]) -> Storage:
    """The storage that a part describes. Raises ImportError where the optional extra is missing."""
    if part["kind"] == "local":
        return FileSystemStorage(location=part["folder"])
    try:
        from storages.backends.s3 import S3Storage  # type: ignore[import-not-found]
    except ImportError as error:
        raise ImportError("S3 needs the optional extra: pip install 'django-storages[s3]'") from error
    return S3Storage(**s3_options(part))


def s3_options(part: dict[str, Any]) -> dict[str, Any]:
    """What django-storages' S3Storage is given."""
    secret = part["secret_key"]
    return {
        "bucket_name": part["bucket"], "endpoint_url": part["endpoint"] or None, "region_name": part["region"] or None,
        "access_key": part["access_key"], "secret_key": secret.reveal() if isinstance(secret, Secret) else secret,
        "location": part["prefix"], "file_overwrite": False, "default_acl": None, "querystring_auth": False,
        "verify": part["verify"],
    }


def check_folder(folder: str | Path) -> str:
    """Says that a folder is there and can be written to. Raises OSError with a sentence."""
    path = Path(folder)
    if not path.is_dir():
        raise OSError(f"{path} is not a folder that is there")
    with tempfile.TemporaryFile(dir=path):  # permissions alone do not tell: it may be mounted read-only
        pass
    room = os.statvfs(path)
    return f"{room.f_bavail * room.f_frsize // 2**20} MiB free"


def check_at_start() -> None:
    """Stops the process with one clear line where a folder that must exist cannot be used."""
    from deployer.environment import BadSetting

    for name in ("VAR", "PACKAGE_ROOT"):
        path = Path(getattr(settings, name))
        try:
            path.mkdir(parents=True, exist_ok=True)
            check_folder(path)
        except OSError as error:
            raise BadSetting(name, f"must be a folder that can be written to: {error}") from None
