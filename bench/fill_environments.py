"""`python -m bench.fill_environments`: the rows of a company with environments, into a database whose tables are there.

1,000 services on hosts of 5 environments, each of which requires the one before: 20,000 instances, with the operations
that brought what runs and what ran before.
"""

import hashlib
import os
from datetime import timedelta

SERVICES, ENVIRONMENTS, PER_CELL, HOSTS, VERSIONS = 1_000, 5, 4, 2_000, 12
NAMES = ("development", "test", "acceptance", "staging", "production")
COLOURS = ("grey", "blue", "violet", "amber", "red")
SOAK = 60  # minutes


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "deployer.settings")
    import django

    django.setup()
    hosts = _hosts(_environments())
    versions = _versions()
    _deployments(versions, hosts)


def _environments() -> list:
    from asset.models import Environment

    made: list = []
    for position, (name, colour) in enumerate(zip(NAMES, COLOURS, strict=True)):
        requires = made[-1] if made else None
        made.append(
            Environment.objects.create(
                name=name, position=position, colour=colour, requires=requires, soak_minutes=SOAK if requires else 0
            )
        )
    return made


def _hosts(environments: list) -> list[list]:
    """Return the hosts of each environment."""
    from asset.models import Asset

    rows = Asset.objects.bulk_create(
        [
            Asset(
                hostname=f"{environment.name}-{number:03}.example.net",
                ip=f"10.{place}.{number >> 8}.{number & 255}",
                environment=environment,
                reachable=True,
            )
            for place, environment in enumerate(environments)
            for number in range(HOSTS // ENVIRONMENTS)
        ],
        batch_size=500,
    )
    return [[row for row in rows if row.environment == environment] for environment in environments]


def _versions() -> list[list]:
    """Return the versions of each service, oldest first."""
    from microservice.models import MicroService, MicroServiceVersion
    from microservice.status import BuildStatus

    services = MicroService.objects.bulk_create(
        [
            MicroService(name=f"service-{number:04}", description=f"What service {number} does for the others")
            for number in range(SERVICES)
        ],
        batch_size=500,
    )
    rows = MicroServiceVersion.objects.bulk_create(
        [
            MicroServiceVersion(
                microservice=service,
                version=f"202611{number + 10}{service.pk % 240000:06}-master-{_commit(service.name, number)}",
                status=BuildStatus.SUCCESS,
                file_path="all.tar.gz",
                sha256="0" * 64,
                size=1,
            )
            for number in range(VERSIONS)
            for service in services
        ],
        batch_size=500,
    )
    return [rows[place::SERVICES] for place in range(SERVICES)]


def _commit(name: str, number: int) -> str:
    return hashlib.sha256(f"{name} {number}".encode()).hexdigest()[:7]


def _deployments(versions: list[list], hosts: list[list]) -> None:
    """Write what brought the version that runs in each environment, and the one before.

    The later an environment is in the order, the older is what runs there; each fifth service is up to date.
    """
    from django.utils import timezone

    from microservice.models import Deployment, MicroServiceInstance, Operation
    from microservice.status import Action, DeploymentStatus, InstanceStatus, OperationStatus

    now = timezone.now()
    plans = []
    for number, of_service in enumerate(versions):
        for place, there in enumerate(hosts):
            newest = len(of_service) - 1 - (0 if number % 5 == 0 else place)
            on = [there[(number * PER_CELL + one) % len(there)] for one in range(PER_CELL)]
            for ago, version in ((72, of_service[newest - 1]), (number % 50 / 10 + place, of_service[newest])):
                plans.append((version, on, now - timedelta(hours=ago)))
    deployments = Deployment.objects.bulk_create(
        [
            Deployment(
                microservice=version.microservice,
                environment=on[0].environment,
                action=Action.DEPLOY,
                dest_version=version,
                status=DeploymentStatus.FAILED if number % 200 == 1 else DeploymentStatus.SUCCEEDED,
                requested_by="pipeline",
                started=finished,
                finished=finished,
            )
            for number, (version, on, finished) in enumerate(plans)
        ],
        batch_size=500,
    )
    instances = MicroServiceInstance.objects.bulk_create(
        [
            MicroServiceInstance(
                microservice=version.microservice,
                version=version,
                host=host,
                status=InstanceStatus.UPGRADE_FAILED if number % 200 == 0 else InstanceStatus.RUNNING,
            )
            for number, (version, on, _) in enumerate(plans[1::2])
            for host in on
        ],
        batch_size=500,
    )
    by_place = {(row.microservice_id, row.host_id): row for row in instances}
    Operation.objects.bulk_create(
        [
            Operation(
                deployment=deployment,
                instance=by_place[version.microservice_id, host.pk],
                instance_id_snapshot=by_place[version.microservice_id, host.pk].pk,
                host=host,
                action=Action.UPGRADE,
                dest_version=version,
                status=OperationStatus.SUCCEEDED,
                started=finished,
                finished=finished,
            )
            for deployment, (version, on, finished) in zip(deployments, plans, strict=True)
            for host in on
        ],
        batch_size=500,
    )


if __name__ == "__main__":
    main()
