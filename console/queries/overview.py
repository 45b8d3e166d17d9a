"""A service at one glance: what runs where and how it is, what is newest, and what was deployed last."""

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Count, F, Q, Window
from django.db.models.functions import RowNumber

from access.callers import Caller
from asset import tenancy
from microservice.models import Deployment, MicroService, MicroServiceInstance, MicroServiceVersion
from microservice.status import BuildStatus

from .fleet import FAILED, LOCKED, MAINTENANCE, progress_of

MAX_VERSIONS = 30  # that run somewhere, newest first
MAX_NAMED = 8  # hosts named beside a version; the others are a link
MAX_DEPLOYMENTS = 8
UNREACHABLE = Q(host__reachable=False)


@dataclass(slots=True)
class Health:
    """How many instances there are, and how many of them need a look."""

    total: int = 0
    failed: int = 0
    locked: int = 0
    maintenance: int = 0
    unreachable: int = 0

    @property
    def is_settled(self) -> bool:
        return not (self.failed or self.locked or self.maintenance or self.unreachable)

    def add(self, other: "Health") -> None:
        for name in self.__slots__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


@dataclass(slots=True)
class Running:
    """A version (None: not installed yet), how its instances are, and the first of them by host name."""

    version: MicroServiceVersion | None
    health: Health
    named: list[MicroServiceInstance] = field(default_factory=list)

    @property
    def more(self) -> int:
        return self.health.total - len(self.named)


@dataclass(slots=True)
class Summary:
    """`newest`: the newest version that may be deployed; `latest`: the newest of all where that is another one."""

    running: list[Running]
    health: Health
    versions: int
    newest: MicroServiceVersion | None
    latest: MicroServiceVersion | None
    on_newest: int
    deployments: list[Any]  # with their progress: see `fleet.progress_of`

    @property
    def behind(self) -> int:
        """How many instances do not run the newest version."""
        return self.health.total - self.on_newest


def summary(caller: Caller, of: MicroService) -> Summary:
    """Return what a service's overview shows. Seven queries, however many instances there are."""
    by_version = _health_by_version(of)
    whole = Health()
    for health in by_version.values():
        whole.add(health)
    numbers = sorted(by_version, key=lambda number: number or 0, reverse=True)
    shown = numbers[:MAX_VERSIONS]
    versions = MicroServiceVersion.every.in_bulk([number for number in shown if number])
    named = _named(caller, of, shown)
    rows = MicroServiceVersion.objects.filter(microservice=of).order_by("-pk")
    newest = rows.filter(status=BuildStatus.SUCCESS, bad=False).first()
    latest = rows.first()
    deployments = list(
        Deployment.objects.filter(microservice=of)
        .select_related("microservice", "from_version", "dest_version")
        .order_by("-pk")[:MAX_DEPLOYMENTS]
    )
    progress_of(deployments)
    return Summary(
        running=[Running(versions.get(number or 0), by_version[number], named[number]) for number in shown],
        health=whole,
        versions=len(numbers),
        newest=newest,
        latest=latest if latest and latest != newest else None,
        on_newest=by_version[newest.pk].total if newest and newest.pk in by_version else 0,
        deployments=deployments,
    )


def _health_by_version(of: MicroService) -> dict[int | None, Health]:
    rows = (
        MicroServiceInstance.objects.filter(microservice=of)
        .values("version_id")
        .annotate(
            total=Count("pk"),
            failed=Count("pk", filter=FAILED),
            locked=Count("pk", filter=LOCKED),
            maintenance=Count("pk", filter=MAINTENANCE),
            unreachable=Count("pk", filter=UNREACHABLE),
        )
        .order_by()
    )
    return {
        row["version_id"]: Health(row["total"], row["failed"], row["locked"], row["maintenance"], row["unreachable"])
        for row in rows
    }


def _named(
    caller: Caller, of: MicroService, versions: list[int | None]
) -> dict[int | None, list[MicroServiceInstance]]:
    """Return the first instances of each version, on hosts that the caller may see: what failed, then by name."""
    condition = Q(version__in=[number for number in versions if number])
    if None in versions:
        condition |= Q(version=None)
    place = Window(RowNumber(), partition_by=F("version_id"), order_by=[F("status").desc(), F("host__hostname").asc()])
    rows = (
        MicroServiceInstance.objects.filter(condition, tenancy.visible(caller, "host"), microservice=of)
        .annotate(place=place)
        .filter(place__lte=MAX_NAMED)
        .select_related("host")
        .only("version_id", "status", "is_maintain", "host__hostname", "host__reachable")
        .order_by("place")
    )
    named: dict[int | None, list[MicroServiceInstance]] = defaultdict(list)
    for row in rows:
        named[row.version_id].append(row)
    return named
