"""The package store of the settings: a local folder, or S3 through django-storages (an optional extra).

`STORAGES["default"]` is `ConfiguredStorage`: it reads the settings, so that a change needs no restart. Packages are not
moved when the store changes; copy them first.
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
from messages import Message
from messages.rendering import english

from . import http_client, registry, tls

CACHE_SECONDS = 2.0  # until a change by another process is seen
MAX_IN_MEMORY = 8 * 1024 * 1024  # bytes of a package from S3; the rest goes to a temporary file
MIB = 2**20


class FolderMissing(OSError):
    """A folder that does not exist, or is not a folder."""

    def __init__(self, path: Path):
        self.message = Message("probe.folder_missing", {"folder": str(path)})
        super().__init__(english(self.message))


class ConfiguredStorage:
    """Delegates to the storage that is configured at the moment."""

    def __init__(self, location: str | Path):
        self._default = FileSystemStorage(location=location)
        self._lock = threading.Lock()
        # When the settings were read (monotonic), what they were, and the storage that they describe.
        self._cached: tuple[float, list[dict[str, Any] | None], Storage] | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._storage(), name)

    def _storage(self) -> Storage:
        with self._lock:
            now = time.monotonic()
            if self._cached is None or now - self._cached[0] > CACHE_SECONDS:
                current = _read_settings()
                store, proxies = current
                if self._cached is None or current != self._cached[1]:
                    self._cached = (now, current, build(store, proxies) if store else self._default)
                self._cached = (now, *self._cached[1:])
            return self._cached[2]

    def reload(self) -> None:
        """Read the settings again at the next use."""
        self._cached = None


def _read_settings() -> list[dict[str, Any] | None]:
    """Read the settings of the store and of the proxies. Threads that talk to hosts have no database connection, and
    keep none."""
    was_connected = connection.connection is not None
    try:
        return registry.configured_together("package_store", "proxies")
    finally:
        if not was_connected and not connection.in_atomic_block:
            connection.close()


def build(part: dict[str, Any], proxies: dict[str, Any] | None = None) -> Storage:
    """Return the storage that the settings describe. Raise ImportError where the optional extra is missing."""
    if part["kind"] == "local":
        return FileSystemStorage(location=part["folder"])
    try:
        from storages.backends.s3 import S3Storage  # type: ignore[import-untyped]
    except ImportError as error:
        raise ImportError("S3 needs the optional extra: pip install -r requirements-s3.txt") from error
    return S3Storage(**s3_options(part, proxies))


def s3_options(part: dict[str, Any], proxies: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return the options of django-storages' S3Storage."""
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
        "max_memory_size": MAX_IN_MEMORY,
        "verify": _ca_file(part["ca"] or tls.bundle()) if part["verify"] else False,
        "client_config": _client_config(part, proxies),
        "transfer_config": _transfer_config(),
    }


def _ca_file(authorities: str) -> str | None:
    return pem_file(authorities) if authorities else None


def _transfer_config() -> Any:
    """Send few parts at once, so that a package of gigabytes needs no more memory than they do."""
    from boto3.s3.transfer import TransferConfig  # type: ignore[import-untyped]

    config = TransferConfig(multipart_chunksize=MAX_IN_MEMORY, max_concurrency=4)
    config.max_in_memory_upload_chunks = config.max_in_memory_download_chunks = 4  # not among its arguments
    return config


def _client_config(part: dict[str, Any], proxies: dict[str, Any] | None) -> Any:
    from botocore.config import Config  # type: ignore[import-untyped]

    certificate = pem_file(f"{part['client_cert']}\n{_plain(part['client_key'])}") if part["client_cert"] else None
    return Config(
        # Self-hosted servers are seldom reachable as bucket.server: the bucket goes into the path.
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
    """Return the path of a file with this text, for libraries that take only a path.

    It is in memory, not on a disk, readable through this process only, and stays as long as the process.
    """
    descriptor = os.memfd_create("pem")
    os.write(descriptor, text.encode())
    return f"/proc/{os.getpid()}/fd/{descriptor}"


def _plain(secret: Secret | str) -> str:
    return secret.reveal() if isinstance(secret, Secret) else secret


def free_mib(folder: str | Path) -> int:
    """Return the free space of a folder that can be written to, in MiB. Raise FolderMissing or OSError."""
    path = Path(folder)
    if not path.is_dir():
        raise FolderMissing(path)
    with tempfile.TemporaryFile(dir=path):  # permissions are not enough: it may be mounted read-only
        pass
    filesystem = os.statvfs(path)
    return filesystem.f_bavail * filesystem.f_frsize // MIB


def check_folders() -> None:
    """Stop the process with a one-line error where a required folder cannot be used."""
    from runtime.environment import InvalidSetting

    for name in ("DATA_DIR", "PACKAGE_ROOT"):
        path = Path(getattr(settings, name))
        try:
            path.mkdir(parents=True, exist_ok=True)
            free_mib(path)
        except OSError as error:
            raise InvalidSetting(name, f"must be a writable folder: {error}") from None
    try:
        store = _read_settings()[0]
    except Error:  # the database is away or has no tables yet: its next use reports that
        return
    if store and store["kind"] == "local":
        try:
            free_mib(store["folder"])
        except OSError as error:
            raise InvalidSetting("The package store of the settings", f"cannot be used: {error}") from None
