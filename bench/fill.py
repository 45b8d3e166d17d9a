"""`python -m bench.fill FOLDER`: a large system's rows, written into a database whose tables are there.

1,000 services, 30,000 instances on 10,000 hosts, a service with 5,000 versions, 600 deployments, one of them of 1,000
hosts with all its steps, and one of 10,000 hosts of which each tenth failed. Figures are about what requests and pages
cost with them, not about how they came.
"""

import hashlib
import os
import sys
from datetime import timedelta
from itertools import islice
from pathlib import Path

from . import packages

HOSTS, SERVICES, INSTANCES, VERSIONS, DEPLOYMENTS = 10_000, 1_000, 30_000, 5_000, 600
OF_DEPLOYMENT, CAUSES = 1_000, 30
# Service → instances. The rest of INSTANCES is shared among the other services.
FAILED = "big-failed"  # of its deployment, each tenth host failed
LARGE = {
    "big-10000": 10_000,
    FAILED: 10_000,
    "big-5000": 5_000,
    "big-1000": 1_000,
    "big-500": 500,
    "big-50": 50,
    "big-1": 1,
    "big-versions": 20,
}
ZONE = "eu"  # the label of all hosts
OLD, NEW = "20260101000000-master-1", "20260101000000-master-2"
STEPS = ("prepare", "upload", "unpack", "stop", "link", "start", "check", "prune")


def main(folder: Path) -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "deployer.settings")
    import django

    django.setup()
    hosts, services = _hosts(), _services()
    versions = _versions(services, folder)
    instances = _instances(services, versions, hosts)
    _deployments(services, versions, instances)
    fail(FAILED)


def _hosts() -> list:
    from asset.models import Asset, Credential

    credential = Credential.objects.create(name="bench", kind="password", secret="none")
    return Asset.objects.bulk_create(
        [
            Asset(
                hostname=f"h{number:05}.example.net",
                ip=f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}",
                credential=credential,
                host_key="ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ",
                reachable=True,
                labels={"zone": ZONE},
            )
            for number in range(HOSTS)
        ],
        batch_size=500,
    )


def _services() -> list:
    from microservice.models import MicroService

    names = [*LARGE, *(f"service-{number:04}" for number in range(SERVICES - len(LARGE)))]
    return MicroService.objects.bulk_create(
        [
            MicroService(
                name=name,
                start_command="true",
                stop_command="true",
                check_command="true",
                description=f"What {name} does for the others",
            )
            for name in names
        ],
        batch_size=500,
    )


def _versions(services: list, folder: Path) -> dict[str, list]:
    """Write versions, all of them with one and the same package. Return {service's name: [old, new, …]}."""
    from django.conf import settings

    from microservice.models import MicroServiceVersion
    from microservice.status import BuildStatus

    package = packages.make(folder, "all")
    store = Path(settings.PACKAGE_ROOT)
    store.mkdir(parents=True, exist_ok=True)
    package.replace(store / "all.tar.gz")
    data = (store / "all.tar.gz").read_bytes()
    same = {
        "file_path": "all.tar.gz",
        "sha256": hashlib.sha256(data).hexdigest(),
        "size": len(data),
        "unpacked_size": 2 * len(data),
        "status": BuildStatus.SUCCESS,
        "created_by": "pipeline",
    }
    rows = []
    for service in services:
        names = [OLD, NEW]
        if service.name == "big-versions":
            names = [f"20260101{number:06}-feature-{number % 7}-{number:07x}" for number in range(VERSIONS)]
        rows += [MicroServiceVersion(microservice=service, version=name, **same) for name in names]
    by_service: dict[str, list] = {}
    for row in MicroServiceVersion.objects.bulk_create(rows, batch_size=500):
        by_service.setdefault(row.microservice.name, []).append(row)
    return by_service


