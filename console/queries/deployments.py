"""Deployments: lists, progress, the matrix of hosts and steps, and what came after."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Case, Count, Min, Q, QuerySet, Value, When

from access.callers import Caller
from access.problems import not_found
from asset import tenancy
from asset.environments import meant
from microservice import atoms
from microservice.catalog.visibility import visible
from microservice.models import Deployment, MicroServiceInstance, MicroServiceVersion, Operation, Step
from microservice.status import (
    DEPLOYMENT_OPEN,
    OPERATION_DONE,
    OPERATION_FAILED_STATUSES,
    RETRYABLE,
    Action,
    DeploymentStatus,
    OperationStatus,
    Outcome,
    UndoStatus,
    outcome_of,
)
from runtime.ids import parse_id, parse_number

from .fleet import progress_of
from .operations import cells, has_ended
from .paging import PAGE, Page, by_key, newest_first

STATUS_FILTERS = ("open", *DeploymentStatus.values)
ROWS = 40  # of the matrix on one page; more load on scrolling
MAX_COLUMN_HOSTS = 400  # whose steps make the columns
MAX_ROWS = 1000  # of a matrix that was scrolled, in one response
MAX_FOLLOWERS = 10


# What a person has to look at first; see `_RANK`.
ORDER = (
    Outcome.BROKEN,
    Outcome.ROLLED_BACK,
    Outcome.NOTHING_RAN,
    Outcome.NOT_REACHED,
    Outcome.RUNNING,
    Outcome.QUEUED,
    Outcome.PENDING,
    Outcome.CANCELLED,
    Outcome.NOT_STARTED,
    Outcome.SUCCEEDED,
)
_RANKS = {
    OperationStatus.FAILED: 0,
    OperationStatus.UNDONE: 1,
    OperationStatus.UNKNOWN: 2,
    OperationStatus.RUNNING: 3,
    OperationStatus.QUEUED: 4,
    OperationStatus.PENDING: 5,
    OperationStatus.CANCELLED: 6,
    OperationStatus.NOT_STARTED: 7,
    OperationStatus.SUCCEEDED: 8,
}
_RANK = Case(*(When(status=status, then=Value(rank)) for status, rank in _RANKS.items()), default=Value(9))
_STATUS_FILTERS: dict[str, Q] = {
    **{status: Q(status=status) for status in OperationStatus.values},
    "wrong": Q(status__in=OPERATION_FAILED_STATUSES | {OperationStatus.UNKNOWN}),
    Outcome.ROLLED_BACK: Q(status=OperationStatus.UNDONE) & ~Q(undo_status=UndoStatus.NONE),
    Outcome.NOTHING_RAN: Q(status=OperationStatus.UNDONE, undo_status=UndoStatus.NONE),
    Outcome.BROKEN: Q(status=OperationStatus.FAILED),
    Outcome.NOT_REACHED: Q(status=OperationStatus.UNKNOWN),
}
_SHOWN = (
    "deployment_id",
    "action",
    "adopt",
    "from_version_id",
    "dest_version_id",
    "status",
    "undo_status",
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
    count: int = 0  # of the rows on all pages: see `Page.count`


def deployments(caller: Caller, filters: dict[str, str], after: str = "", size: int = PAGE) -> Page:
    """Return deployments, newest first, with progress. Two queries.

    `filters`: service and environment (names), version (an id; those that lead to or from it), status, action.
    """
    rows = Deployment.objects.filter(visible(caller, "microservice")).select_related(
        "microservice", "environment", "from_version", "dest_version"
    )
    rows = rows.filter(meant(filters.get("environment", "")))
    if name := filters.get("service"):
        rows = rows.filter(microservice__name=name)
    if number := parse_id(filters.get("version", "")):
        rows = rows.filter(Q(dest_version=number) | Q(from_version=number))
    status = filters.get("status", "")
    if status in DeploymentStatus.values:
        rows = rows.filter(status=status)
    elif status == "open":
        rows = rows.filter(status__in=DEPLOYMENT_OPEN)
    if filters.get("action") in Action.values:
        rows = rows.filter(action=filters["action"])
    page = newest_first(rows, after, size)
    progress_of(page.rows)
    return page


def version_of(caller: Caller, number: str) -> str:
    """Return the name of the version with this id; "" where the caller may not see it."""
    rows = MicroServiceVersion.every.filter(visible(caller, "microservice"), pk=parse_id(number) or 0)
    return (rows.values_list("version", flat=True).first() or "") if number else ""


def deployment(caller: Caller, number: int) -> Deployment:
    row = (
        Deployment.objects.filter(visible(caller, "microservice"), pk=number)
        .select_related("microservice", "environment", "from_version", "dest_version", "origin")
        .first()
    )
    if row is None:
        raise not_found("deployment")
    return row


@dataclass(frozen=True, slots=True)
class Counts:
    """How many operations there are, without zeros: by status, and by outcome, what failed first."""

    by_status: dict[str, int]
    by_outcome: dict[str, int]

    @property
    def total(self) -> int:
        return sum(self.by_status.values())

    @property
    def done(self) -> int:
        return sum(n for status, n in self.by_status.items() if status in OPERATION_DONE)

    @property
    def succeeded(self) -> int:
        return self.by_status.get(OperationStatus.SUCCEEDED, 0)

    @property
    def retryable(self) -> int:
        return sum(n for status, n in self.by_status.items() if status in RETRYABLE)


def counts(of: Deployment) -> Counts:
    """Return the number of operations by status and outcome. One query."""
    by_status: Counter[str] = Counter()
    by_outcome: Counter[str] = Counter()
    for status, undo, number in of.operations.values_list("status", "undo_status").annotate(Count("pk")).order_by():
        by_status[status] += number
        by_outcome[outcome_of(status, undo)] += number
    return Counts(dict(by_status), {str(one): by_outcome[one] for one in ORDER if by_outcome[one]})


def matrix(
    caller: Caller, of: Deployment, status: str = "", after: str = "", size: int = ROWS, cause: str = ""
) -> Matrix:
    """Return a page of hosts × steps, without hosts of other teams: what failed, then what waits, then what is well,
    each in rollout order. Three queries. `status`: an outcome, a status of operations, or "wrong"."""
    every = _operations(caller, of, status, cause)
    rows = every.select_related("host").only(*_SHOWN)
    rows = rows.annotate(rank=_RANK).order_by("rank", "pk")
    rank, _, last_id = after.partition("-")
    if (last_rank := parse_number(rank)) is not None and (last := parse_id(last_id)):
        rows = rows.filter(Q(rank__gt=last_rank) | Q(rank=last_rank, pk__gt=last))
    operations: list[Any] = list(rows[: size + 1])  # with its `rank`
    more = f"{operations[size - 1].rank}-{operations[size - 1].pk}" if len(operations) > size else ""
    operations = operations[:size]
    steps: dict[int, dict[str, Step]] = defaultdict(dict)
    for step in cells(operations):
        steps[step.operation_id][step.name] = step
    for row in operations:
        row.deployment = of  # loaded already, with its service
    columns = _columns(of) or _planned(of, operations)
    count = Page(operations, every=every if more or after else None).count
    return Matrix(columns, [Row(row, [steps[row.pk].get(name) for name in columns]) for row in operations], more, count)


def _operations(caller: Caller, of: Deployment, status: str, cause: str) -> QuerySet[Operation]:
    rows = of.operations.filter(tenancy.visible(caller, "host"))
    if condition := _STATUS_FILTERS.get(status):
        rows = rows.filter(condition)
    return rows.filter(cause=cause) if cause else rows


def operations_of(
    caller: Caller, of: Deployment, status: str = "", cause: str = "", after: str = "", size: int = ROWS
) -> Page:
    """Return the operations of the matrix without their steps, in rollout order. One query."""
    rows = _operations(caller, of, status, cause).select_related("host", "from_version", "dest_version")
    return by_key(rows, "pk", after, size)


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


def followers(caller: Caller, of: Deployment) -> list[Deployment]:
    """Return the newest deployments that retry or revert this one, with their progress. Two queries."""
    rows = Deployment.objects.filter(visible(caller, "microservice"), origin=of)
    found = list(rows.select_related("from_version", "dest_version").order_by("-pk")[:MAX_FOLLOWERS])
    progress_of(found)
    return found
