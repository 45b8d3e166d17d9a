"""A service whose rows share no id by accident: an id of both a host and an instance never names the same host."""

from dataclasses import dataclass

from asset.models import Asset
from microservice.models import MicroService, MicroServiceInstance, MicroServiceVersion
from microservice.status import BuildStatus, InstanceStatus

# host → (its id, the id of its instance). web1 and web2 are crossed: the host id of one is the instance id of the
# other. No other row has the ids of web3.
IDS = {"web1": (9001, 9002), "web2": (9002, 9001), "web3": (9003, 9103)}
SPARE = 9004  # a host without the service


@dataclass(slots=True)
class DistinctFleet:
    service: MicroService
    versions: list[MicroServiceVersion]
    hosts: dict[str, Asset]
    instances: dict[str, MicroServiceInstance]

    def locked(self) -> set[str]:
        """Return the names of the hosts whose instance is locked."""
        rows = MicroServiceInstance.objects.filter(locked=True, microservice=self.service)
        return set(rows.values_list("host__hostname", flat=True))


def create() -> DistinctFleet:
    service = MicroService.objects.create(pk=7001, name="shop")
    versions = [
        MicroServiceVersion.objects.create(
            pk=8000 + number,
            microservice=service,
            version=f"{number}.0",
            status=BuildStatus.SUCCESS,
            file_path=f"shop/{number}.tar.gz",
            sha256="0" * 64,
            size=1,
        )
        for number in (1, 2, 3)
    ]
    hosts = {
        name: Asset.objects.create(pk=host, hostname=name, ip=f"10.0.0.{host - 9000}")
        for name, host in [*((name, host) for name, (host, _) in IDS.items()), ("spare", SPARE)]
    }
    instances = {
        name: MicroServiceInstance.objects.create(
            pk=number, microservice=service, version=versions[1], host=hosts[name], status=InstanceStatus.RUNNING
        )
        for name, (_, number) in IDS.items()
    }
    return DistinctFleet(service, versions, hosts, instances)
