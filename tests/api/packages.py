"""A pending version, and uploads of its package."""

import base64
import hashlib
from pathlib import Path

from microservice.models import MicroServiceVersion
from tests import factories


def pending() -> MicroServiceVersion:
    return MicroServiceVersion.objects.create(microservice=factories.service("shop"), version="1.0")


def path_of(version) -> str:
    return f"/services/shop/versions/{version.pk}/package"


def digest(data: bytes) -> str:
    return f"sha-256=:{base64.b64encode(hashlib.sha256(data).digest()).decode()}:"


def files(store: Path) -> list[str]:
    return sorted(str(path.relative_to(store)) for path in store.rglob("*") if path.is_file())


def put(api, version, data, **headers):
    return api().put(path_of(version), data, content_type="application/gzip", **headers)
