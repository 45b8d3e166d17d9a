"""A service's pages: its versions, its instances, and what to choose from in a dialog."""

from dataclasses import dataclass

from django.db.models import (
    BooleanField,
    Case,
    Count,
    Exists,
    ExpressionWrapper,
    Max,
    Min,
    OuterRef,
    Q,
    QuerySet,
    Value,
    When,
)

from access.callers import Caller
from access.problems import not_found
from asset import tenancy
from asset.models import Asset
from microservice.catalog.visibility import visible
from microservice.deployments.new_instances import FAILED_FIRST
from microservice.deployments.placement import closed_hosts
from microservice.deployments.targets import Wish, why_not
from microservice.models import Deployment, MicroService, MicroServiceInstance, MicroServiceVersion
from microservice.status import DEPLOYMENT_OPEN, BuildStatus

from .fleet import FAILED, LOCKED, MAINTENANCE
from .paging import PAGE, Page, by_key, newest_first

MOST_HOSTS = 100  # hosts in the dialog of an install besides those that are ticked


@dataclass(slots=True)
class Overview:
    """What the head of a service's pages shows."""

    instances: int
    versions: int
    least: int | None
    most: int | None
    deployments: list[Deployment]


def service(caller: Caller, name: str) -> MicroService:
    """The service of that name, or a 404 where there is none or the caller may not see it."""
    found = MicroService.objects.filter(visible(caller), name=name).first()
    if found is None:
        raise not_found("service")
    return found


def version(of: MicroService, number: int) -> MicroServiceVersion:
    found = MicroServiceVersion.objects.filter(microservice=of, pk=number).first()
    if found is None:
        raise not_found("version")
    return found


def overview(of: MicroService) -> Overview:
    """Three queries."""
    built = MicroServiceVersion.objects.filter(microservice=of).aggregate(
        n=Count("pk"),
        least=Min("pk", filter=Q(status=BuildStatus.SUCCESS)),
        most=Max("pk", filter=Q(status=BuildStatus.SUCCESS)),
    )
    going = Deployment.objects.filter(microservice=of, status__in=DEPLOYMENT_OPEN)
    return Overview(
        instances=of.instances.count(),
        versions=built["n"],
        least=built["least"],
        most=built["most"],
        deployments=list(going.select_related("from_version", "dest_version")[:5]),
    )


def versions(of: MicroService, q: str = "", status: str = "", after: str = "", size: int = PAGE) -> Page:
    """Newest first; each with `running`, how many instances run it. Two queries."""
    rows = MicroServiceVersion.objects.filter(microservice=of)
    if q:
        rows = rows.filter(Q(version__icontains=q) | Q(ref__icontains=q))
    if status in BuildStatus.labels:
        rows = rows.filter(status=BuildStatus[status.upper()])
    elif status == "runs":
        rows = rows.filter(pk__in=of.instances.values("version"))
    page = newest_first(rows, after, size)
    counted = dict(
        MicroServiceInstance.objects.filter(microservice=of, version__in=[row.pk for row in page])
        .values_list("version")
        .annotate(n=Count("pk"))
        .order_by()
    )
    for row in page:
        row.running = counted.get(row.pk, 0)
    return page


def instances(of: MicroService, filters: dict[str, str], after: str = "", size: int = PAGE) -> Page:
    """By host name; `filters`: q, state (failed, locked, maintenance) and version (an id)."""
    rows = with_names(of)
    if q := filters.get("q"):
        rows = rows.filter(Q(host__hostname__icontains=q) | Q(host__ip__startswith=q) | Q(tag__icontains=q))
    if condition := {"failed": FAILED, "locked": LOCKED, "maintenance": MAINTENANCE}.get(filters.get("state", "")):
        rows = rows.filter(condition)
    number = filters.get("version", "")
    if number.isascii() and number.isdigit() and len(number) < 19:
        rows = rows.filter(version=int(number))
    return by_key(rows, "host__hostname", after, size)


def instances_of_version(of: MicroService, number: int, most: int) -> list[MicroServiceInstance]:
    """The instances that run this version, by host name, at most `most`."""
    return list(with_names(of).filter(version=number).order_by("host__hostname")[:most])


def instance(of: MicroService, number: int) -> MicroServiceInstance:
    found = with_names(of).filter(pk=number).first()
    if found is None:
        raise not_found("instance")
    return found


def why_not_now(row: MicroServiceInstance, wish: Wish) -> str:
    """What keeps an instance (of `with_places`) from being taken. Pure; the rule itself is `Wish.free`."""
    free = not (row.locked or row.is_maintain or row.closed) and row.status in wish.may_be  # type: ignore[attr-defined]
    return "" if free else why_not(row, wish)[1]


def came_from(of: MicroService, version: MicroServiceVersion) -> int | None:
    """The version that most of the instances ran before they ran this one."""
    rows = of.instances.filter(version=version, previous_version__isnull=False).values_list("previous_version")
    most = rows.annotate(n=Count("pk")).order_by("-n", "-previous_version").first()
    return most[0] if most else None


@dataclass(slots=True)
class Place:
    """A host in the dialog of an install, and what keeps the service from it: `has` it already, or `closed`."""

    host: Asset
    has: bool
    closed: bool


def hosts_without(caller: Caller, of: MicroService, ticked: list[str], find: str = "") -> tuple[list[Place], bool]:
    """Hosts that the caller sees, ticked ones first, then free ones; and whether there are more."""
    mine = [int(one) for one in ticked[:1000] if one.isascii() and one.isdigit() and len(one) < 19]
    rows = Asset.objects.filter(tenancy.visible(caller)).annotate(
        has=Exists(of.instances.filter(host=OuterRef("pk")).exclude(FAILED_FIRST)),
        closed=ExpressionWrapper(closed_hosts(of), BooleanField()),
        other=Case(When(pk__in=mine, then=Value(0)), default=Value(1)),
    )
    if find:
        rows = rows.filter(Q(pk__in=mine) | Q(hostname__icontains=find) | Q(ip__startswith=find))
    most = len(mine) + MOST_HOSTS
    found = list(rows.order_by("other", "has", "closed", "hostname")[: most + 1])
    return [Place(row, row.has, row.closed) for row in found[:most]], len(found) > most


def with_names(of: MicroService) -> QuerySet[MicroServiceInstance]:
    return MicroServiceInstance.objects.filter(microservice=of).select_related(
        "host", "version", "previous_version", "lock_deployment", "last_operation", "last_operation__dest_version"
    )
