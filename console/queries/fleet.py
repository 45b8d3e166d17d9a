"""The first page: each service with its running versions, deployments that are open or wait, and what failed last.

Where hosts are in environments, a service has all of this for each of them too: a `Cell` of the matrix
(fleet_matrix.py).
"""

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace

from django.db.models import Count, Exists, F, Max, Min, OuterRef, Q, QuerySet
from django.db.models.functions import Coalesce

from access.callers import Caller
from asset.models import Environment
from microservice.catalog.visibility import visible
from microservice.deployments.promotable import Candidate
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
OPEN = Q(status__in=DEPLOYMENT_OPEN)  # deployments
WAITING = Q(status=DeploymentStatus.WAITING)
COMING = OPEN | WAITING
NOWHERE = 0  # in place of an environment's id: for hosts that are in none


@dataclass(slots=True)
class Running:
    """One version of a service, the number of its instances, and whether newer or older versions exist."""

    version_id: int | None
    version: str
    count: int
    newer: bool = False
    older: bool = False


@dataclass(slots=True)
class Counts:
    """What runs somewhere, newest version first, how it is, and the deployments that one has to know of."""

    versions: list[Running] = field(default_factory=list)
    total: int = 0
    failed: int = 0
    locked: int = 0
    maintenance: int = 0
    deployments: list[Deployment] = field(default_factory=list)

    @property
    def is_settled(self) -> bool:
        return not (self.failed or self.locked or self.maintenance)

    def add(self, running: Running, row: dict[str, int]) -> None:
        """Count instances of one version, which may be counted already for another place."""
        self.total += row["n"]
        self.failed += row["failed"]
        self.locked += row["locked"]
        self.maintenance += row["maintenance"]
        known = next((one for one in self.versions if one.version_id == running.version_id), None)
        if known:
            known.count += running.count
        else:
            self.versions.append(replace(running))


@dataclass(slots=True)
class Cell(Counts):
    """What of a service runs in one environment. `candidate`: what may go there next."""

    candidate: Candidate = field(default_factory=Candidate)


