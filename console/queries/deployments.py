"""Deployments and operations: lists, progress, the matrix of hosts and steps, the first error, output."""

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Count, F, Min, Q, QuerySet

from access.callers import Caller
from access.problems import not_found
from asset import tenancy
from deployer.engine.error_lines import bare
from microservice import atoms
from microservice.catalog.visibility import operations, visible
from microservice.models import Deployment, MicroServiceInstance, Operation, Step
from microservice.output import encodings, frames, lines, logs, terminal
from microservice.output.error_lines import TAIL_BYTES, of_failed_step
from microservice.status import (
    DEPLOYMENT_OPEN,
    OPERATION_ENDED,
    OPERATION_FAILED_STATUSES,
    RETRYABLE,
    Action,
    DeploymentStatus,
    OperationStatus,
)
from runtime.ids import parse_id

from .fleet import progress_of
from .paging import Page, newest_first

STATUS_FILTERS = ("open", *DeploymentStatus.values)
ROWS = 40  # of the matrix on one page; more load on scrolling
MAX_COLUMN_HOSTS = 400  # whose steps make the columns
MAX_ROWS = 1000  # of a matrix that was scrolled, in one response
MAX_NAMES = 1000  # hosts named in a confirmation
MAX_COMPARED = 4  # attempts side by side


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
    for step in _cells(operations):
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


def _cells(rows: list[Operation]) -> QuerySet[Step]:
    """Return what the cells show of steps; their states and reasons, which may be long, are on the operation's page."""
    steps = Step.objects.filter(operation__in=[row.pk for row in rows]).order_by("position", "pk")
    return steps.only("operation_id", "position", "name", "status", "started", "finished")


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


def steps(of: Operation) -> list[Step]:
    """Return the operation's steps in order; `printed` is the offset of a step's output, or None without output."""
    steps = list(of.steps.order_by("position"))
    size = of.output_size
    for step in reversed(steps):
        start, end = step.output_start, size
        step.printed = start if start is not None and start < end else None  # type: ignore[attr-defined]
        size = end if start is None else min(start, end)
    return steps


def operation(caller: Caller, number: int) -> Operation:
    row = (
        Operation.objects.filter(operations(caller), pk=number)
        .select_related("deployment__microservice", "from_version", "dest_version", "instance")
        .select_related("host__credential", "host__jump_host__jump_host__jump_host")
        .defer("host__credential__secret", "host__credential__passphrase")
        .first()
    )
    if row is None:
        raise not_found("operation")
    return row


def attempts(of: Operation) -> list[Operation]:
    """Return the last operations on the same instance, newest first, at most ten."""
    return list(
        Operation.objects.filter(
            instance_id_snapshot=of.instance_id_snapshot, deployment__microservice=of.deployment.microservice
        )
        .select_related("from_version", "dest_version")
        .order_by("-pk")[:10]
    )


@dataclass(slots=True)
class Attempts:
    """Operations with the same goal on the same instance, oldest first, with a cell for each in every step's row."""

    columns: list[Operation] = field(default_factory=list)
    rows: list["ComparedStep"] = field(default_factory=list)


@dataclass(slots=True)
class ComparedStep:
    name: str
    cells: list[Step | None]
    waits: bool = False


def side_by_side(of: Operation, others: list[Operation]) -> Attempts:
    """Return `of` beside the newest of `others` with the same action and destination. One query."""
    same = [row for row in others if (row.action, row.dest_version_id) == (of.action, of.dest_version_id)]
    same = sorted({row.pk: row for row in [*same[: MAX_COMPARED - 1], of]}.values(), key=lambda row: row.pk)
    if len(same) < 2:
        return Attempts(same)
    by_name: dict[str, dict[int, Step]] = defaultdict(dict)
    for step in _cells(same):
        by_name[step.name][step.operation_id] = step
    return Attempts(same, [ComparedStep(name, [cells.get(row.pk) for row in same]) for name, cells in by_name.items()])


def output(of: Operation, start: int, limit: int) -> tuple[bytes, int]:
    """Return output from byte `start`, at most `limit` bytes, cut after a line's end, and the offset after it."""
    end = logs.size(of.pk)
    start = min(start, end)
    data = b"".join(logs.read(of.pk, start, min(end, start + limit)))
    ends = start + len(data)
    if ends < end or not has_ended(of):
        # More is to come: a character or an escape sequence after the last newline may be incomplete.
        cut = data.rfind(b"\n") + 1
        if cut or len(data) < limit:
            return data[:cut], start + cut
        if frame := data.rstrip(b"\r").rfind(b"\r") + 1:  # a rewritten line: its last frame may matter
            return b"", start + frame
    return data, ends


def unfinished(of: Operation, start: int) -> bytes:
    """Return the unfinished line at byte `start` (its end, if it is long); b"" if there are whole lines."""
    end = logs.size(of.pk) if not has_ended(of) else start
    rest = b"".join(logs.read(of.pk, max(start, end - frames.MAX_BYTES), end)) if start < end else b""
    return b"" if b"\n" in rest else rest


def error_lines(of: Operation, count: int = 6) -> tuple[int, str]:
    """Return the number of the last line that explains an operation's error, and `count` raw lines up to it.

    The error ends with the step's last output, and more output follows: another check of the step, and the undo. So
    it is the last line that the error repeats, within the failed step's output if that is known, else the last line.
    The lines are untrusted.
    """
    part = of_failed_step(of)
    begin, end = part or (0, logs.size(of.pk))
    start = max(begin, end - TAIL_BYTES)
    first = lines.number_at(of.pk, start)
    data = b"".join(logs.read(of.pk, start, end))
    text = terminal.decoded(data, encodings.of_data(of, data)).split("\n")
    numbered = [(first + place, line) for place, line in enumerate(text) if bare(line)]
    error = of.error.strip()
    last = next((at for at in reversed(range(len(numbered))) if _repeats(error, numbered[at][1])), len(numbered) - 1)
    shown = numbered[max(0, last + 1 - count) : last + 1]
    cut = first if start > begin else -1  # the end of a line whose earlier states are unknown
    texts = [terminal.end_of(line) if at == cut else line for at, line in shown]
    return (shown[-1][0], "\n".join(texts)) if shown else (0, "")


def _repeats(error: str, line: str) -> bool:
    words = bare(line)
    return len(words) > 3 and words[:200] in error


def has_ended(of: Operation) -> bool:
    return of.status in OPERATION_ENDED
