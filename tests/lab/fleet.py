"""A service on real hosts: hosts and versions as rows, packages in the store, a process of the service on each host."""

import gzip
import hashlib
import io
import os
import tarfile
import time
from pathlib import Path

from django.core.files.base import ContentFile
from django.core.files.storage import default_storage

from access.callers import SYSTEM
from asset.models import Asset, Credential
from microservice.models import Deployment, MicroService, MicroServiceInstance, MicroServiceVersion
from microservice.status import DEPLOYMENT_ENDED, BuildStatus
from tests.lab.sshd import Sshd
from tests.microservice.deployments import requests

# The service is a process that runs until it is stopped and writes its version to a file. Each command appends its name
# and version to a trace.
TRACE = 'echo "{} $VERSION" >> "$SHARED/trace"; '
START = TRACE.format("start") + (
    'setsid sh -c \'echo $$ > "$SHARED/pid"; echo "$VERSION" > "$SHARED/running"; exec sleep 1000\' '
    '>/dev/null 2>&1 </dev/null & while [ "$(cat "$SHARED/running" 2>/dev/null)" != "$VERSION" ]; do sleep 0.05; done'
)
STOP = TRACE.format("stop") + (
    'if [ -f "$SHARED/pid" ]; then kill "$(cat "$SHARED/pid")" 2>/dev/null; rm -f "$SHARED/pid" "$SHARED/running"; fi'
)
CHECK = '[ "$(cat "$SHARED/running")" = "$VERSION" ] && kill -0 "$(cat "$SHARED/pid")"'


def package(files: dict[str, str]) -> bytes:
    raw = io.BytesIO()
    with gzip.GzipFile(fileobj=raw, mode="wb", mtime=0) as zipped, tarfile.open(fileobj=zipped, mode="w") as archive:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(text.encode()), 0o755
            archive.addfile(entry, io.BytesIO(text.encode()))
    return raw.getvalue()


class Fleet:
    """One service on real hosts, with `versions` versions in the store. `install` and `go` wait for the end of the
    deployment unless `wait` is false."""

    def __init__(self, hosts: list[Sshd], versions: int = 3, **service):
        self.hosts = hosts
        self.service = MicroService.objects.create(
            **{
                "name": "shop",
                "start_command": START,
                "stop_command": STOP,
                "check_command": CHECK,
                "check_timeout": 10,
                **service,
            },
        )
        self.versions = [self.version(f"{number}.0") for number in range(1, versions + 1)]
        self.assets = [self._asset(number, host) for number, host in enumerate(hosts)]

    def version(self, name: str, files: dict[str, str] | None = None) -> MicroServiceVersion:
        data = package({"VERSION": name, "bin/app": f"#!/bin/sh\necho {name}\n", **(files or {})})
        path = default_storage.save(f"{self.service.name}/{name}.tar.gz", ContentFile(data))
        return MicroServiceVersion.objects.create(
            microservice=self.service,
            version=name,
            status=BuildStatus.SUCCESS,
            file_path=path,
            sha256=hashlib.sha256(data).hexdigest(),
            size=len(data),
        )

    def _asset(self, number: int, host: Sshd) -> Asset:
        credential, _ = Credential.objects.get_or_create(name=f"key{number}", defaults={"secret": host.client_key})
        return Asset.objects.create(
            hostname=f"h{number}",
            ip=host.address,
            port=host.port,
            username=host.username,
            credential=credential,
            host_key=host.host_key,
            base_path=str(host.root),
        )

    # ---- requests ----------------------------------------------------------------------------------------------------

    def install(self, version: int = 0, wait: bool = True) -> Deployment:
        made = requests.install(SYSTEM, self.versions[version], [host.pk for host in self.assets])
        return self.ended(made) if wait else made

    def go(self, action: str, old: int, new: int, wait: bool = True, host="all", **more) -> Deployment:
        made = requests.change_version(SYSTEM, self.versions[old], self.versions[new].pk, action, host=host, **more)
        return self.ended(made) if wait else made

    def ended(self, deployment: Deployment, seconds: float = 60) -> Deployment:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            deployment.refresh_from_db()
            if deployment.status in DEPLOYMENT_ENDED:
                return deployment
            time.sleep(0.05)
        states = list(deployment.operations.values_list("pk", "status", "owner", "error"))
        raise AssertionError(f"{deployment} is {deployment.status} after {seconds} s: {states}")

    # ---- the state of a host -----------------------------------------------------------------------------------------

    def folder(self, number: int = 0) -> Path:
        return self.hosts[number].root / self.service.name

    def current(self, number: int = 0) -> str:
        link = self.folder(number) / "current"
        return os.readlink(link).removeprefix("releases/") if link.is_symlink() else ""

    def running(self, number: int = 0) -> str:
        """Return the version of the running process, or "" without one."""
        shared = self.folder(number) / "shared"
        try:
            os.kill(int((shared / "pid").read_text()), 0)
            return (shared / "running").read_text().strip()
        except (OSError, ValueError):
            return ""

    def trace(self, number: int = 0) -> list[str]:
        path = self.folder(number) / "shared" / "trace"
        return path.read_text().splitlines() if path.exists() else []

    def agrees(self, version: int | None) -> None:
        """Assert that hosts, processes and rows have this version (None: nothing runs) and nothing is locked."""
        name = "" if version is None else self.versions[version].version
        rows = {row.host_id: row for row in MicroServiceInstance.objects.select_related("version")}
        for number, asset in enumerate(self.assets):
            row = rows.get(asset.pk)
            assert (self.current(number), self.running(number)) == (name, name), f"host {number}"
            assert (row.version.version if row and row.version else "") == name, f"row of host {number}"
            assert row is None or not row.locked
