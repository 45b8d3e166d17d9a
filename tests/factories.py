"""Creates rows for tests: services with versions, hosts that run them, deployments with operations."""

from typing import NamedTuple

from asset.models import Asset
from audit.models import Event
from microservice.models import Deployment, MicroService, MicroServiceInstance, MicroServiceVersion, Operation, Output
from microservice.status import Action, BuildStatus, DeploymentStatus, InstanceStatus, OperationStatus


class Shop(NamedTuple):
    """A service with four versions, and three instances that run the second one."""

    service: MicroService
    versions: list[MicroServiceVersion]
    instances: list[MicroServiceInstance]


def service(name: str = "shop", **more) -> MicroService:
    return MicroService.objects.create(name=name, **more)


def versions(of: MicroService, count: int = 3, status: BuildStatus = BuildStatus.SUCCESS) -> list[MicroServiceVersion]:
    """Create versions, oldest first."""
    first = of.versions.count() + 1
    return [
        MicroServiceVersion.objects.create(
            microservice=of,
            version=f"{number}.0",
            status=status,
            file_path=f"{of.name}/{number}.tar.gz",
            sha256="0" * 64,
            size=1,
        )
        for number in range(first, first + count)
    ]


def hosts(count: int = 1, prefix: str = "host") -> list[Asset]:
    first = Asset.objects.count() + 1
    return [
        Asset.objects.create(hostname=f"{prefix}{number}", ip=f"10.0.{number // 250}.{number % 250 + 1}")
        for number in range(first, first + count)
    ]


def instances(version: MicroServiceVersion, on: list[Asset], **more) -> list[MicroServiceInstance]:
    more.setdefault("status", InstanceStatus.RUNNING)
    return [
        MicroServiceInstance.objects.create(microservice=version.microservice, version=version, host=host, **more)
        for host in on
    ]


def deployment(
    of: list[MicroServiceInstance],
    to: MicroServiceVersion,
    status: DeploymentStatus = DeploymentStatus.RUNNING,
    operations: OperationStatus = OperationStatus.RUNNING,
    action: Action = Action.UPGRADE,
) -> Deployment:
    deployment = Deployment.objects.create(
        microservice=to.microservice,
        action=action,
        from_version=of[0].version,
        dest_version=to,
        status=status,
        requested_by="ann",
    )
    for instance in of:
        Operation.objects.create(
            deployment=deployment,
            instance=instance,
            instance_id_snapshot=instance.pk,
            host=instance.host,
            action=action,
            from_version=instance.version,
            dest_version=to,
            status=operations,
        )
    return deployment


def running(count: int = 1, name: str = "shop") -> Deployment:
    """Create a running deployment that upgrades `count` instances of a new service."""
    old, new = versions(service(name), 2)
    return deployment(instances(old, hosts(count, prefix=f"{name}-")), new)


def output(operation: Operation, *pieces: bytes, start: int = 0) -> bytes:
    """Create a row of output for each piece; return the whole output."""
    line, rows = 0, []
    for piece in pieces:
        rows.append(Output(operation=operation, start=start, line=line, data=piece))
        start, line = start + len(piece), line + piece.count(b"\n")
    Output.objects.bulk_create(rows, batch_size=500)
    Operation.objects.filter(pk=operation.pk).update(output_size=start, output_lines=line)
    return b"".join(pieces)


def event(of: Deployment, kind: str = "step", **data) -> Event:
    return Event.objects.create(deployment=of, kind=kind, data=data)
