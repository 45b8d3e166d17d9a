"""What the product of a storm is set up with: its environment, and its rows."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from cryptography.fernet import Fernet

from .places import DEFINITION, SERVICE, Place, contents

if TYPE_CHECKING:
    from microservice.models import MicroService

VERSIONS = ("1.0", "2.0")
PEOPLE = 2  # who must say yes to what waits for approval


@dataclass
class Size:
    """The size of a scene, and how fast its clocks are (`lease`, `sweep`: seconds)."""

    database: str
    hosts: int = 10
    servers: int = 3
    workers: int = 3
    slots: int = 6
    lease: int = 3
    sweep: int = 1


def environment(folder: Path, size: Size, database_url: str, broker_url: str, port: int) -> dict[str, str]:
    """Return the environment of the product's processes: as in production, but quick, and with crash points armed."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    (folder / "points").mkdir(exist_ok=True)
    return kept | {
        "DJANGO_SETTINGS_MODULE": "deployer.settings",
        "SECRET_KEY": "storm-" + Fernet.generate_key().decode(),
        "FIELD_ENCRYPTION_KEYS": Fernet.generate_key().decode(),
        "DATA_DIR": str(folder / "var"),
        "DATABASE_URL": database_url,
        "BROKER_URL": broker_url,
        "PORT": str(port),
        "PUBLIC_URL": f"http://127.0.0.1:{port}",
        "OPERATION_LEASE_SECONDS": str(size.lease),
        "SWEEP_INTERVAL": str(size.sweep),
        "WORKER_CONCURRENCY": str(size.slots),
        "CRASH_POINTS": str(folder / "points"),
        "LOG_LEVEL": "INFO",
    }


class Rows(NamedTuple):
    token: str
    approvers: list[str]  # tokens of the people who say yes
    service: "MicroService"
    versions: dict[str, int]  # the id of each version, by its name


def create_rows(places: list[Place]) -> Rows:
    """Create users with tokens, the service with its versions and packages, and a host in production for each place."""
    from django.contrib.auth.models import User
    from django.core.files.base import ContentFile
    from django.core.files.storage import default_storage

    from access.tokens import make_token
    from asset.models import Asset, Credential, Environment
    from microservice.models import MicroService, MicroServiceVersion
    from microservice.status import BuildStatus
    from tests.lab.fleet import package

    user = User.objects.create_superuser("storm", password=None)
    token = make_token(user, "storm", ["read", "publish", "deploy", "admin"])[1]
    approvers = [
        make_token(User.objects.create_superuser(f"approver{number}", password=None), "yes", ["read", "deploy"])[1]
        for number in range(PEOPLE)
    ]
    production = Environment.objects.create(name="production", approve_reverts=True)
    service = MicroService.objects.create(name=SERVICE, **DEFINITION)
    versions = {}
    for name in VERSIONS:
        data = package(contents(name))
        row = MicroServiceVersion.objects.create(
            microservice=service,
            version=name,
            status=BuildStatus.SUCCESS,
            file_path=default_storage.save(f"{SERVICE}/{name}.tar.gz", ContentFile(data)),
            sha256=hashlib.sha256(data).hexdigest(),
            size=len(data),
        )
        versions[name] = row.pk
    for place in places:
        credential, _ = Credential.objects.get_or_create(
            name=place.sshd.folder.name, defaults={"secret": place.sshd.client_key}
        )
        place.asset_id = Asset.objects.create(
            hostname=place.name,
            ip=place.relay.address,
            port=place.relay.port,
            username=place.sshd.username,
            credential=credential,
            host_key=place.sshd.host_key,
            base_path=str(place.root),
            environment=production,
        ).pk
    return Rows(token, approvers, service, versions)