def _instances(services: list, versions: dict[str, list], hosts: list) -> dict[str, list]:
    from microservice.models import MicroServiceInstance
    from microservice.status import InstanceStatus

    others = len(services) - len(LARGE)
    left = INSTANCES - sum(LARGE.values())
    rows, turn = [], 0
    for number, service in enumerate(services):
        count = LARGE.get(service.name, left // others + (number % others < left % others))
        for place in range(count):
            version = versions[service.name][0 if service.name in LARGE else (turn + place) % 2]
            host = hosts[(turn + place) % HOSTS]
            status = InstanceStatus.RUNNING if service.name in LARGE or place % 40 else InstanceStatus.UPGRADE_FAILED
            rows.append(
                MicroServiceInstance(microservice=service, version=version, host=host, port=8080, status=status)
            )
        turn += count
    by_service: dict[str, list] = {}
    for row in MicroServiceInstance.objects.bulk_create(rows, batch_size=500):
        by_service.setdefault(row.microservice.name, []).append(row)
    return by_service


def _deployments(services: list, versions: dict[str, list], instances: dict[str, list]) -> None:
    """Write ended deployments, the first of them of OF_DEPLOYMENT hosts with all steps."""
    from django.utils import timezone

    from asset.strategy import Strategy
    from microservice.atoms import spec_of
    from microservice.models import Deployment, Operation, Step
    from microservice.status import Action, DeploymentStatus, OperationStatus, StepStatus

    now = timezone.now()
    of = [next(service for service in services if service.name == "big-1000")]
    of += list(islice((service for service in services if service.name not in LARGE), DEPLOYMENTS - 1))
    times = {"started": now - timedelta(minutes=2), "finished": now}
    deployments = Deployment.objects.bulk_create(
        [
            Deployment(
                microservice=service,
                action=Action.UPGRADE,
                from_version=versions[service.name][0],
                dest_version=versions[service.name][1],
                status=DeploymentStatus.SUCCEEDED,
                spec=spec_of(service),
                strategy=Strategy().to_json(),
                requested_by="pipeline",
                **times,
            )
            for service in of
        ],
        batch_size=500,
    )
    operations = Operation.objects.bulk_create(
        [
            Operation(
                deployment=deployment,
                instance=instance,
                instance_id_snapshot=instance.pk,
                host=instance.host,
                action=Action.UPGRADE,
                from_version=deployment.from_version,
                dest_version=deployment.dest_version,
                status=OperationStatus.SUCCEEDED,
                **times,
            )
            for deployment in deployments
            for instance in instances[deployment.microservice.name][:OF_DEPLOYMENT]
        ],
        batch_size=500,
    )
    Step.objects.bulk_create(
        [
            Step(
                operation=operation,
                position=position,
                name=name,
                status=StepStatus.DONE,
                old_state="absent",
                new_state="there",
                **times,
            )
            for operation in operations
            if operation.deployment_id == deployments[0].pk
            for position, name in enumerate(STEPS)
        ],
        batch_size=2000,
    )


def fail(service: str) -> None:
    """Write a deployment of every instance of a service. Each tenth failed, for one of CAUSES reasons."""
    from django.utils import timezone

    from microservice.models import Deployment, MicroServiceInstance, MicroServiceVersion, Operation
    from microservice.status import Action, DeploymentStatus, InstanceStatus, OperationStatus, UndoStatus

    new = MicroServiceVersion.objects.filter(microservice__name=service).latest("pk")
    times = {"started": timezone.now() - timedelta(minutes=2), "finished": timezone.now()}
    failed = Deployment.objects.create(
        microservice_id=new.microservice_id,
        action=Action.DEPLOY,
        dest_version=new,
        status=DeploymentStatus.FAILED,
        requested_by="pipeline",
        **times,
    )
    rows = []
    for number, instance in enumerate(MicroServiceInstance.objects.filter(microservice__name=service)):
        cause = number // 10 % CAUSES
        wrong = {
            "status": OperationStatus.UNDONE,
            "undo_status": UndoStatus.UNDONE,
            "error": f"start failed: exit status {cause}",
            "error_step": "start",
            "cause": f"{cause:016x}",
        }
        rows.append(
            Operation(
                deployment=failed,
                instance=instance,
                instance_id_snapshot=instance.pk,
                host_id=instance.host_id,
                action=Action.UPGRADE,
                from_version_id=instance.version_id,
                dest_version=new,
                **(times | (wrong if number % 10 == 0 else {"status": OperationStatus.SUCCEEDED})),
            )
        )
    Operation.objects.bulk_create(rows, batch_size=500)
    instances = MicroServiceInstance.objects.filter(microservice__name=service)
    succeeded = Operation.objects.filter(deployment=failed, status=OperationStatus.SUCCEEDED).values("instance")
    instances.filter(pk__in=succeeded).update(version=new)
    instances.exclude(pk__in=succeeded).update(status=InstanceStatus.UPGRADE_FAILED)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
