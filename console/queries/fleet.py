"""The first page: each service with its running versions, open deployments and the newest one where that failed."""

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass, field, replace

from django.db.models import Count, Exists, Max, Min, OuterRef, Q, QuerySet, Subquery

from access.callers import Caller
from microservice.catalog.visibility import visible
from microservice.models import Deployment, MicroService, MicroServiceInstance, MicroServiceVersion, Operation
from microservice.status import (
    DEPLOYMENT_ENDED,
    DEPLOYMENT_OPEN,
    MAY_RETRY,
    OPERATION_DONE,
    OPERATION_FAILED_STATUSES,
    BuildStatus,
    DeploymentStatus,
    OperationStatus,
)

from .paging import PAGE, Page, by_key

FAILED = Q(status__in=MAY_RETRY)
LOCKED = Q(locked=True)
MAINTENANCE = Q(is_maintain=True)


@dataclass(slots=True)
class Running:
    """One version of a service, the number of its instances, and whether newer or older versions exist."""

    version_id: int | None
    version: str
    count: int
    newer: bool = False
    older: bool = False


@dataclass(slots=True)
class ServiceRow:
    service: MicroService
    versions: list[Running] = field(default_factory=list)
    total: int = 0
    failed: int = 0
    locked: int = 0
    maintenance: int = 0
    deployments: list[Deployment] = field(default_factory=list)
    built: bool = False
    may_deploy: bool = False

    @property
    def is_settled(self) -> bool:
        return not (self.failed or self.locked or self.maintenance)


def services(
    caller: Caller,
    q: str = "",
    state: str = "",
    after: str = "",
    size: int = PAGE,
    *,
    among: Collection[int] | None = None,
    without: Collection[int] = (),
) -> Page:
    """Return a page of `ServiceRow`. `q`: part of the name; `state`: one of STATES. Six queries.

    `among`, `without`: ids of the only services that are listed, and of those that are not.
    """
    rows = MicroService.objects.filter(visible(caller)).exclude(pk__in=without)
    if among is not None:
        rows = rows.filter(pk__in=among)
    if q:
        rows = rows.filter(name__icontains=q)
    if state in STATES:
        rows = rows.filter(STATES[state]())
    of_service = Deployment.objects.filter(microservice=OuterRef("pk")).order_by("-pk")
    page = by_key(rows.annotate(newest_deployment=Subquery(of_service.values("pk")[:1])), "name", after, size)
    by_service = {service.pk: ServiceRow(service) for service in page.rows}
    _add_versions(by_service)
    newest = [service.newest_deployment for service in page.rows]
    deployments = list(_of_interest(newest).filter(microservice__in=by_service))
    progress_of(deployments)
    for deployment in deployments:
        by_service[deployment.microservice_id].deployments.append(deployment)
    return replace(page, rows=list(by_service.values()))


def totals(caller: Caller) -> dict[str, int]:
    """Return the number of instances, in total and in each state, and of open deployments. Two queries."""
    counts = MicroServiceInstance.objects.filter(visible(caller, "microservice")).aggregate(
        instances=Count("pk"),
        failed=Count("pk", filter=FAILED),
        locked=Count("pk", filter=LOCKED),
        maintenance=Count("pk", filter=MAINTENANCE),
    )
    counts["deploying"] = open_deployments(caller).count()
    return counts


def open_deployments(caller: Caller) -> QuerySet[Deployment]:
    return Deployment.objects.filter(visible(caller, "microservice"), status__in=DEPLOYMENT_OPEN)


def _of_interest(newest: list[int | None]) -> QuerySet[Deployment]:
    """Return what is under way, and the services' newest deployments that failed: from one click to its causes."""
    failed = Q(status=DeploymentStatus.FAILED, pk__in=[pk for pk in newest if pk])
    return (
        Deployment.objects.filter(Q(status__in=DEPLOYMENT_OPEN) | failed)
        .select_related("microservice", "from_version", "dest_version")
        .order_by("-pk")
    )


def progress_of(deployments: list[Deployment]) -> None:
    """Set `total`, `done`, `failed` and `by_status` on each deployment of a page. One query.

    `done`: operations that are over; of a deployment that has ended, those that succeeded.
    """
    counts: dict[int, dict[str, int]] = defaultdict(dict)
    for row in (
        Operation.objects.filter(deployment__in=[row.pk for row in deployments])
        .values("deployment_id", "status")
        .annotate(n=Count("pk"))
        .order_by()
    ):
        counts[row["deployment_id"]][row["status"]] = row["n"]
    for deployment in deployments:
        by_status = counts[deployment.pk]
        counted = {OperationStatus.SUCCEEDED} if deployment.status in DEPLOYMENT_ENDED else OPERATION_DONE
        done = sum(n for status, n in by_status.items() if status in counted)
        failed = sum(n for status, n in by_status.items() if status in OPERATION_FAILED_STATUSES)
        vars(deployment).update(total=sum(by_status.values()), done=done, failed=failed, by_status=by_status)


def _add_versions(by_service: dict[int, ServiceRow]) -> None:
    """Add versions and counts: one aggregate over instances, one over versions."""
    ends = {
        row["microservice_id"]: row
        for row in MicroServiceVersion.objects.filter(microservice__in=by_service, status=BuildStatus.SUCCESS)
        .values("microservice_id")
        .annotate(least=Min("pk"), most=Max("pk"))
        .order_by()
    }
    for row in (
        MicroServiceInstance.objects.filter(microservice__in=by_service)
        .values("microservice_id", "version_id", "version__version")
        .annotate(
            n=Count("pk"),
            failed=Count("pk", filter=FAILED),
            locked=Count("pk", filter=LOCKED),
            maintenance=Count("pk", filter=MAINTENANCE),
        )
        .order_by("-version_id")
    ):
        entry = by_service[row["microservice_id"]]
        entry.total += row["n"]
        entry.failed += row["failed"]
        entry.locked += row["locked"]
        entry.maintenance += row["maintenance"]
        number, built = row["version_id"], ends.get(row["microservice_id"])
        running = Running(number, row["version__version"] or "", row["n"])
        if number and built:
            running.newer, running.older = built["most"] > number, built["least"] < number
        entry.versions.append(running)
    for number, entry in by_service.items():
        entry.built = number in ends
        entry.versions.sort(key=lambda running: running.version_id or 0, reverse=True)


def _has(condition: Q) -> Exists:
    return Exists(MicroServiceInstance.objects.filter(condition, microservice=OuterRef("pk")))


STATES = {
    "failed": lambda: _has(FAILED),
    "locked": lambda: _has(LOCKED),
    "maintenance": lambda: _has(MAINTENANCE),
    "deploying": lambda: Exists(Deployment.objects.filter(microservice=OuterRef("pk"), status__in=DEPLOYMENT_OPEN)),
    "empty": lambda: ~_has(Q()),
}