@dataclass(slots=True)
class ServiceRow(Counts):
    """`cells`: by the id of each environment where there is something; NOWHERE for none."""

    service: MicroService = field(default_factory=MicroService)
    cells: dict[int, Cell] = field(default_factory=dict)
    built: bool = False
    may_deploy: bool = False

    def cell(self, place: int | None) -> Cell:
        return self.cells.setdefault(place or NOWHERE, Cell())


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is listed. `q`: part of the name; `state`: one of STATES; `environment`: only what is there."""

    q: str = ""
    state: str = ""
    environment: Environment | None = None

    @property
    def instances(self) -> Q:
        return Q(host__environment=self.environment) if self.environment else Q()

    @property
    def deployments(self) -> Q:
        return Q(environment=self.environment) if self.environment else Q()


def services(
    caller: Caller,
    wanted: Wanted,
    after: str = "",
    size: int = PAGE,
    *,
    by_place: bool = False,
    among: Collection[int] | None = None,
    without: Collection[int] = (),
) -> Page:
    """Return a page of `ServiceRow`. Six queries.

    `by_place`: with cells. `among`, `without`: ids of the only services that are listed, and of those that are not.
    """
    rows = MicroService.objects.filter(visible(caller)).exclude(pk__in=without)
    if among is not None:
        rows = rows.filter(pk__in=among)
    if wanted.q:
        rows = rows.filter(name__icontains=wanted.q)
    if wanted.state in STATES:
        rows = rows.filter(STATES[wanted.state](wanted))
    elif wanted.environment:
        rows = rows.filter(_has(wanted.instances) | _has_deployment(COMING & wanted.deployments))
    page = by_key(rows, "name", after, size)
    by_service = {service.pk: ServiceRow(service=service) for service in page.rows}
    _add_versions(by_service, wanted, by_place)
    deployments = list(_of_interest(by_service, by_place).filter(wanted.deployments))
    progress_of(deployments)
    for deployment in deployments:
        row = by_service[deployment.microservice_id]
        row.deployments.append(deployment)
        if by_place:
            row.cell(deployment.environment_id).deployments.append(deployment)
    return replace(page, rows=list(by_service.values()))


def totals(caller: Caller, wanted: Wanted) -> dict[str, int]:
    """Return the number of instances, in total and in each state, and of deployments that are open or wait.

    Of all services, in the environment that is wanted. Two queries.
    """
    counts = MicroServiceInstance.objects.filter(visible(caller, "microservice"), wanted.instances).aggregate(
        instances=Count("pk"),
        failed=Count("pk", filter=FAILED),
        locked=Count("pk", filter=LOCKED),
        maintenance=Count("pk", filter=MAINTENANCE),
    )
    deployments = Deployment.objects.filter(visible(caller, "microservice"), wanted.deployments)
    return counts | deployments.filter(COMING).aggregate(
        deploying=Count("pk", filter=OPEN), waiting=Count("pk", filter=WAITING)
    )


def _of_interest(services: Collection[int], by_place: bool) -> QuerySet[Deployment]:
    """Return what is under way or waits, and the newest deployment where that failed: from one click to its causes.

    The newest of each service (ids); `by_place`: of each service in each environment.
    """
    rows = Deployment.objects.filter(microservice__in=services)
    newer = Deployment.objects.filter(microservice=OuterRef("microservice"), pk__gt=OuterRef("pk"))
    if by_place:
        place = Coalesce("environment", NOWHERE)
        rows, newer = rows.annotate(place=place), newer.annotate(place=place).filter(place=OuterRef("place"))
    failed = Q(status=DeploymentStatus.FAILED) & ~Exists(newer.exclude(status=DeploymentStatus.WAITING))
    return rows.filter(COMING | failed).select_related("microservice", "from_version", "dest_version").order_by("-pk")


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


def _add_versions(by_service: dict[int, ServiceRow], wanted: Wanted, by_place: bool) -> None:
    """Add versions and counts: one aggregate over instances, one over versions."""
    ends = {
        row["microservice_id"]: row
        for row in MicroServiceVersion.objects.filter(microservice__in=by_service, status=BuildStatus.SUCCESS)
        .values("microservice_id")
        .annotate(least=Min("pk"), most=Max("pk"))
        .order_by()
    }
    of: Sequence[str] = ("microservice_id", "version_id", "version__version")
    rows = MicroServiceInstance.objects.filter(wanted.instances, microservice__in=by_service)
    for row in (
        rows.values(*of, **({"place": F("host__environment")} if by_place else {}))
        .annotate(
            n=Count("pk"),
            failed=Count("pk", filter=FAILED),
            locked=Count("pk", filter=LOCKED),
            maintenance=Count("pk", filter=MAINTENANCE),
        )
        .order_by("-version_id")
    ):
        entry = by_service[row["microservice_id"]]
        number, built = row["version_id"], ends.get(row["microservice_id"])
        running = Running(number, row["version__version"] or "", row["n"])
        if number and built:
            running.newer, running.older = built["most"] > number, built["least"] < number
        entry.add(running, row)
        if by_place:
            entry.cell(row["place"]).add(running, row)
    for number, entry in by_service.items():
        entry.built = number in ends
        for counts in (entry, *entry.cells.values()):
            counts.versions.sort(key=lambda running: running.version_id or 0, reverse=True)


def _has(condition: Q) -> Exists:
    return Exists(MicroServiceInstance.objects.filter(condition, microservice=OuterRef("pk")))


def _has_deployment(condition: Q) -> Exists:
    return Exists(Deployment.objects.filter(condition, microservice=OuterRef("pk")))


STATES = {
    "failed": lambda wanted: _has(FAILED & wanted.instances),
    "locked": lambda wanted: _has(LOCKED & wanted.instances),
    "maintenance": lambda wanted: _has(MAINTENANCE & wanted.instances),
    "deploying": lambda wanted: _has_deployment(OPEN & wanted.deployments),
    "waiting": lambda wanted: _has_deployment(WAITING & wanted.deployments),
    "empty": lambda wanted: ~_has(wanted.instances),
}
