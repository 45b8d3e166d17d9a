"""Deployments: lists, progress, the matrix of hosts and steps, the first error."""

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Count, F, Min, Q

from access.callers import Caller
from access.problems import not_found
from asset import tenancy
from microservice import atoms
from microservice.catalog.visibility import visible
from microservice.models import Deployment, MicroServiceInstance, Operation, Step
from microservice.status import (
    DEPLOYMENT_OPEN,
    OPERATION_FAILED_STATUSES,
    RETRYABLE,
    Action,
    DeploymentStatus,
    OperationStatus,
)
from runtime.ids import parse_id

from .fleet import progress_of
from .operations import cells, has_ended
from .paging import Page, newest_first

STATUS_FILTERS = ("open", *DeploymentStatus.values)
ROWS = 40  # of the matrix on one page; more load on scrolling
MAX_COLUMN_HOSTS = 400  # whose steps make the columns
MAX_ROWS = 1000  # of a matrix that was scrolled, in one response
MAX_NAMES = 1000  # hosts named in a confirmation


_SHOWN = (
    "deployment_id",
    "action",
    "adopt",
    "from_version_id",
    "dest_version_id",
    "status",
    "attempt",
    "started",
    "finished",
    "error",
    "error_code",
    "error_params",
    "host__hostname",
    "host__ip",
    "host__base_path",
    "host__encoding",
)


@dataclass(slots=True)
class Row:
    """One operation with a cell for each column of the matrix: a `Step`, or None without such a step (yet).

    The view sets `open` (whether output is shown), `toggle` (rows left open by a click on it) and the output.
    """

    operation: Operation
    cells: list[Step | None]
    open: bool = False
    toggle: str = ""
    output: dict[str, Any] | None = None

    @property
    def waits(self) -> bool:
        return not has_ended(self.operation)

    @property
    def wrong(self) -> bool:
        return self.operation.status in OPERATION_FAILED_STATUSES | {OperationStatus.UNKNOWN}


@dataclass(slots=True)
class Matrix:
    columns: list[str] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    next: str = ""


def deployments(caller: Caller, filters: dict[str, str], after: str = "") -> Page:
    """Return deployments, newest first, with progress. `filters`: service (name), status, action. Two queries."""
    rows = Deployment.objects.filter(visible(caller, "microservice")).select_related(
        "microservice", "from_version", "dest_version"
    )
    if name := filters.get("service"):
        rows = rows.filter(microservice__name=name)
    status = filters.get("status", "")
    if status in DeploymentStatus.values:
        rows = rows.filter(status=status)
    elif status == "open":
        rows = rows.filter(status__in=DEPLOYMENT_OPEN)
    if filters.get("action") in Action.values:
        rows = rows.filter(action=filters["action"])
    page = newest_first(rows, after)
    progress_of(page.rows)
    return page


def deployment(caller: Caller, number: int) -> Deployment:
    row = (
        Deployment.objects.filter(visible(caller, "microservice"), pk=number)
        .select_related("microservice", "from_version", "dest_version", "origin")
        .first()
    )
    if row is None:
        raise not_found("deployment")
    return row


def counts(of: Deployment) -> dict[str, int]:
    """Return the number of operations in each status, in the order of OperationStatus; without zeros."""
    by_status = dict(of.operations.values_list("status").annotate(n=Count("pk")).order_by())
    return {status: by_status[status] for status in OperationStatus.values if status in by_status}


def retryable(by_status: dict[str, int]) -> int:
    return sum(n for status, n in by_status.items() if status in RETRYABLE)


def matrix(caller: Caller, of: Deployment, status: str = "", after: str = "", size: int = ROWS) -> Matrix:
    """Return a page of hosts × steps, in rollout order, without hosts of other teams. Three queries."""
    rows = of.operations.filter(tenancy.visible(caller, "host")).select_related("host").only(*_SHOWN).order_by("pk")
    if status in OperationStatus.values:
        rows = rows.filter(status=status)
    elif status == "wrong":
        rows = rows.filter(status__in=OPERATION_FAILED_STATUSES | {OperationStatus.UNKNOWN})
    if last_id := parse_id(after):
        rows = rows.filter(pk__gt=last_id)
    operations = list(rows[: size + 1])
    more = str(operations[size - 1].pk) if len(operations) > size else ""
    operations = operations[:size]
    steps: dict[int, dict[str, Step]] = defaultdict(dict)
    for step in cells(operations):
        steps[step.operation_id][step.name] = step
    for row in operations:
        row.deployment = of  # loaded already, with its service
    columns = _columns(of) or _planned(of, operations)
    return Matrix(columns, [Row(row, [steps[row.pk].get(name) for name in columns]) for row in operations], more)


def _columns(of: Deployment) -> list[str]:
    """Return the names of the steps in order, the same on every page: those of the first hosts of the rollout."""
    first = of.operations.order_by("pk").values("pk")[:MAX_COLUMN_HOSTS]
    names = Step.objects.filter(operation__in=first).values("name").annotate(place=Min("position"))
    return list(names.order_by("place", "name").values_list("name", flat=True))


def _planned(of: Deployment, rows: list[Operation]) -> list[str]:
    """Return the names of the planned steps while no operation has started: the same that a worker will plan."""
    for row in rows[:1]:
        planned = Operation(
            instance=MicroServiceInstance(microservice=of.microservice, host=row.host),
            action=row.action,
            from_version=row.from_version,
            dest_version=row.dest_version,
            adopt=row.adopt,
        )
        try:
            atom = atoms.atom_of(of.spec, planned)
        except (TypeError, ValueError):  # the operation will fail with the reason when it runs
            return []
        return [step.name for step in atom.steps]
    return []


@dataclass(slots=True)
class Changed:
    """The hosts that a revert would revert: their names, and how many more there are."""

    names: list[str] = field(default_factory=list)
    more: int = 0


def changed(caller: Caller, of: Deployment, count: int) -> Changed:
    """Return the hosts on which the deployment succeeded, `count` of them. One query."""
    succeeded = of.operations.filter(tenancy.visible(caller, "host"), status=OperationStatus.SUCCEEDED)
    names = list(succeeded.order_by("host__hostname").values_list("host__hostname", flat=True)[:MAX_NAMES])
    return Changed(names, max(0, count - len(names)))


def first_error(caller: Caller, of: Deployment) -> Operation | None:
    """Return the operation that failed first or is being undone."""
    wrong = Q(status__in=OPERATION_FAILED_STATUSES) | ~Q(error="")
    rows = of.operations.filter(wrong, tenancy.visible(caller, "host")).select_related("host")
    first = rows.order_by(F("finished").asc(nulls_last=True), "pk").first()
    if first:
        first.deployment = of  # loaded already, with the targets that it skipped
    return first
