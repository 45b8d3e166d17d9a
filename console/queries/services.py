"""A service's pages: its versions, its instances, and the choices of the dialogs."""

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
from asset import labels, tenancy
from asset.environments import meant
from asset.models import Asset
from messages.rendering import render
from microservice.catalog.visibility import visible
from microservice.deployments.environments import Place
from microservice.deployments.new_instances import FIRST_INSTALL_FAILED
from microservice.deployments.placement import closed_hosts
from microservice.deployments.skipped import Candidate, is_lockable, skip_reason
from microservice.deployments.targets import TargetSelection
from microservice.models import Deployment, MicroService, MicroServiceInstance, MicroServiceVersion
from microservice.status import DEPLOYMENT_OPEN, BuildStatus
from runtime.ids import parse_id

from .fleet import FAILED, LOCKED, MAINTENANCE
from .hosts import Selectors
from .paging import PAGE, Page, by_key, newest_first

INSTANCE_STATES = {"failed": FAILED, "locked": LOCKED, "maintenance": MAINTENANCE}
MAX_HOSTS = 100  # in the install dialog, besides the selected ones


@dataclass(slots=True)
class Overview:
    """The header of a service's pages."""

    instances: int
    versions: int
    least: int | None
    most: int | None
    deployments: list[Deployment]


def service(caller: Caller, name: str) -> MicroService:
    """Return a service by name. Raise Problem 404 if it does not exist or the caller may not see it."""
    row = MicroService.objects.filter(visible(caller), name=name).first()
    if row is None:
        raise not_found("service")
    return row


def version(of: MicroService, number: int) -> MicroServiceVersion:
    row = MicroServiceVersion.objects.filter(microservice=of, pk=number).first()
    if row is None:
        raise not_found("version")
    row.microservice = of
    return row


def overview(of: MicroService) -> Overview:
    """Summarize a service in three queries."""
    built = MicroServiceVersion.objects.filter(microservice=of).aggregate(
        n=Count("pk"),
        least=Min("pk", filter=Q(status=BuildStatus.SUCCESS)),
        most=Max("pk", filter=Q(status=BuildStatus.SUCCESS)),
    )
    open_deployments = Deployment.objects.filter(microservice=of, status__in=DEPLOYMENT_OPEN)
    return Overview(
        instances=of.instances.count(),
        versions=built["n"],
        least=built["least"],
        most=built["most"],
        deployments=list(open_deployments.select_related("from_version", "dest_version")[:5]),
    )


def versions(of: MicroService, q: str = "", status: str = "", after: str = "", size: int = PAGE) -> Page:
    """Return versions, newest first, each with `running`: the number of its instances. Two queries."""
    rows = MicroServiceVersion.objects.filter(microservice=of)
    if q:
        named = Q(version__icontains=q) | Q(ref__icontains=q)
        rows = rows.filter(named | Q(image__icontains=q) | Q(image_tag__icontains=q))
    if status in BuildStatus.labels:
        rows = rows.filter(status=BuildStatus[status.upper()])
    elif status == "runs":
        rows = rows.filter(pk__in=of.instances.values("version"))
    page = newest_first(rows, after, size)
    counts = dict(
        MicroServiceInstance.objects.filter(microservice=of, version__in=[row.pk for row in page])
        .values_list("version")
        .annotate(n=Count("pk"))
        .order_by()
    )
    for row in page:
        row.running = counts.get(row.pk, 0)
    return page


def instances(
    of: MicroService, filters: dict[str, str], selectors: Selectors = (), after: str = "", size: int = PAGE
) -> Page:
    """Return instances by host name. A query, and one for each selector of labels."""
    page = by_key(matching(with_names(of), of, filters, selectors), "host__hostname", after, size)
    for row in page:
        row.microservice = of
    return page


def matching(
    rows: QuerySet[MicroServiceInstance], of: MicroService, filters: dict[str, str], selectors: Selectors
) -> QuerySet[MicroServiceInstance]:
    """Return those of a service's instances that the filters mean: q, state (failed, locked, maintenance), version (an
    id) and environment (a name); and whose hosts have labels."""
    if q := filters.get("q"):
        rows = rows.filter(found(q))
    if condition := INSTANCE_STATES.get(filters.get("state", "")):
        rows = rows.filter(condition)
    if version_id := parse_id(filters.get("version", "")):
        rows = rows.filter(version=version_id)
    rows = rows.filter(meant(filters.get("environment", ""), "host__environment"))
    if selectors is None or any(selectors):
        rows = rows.filter(host__in=labels.narrow(Asset.objects.filter(instances__microservice=of), selectors))
    return rows


def found(words: str) -> Q:
    """Return the condition of instances whose host or tag was searched for."""
    return Q(host__hostname__icontains=words) | Q(host__ip__startswith=words) | Q(tag__icontains=words)


def instance(of: MicroService, number: int) -> MicroServiceInstance:
    row = with_names(of).filter(pk=number).first()
    if row is None:
        raise not_found("instance")
    return row


def unavailable_reason(row: MicroServiceInstance, selection: TargetSelection) -> str:
    """Return why an instance (of `with_closed`) cannot be locked now; "" where it can. Pure."""
    one = Candidate.of(row)
    return "" if is_lockable(one, selection) else render(skip_reason(one, selection))


def came_from(of: MicroService, version: MicroServiceVersion) -> int | None:
    """Return the id of the version that most instances ran before this one."""
    rows = of.instances.filter(version=version, previous_version__isnull=False).values_list("previous_version")
    most = rows.annotate(n=Count("pk")).order_by("-n", "-previous_version").first()
    return most[0] if most else None


@dataclass(slots=True)
class InstallHost:
    """A host in the install dialog: `has` the service already, or is `closed` to it."""

    host: Asset
    has: bool
    closed: bool


def hosts_without(
    caller: Caller, of: MicroService, selected: list[str], find: str = "", place: Place | None = None
) -> tuple[list[InstallHost], bool]:
    """Return the hosts that the caller may see, selected ones first; and whether there are more.

    `place`: only hosts of this environment.
    """
    selected_ids = [number for host in selected[:1000] if (number := parse_id(host))]
    rows = Asset.objects.filter(tenancy.visible(caller)).annotate(
        has=Exists(of.instances.filter(host=OuterRef("pk")).exclude(FIRST_INSTALL_FAILED)),
        closed=ExpressionWrapper(closed_hosts(of), BooleanField()),
        other=Case(When(pk__in=selected_ids, then=Value(0)), default=Value(1)),
    )
    if place:
        rows = rows.filter(environment=place.environment)
    if find:
        rows = rows.filter(Q(pk__in=selected_ids) | Q(hostname__icontains=find) | Q(ip__startswith=find))
    limit = len(selected_ids) + MAX_HOSTS
    hosts = list(rows.order_by("other", "has", "closed", "hostname")[: limit + 1])
    return [InstallHost(row, row.has, row.closed) for row in hosts[:limit]], len(hosts) > limit


def with_names(of: MicroService) -> QuerySet[MicroServiceInstance]:
    return MicroServiceInstance.objects.filter(microservice=of).select_related(
        "host__environment",
        "version",
        "previous_version",
        "lock_deployment",
        "last_operation",
        "last_operation__dest_version",
    )
