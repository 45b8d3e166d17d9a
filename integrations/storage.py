"""The package store as the settings name it: a local folder, or S3 through django-storages (an optional extra).

`STORAGES["default"]` is `Chosen`: it asks the settings, so that a change needs no restart. Packages are not moved when
the store changes; who changes it copies them first.
"""

import os
import tempfile
import threading
import time
from functools import lru_cache
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.files.storage import FileSystemStorage, Storage
from django.db import Error, connection

from access.secrets import Secret

from . import http_client, registry, tls

REMEMBERED = 2.0  # seconds until another process's change is seen
IN_MEMORY = 8 * 1024 * 1024  # bytes of a package that S3 has sent; what is beyond lies in a temporary file


class Chosen:
    """Hands everything on to the storage that is set at the moment."""

    def __init__(self, location: str | Path):
        self._default = FileSystemStorage(location=location)
        self._lock = threading.Lock()
        self._known: tuple[float, list, Storage] | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._storage(), name)

    def _storage(self) -> Storage:
        with self._lock:
            now = time.monotonic()
            if self._known is None or now - self._known[0] > REMEMBERED:
                told = _look()
                store = told[0]
                if self._known is None or told != self._known[1]:
                    self._known = (now, told, build(store, told[1]) if store else self._default)
                self._known = (now, *self._known[1:])
            return self._known[2]

    def forget(self) -> None:
        self._known = None


def _look() -> list[dict[str, Any] | None]:
    """The store's settings and the proxies'. Threads that talk to hosts have no connection and keep none."""
    had_one = connection.connection is not None
    try:
        return registry.several("package_store", "proxies")
    finally:
        if not had_one and not connection.in_atomic_block:
            connection.close()


def build(part: dict[str, Any], proxies: dict[str, Any] | None = None) -> Storage:
    """The storage that a part describes. Raises ImportError where the optional extra is missing."""
    if part["kind"] == "local":
        return FileSystemStorage(location=part["folder"])
    try:
        from storages.backends.s3 import S3Storage  # type: ignore[import-untyped]
    except ImportError as error:
        raise ImportError("S3 needs the optional extra: pip install -r requirements-s3.txt") from error
    return S3Storage(**s3_options(part, proxies))


def s3_options(part: dict[str, Any], proxies: dict[str, Any] | None = None) -> dict[str, Any]:
    """What django-storages' S3Storage is given."""
    return {
        "bucket_name": part["bucket"],
        "endpoint_url": part["endpoint"] or None,
        "region_name": part["region"] or None,
        "access_key": part["access_key"],
        "secret_key": _plain(part["secret_key"]),
        "location": part["prefix"],
        "file_overwrite": False,
        "default_acl": None,
        "querystring_auth": False,
        "max_memory_size": IN_MEMORY,
        "verify": _verified_by(part["ca"] or tls.bundle()) if part["verify"] else False,
        "client_config": _client_config(part, proxies),
        "transfer_config": _transfer_config(),
    }


def _verified_by(authorities: str) -> str | None:
    return pem_file(authorities) if authorities else None


def _transfer_config():
    """A few pieces at once: a package of gigabytes takes no more memory than they do."""
    from boto3.s3.transfer import TransferConfig  # type: ignore[import-untyped]

    config = TransferConfig(multipart_chunksize=IN_MEMORY, max_concurrency=4)
    config.max_in_memory_upload_chunks = config.max_in_memory_download_chunks = 4  # not in what it can be made with
    return config


def _client_config(part: dict[str, Any], proxies: dict[str, Any] | None):
    from botocore.config import Config  # type: ignore[import-untyped]

    certificate = pem_file(f"{part['client_cert']}\n{_plain(part['client_key'])}") if part["client_cert"] else None
    return Config(
        # A server of one's own is seldom reachable as bucket.server: the bucket goes into the path.
        s3={"addressing_style": "path" if part["endpoint"] else "auto"},
        client_cert=certificate,
        proxies=http_client.proxies_for(part["endpoint"] or "https://s3.amazonaws.com", proxies),
        connect_timeout=5,
        read_timeout=60,
        retries={"total_max_attempts": 3, "mode": "standard"},
        # Servers that speak an older S3 do not know the newer checksums.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )


@lru_cache(maxsize=16)
def pem_file(text: str) -> str:
    """The path of a file that holds `text`, for libraries that take nothing else: in memory, never on a disk, and
    readable through this process only. It stays as long as the process does."""
    descriptor = os.memfd_create("pem")
    os.write(descriptor, text.encode())
    return f"/proc/{os.getpid()}/fd/{descriptor}"


def _plain(secret: Secret | str) -> str:
    return secret.reveal() if isinstance(secret, Secret) else secret


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
    from runtime.environment import BadSetting

    for name in ("DATA_DIR", "PACKAGE_ROOT"):
        path = Path(getattr(settings, name))
        try:
            path.mkdir(parents=True, exist_ok=True)
            check_folder(path)
        except OSError as error:
            raise BadSetting(name, f"must be a folder that can be written to: {error}") from None
    try:
        store = _look()[0]
    except Error:  # not there yet, or without tables: whoever asks it next says so
        return
    if store and store["kind"] == "local":
        try:
            check_folder(store["folder"])
        except OSError as error:
            raise BadSetting("The package store of the settings", f"cannot be used: {error}") from None
