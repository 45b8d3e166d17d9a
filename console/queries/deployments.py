"""Deployments and operations: lists, progress, the matrix of hosts and steps, the first error, output."""

from collections import defaultdict
from dataclasses import dataclass, field

from django.db.models import Count, F, Min, Q, QuerySet

from access.callers import Caller
from access.problems import not_found
from asset import tenancy
from deployer.engine.error_lines import bare
from microservice import atoms
from microservice.catalog.visibility import operations, visible
from microservice.models import Deployment, MicroServiceInstance, Operation, Step
from microservice.output import encodings, frames, lines, logs, terminal
from microservice.output import error_lines as troubles
from microservice.status import (
    DEPLOYMENT_OPEN,
    OPERATION_ENDED,
    OPERATION_WENT_WRONG,
    RETRYABLE,
    Action,
    DeploymentStatus,
    OperationStatus,
)

from .fleet import progress_of
from .paging import Page, newest_first

ROWS = 40  # hosts of the matrix on one page; more come as it is scrolled
COLUMNS_OF = 400  # hosts whose steps make the columns
MOST_ROWS = 1000  # hosts that a page which was scrolled so far is given at once
MOST_NAMES = 1000  # hosts that a confirmation names one by one
SIDE_BY_SIDE = 4  # attempts


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
    "host__hostname",
    "host__ip",
    "host__base_path",
    "host__encoding",
)


@dataclass(slots=True)
class Row:
    """One operation with a cell for each column of the matrix: a `Step`, or None where it has no such step (yet).

    The page adds whether its output is shown, which rows a click on it leaves open, and the output itself.
    """

    operation: Operation
    cells: list[Step | None]
    open: bool = False
    toggle: str = ""
    output: dict | None = None

    @property
    def waits(self) -> bool:
        return not has_ended(self.operation)

    @property
    def wrong(self) -> bool:
        return self.operation.status in OPERATION_WENT_WRONG | {OperationStatus.UNKNOWN}


@dataclass(slots=True)
class Matrix:
    columns: list[str] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    next: str = ""


def deployments(caller: Caller, filters: dict[str, str], after: str = "") -> Page:
    """Newest first, with progress; `filters`: service (name), status, action. Two queries."""
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
    found = (
        Deployment.objects.filter(visible(caller, "microservice"), pk=number)
        .select_related("microservice", "from_version", "dest_version", "origin")
        .first()
    )
    if found is None:
        raise not_found("deployment")
    return found


def counts(of: Deployment) -> dict[str, int]:
    """How many operations have each status, in the order of OperationStatus; statuses that none has are left out."""
    found = dict(of.operations.values_list("status").annotate(n=Count("pk")).order_by())
    return {status: found[status] for status in OperationStatus.values if status in found}


def may_be_retried(by_status: dict[str, int]) -> int:
    return sum(n for status, n in by_status.items() if status in RETRYABLE)


def matrix(caller: Caller, of: Deployment, status: str = "", after: str = "", size: int = ROWS) -> Matrix:
    """A page of hosts × steps, in the order in which hosts take their turn; without hosts that are another team's by
    now. Three queries."""
    rows = of.operations.filter(tenancy.visible(caller, "host")).select_related("host").only(*_SHOWN).order_by("pk")
    if status in OperationStatus.values:
        rows = rows.filter(status=status)
    elif status == "wrong":
        rows = rows.filter(status__in=OPERATION_WENT_WRONG | {OperationStatus.UNKNOWN})
    if after.isascii() and after.isdigit() and len(after) < 19:
        rows = rows.filter(pk__gt=int(after))
    found = list(rows[: size + 1])
    more = str(found[size - 1].pk) if len(found) > size else ""
    found = found[:size]
    steps: dict[int, dict[str, Step]] = defaultdict(dict)
    for step in _cells(found):
        steps[step.operation_id][step.name] = step
    for row in found:
        row.deployment = of  # loaded already, with its service
    columns = _columns(of) or _planned(of, found)
    return Matrix(columns, [Row(row, [steps[row.pk].get(name) for name in columns]) for row in found], more)


def _columns(of: Deployment) -> list[str]:
    """The steps' names in their order, the same on every page: of the hosts that took their turn first."""
    first = of.operations.order_by("pk").values("pk")[:COLUMNS_OF]
    names = Step.objects.filter(operation__in=first).values("name").annotate(place=Min("position"))
    return list(names.order_by("place", "name").values_list("name", flat=True))


def _cells(rows: list[Operation]) -> QuerySet[Step]:
    """What the cells show of steps; states and reasons, which may be long, are the operation page's."""
    steps = Step.objects.filter(operation__in=[row.pk for row in rows]).order_by("position", "pk")
    return steps.only("operation_id", "position", "name", "status", "started", "finished")


def _planned(of: Deployment, rows: list[Operation]) -> list[str]:
    """The names of the steps to come, while nobody has begun: the same that a worker will plan."""
    for row in rows[:1]:
        instance = MicroServiceInstance(microservice=of.microservice, host=row.host)
        try:
            atom = atoms.atom_of(of.spec, instance, row.action, row.from_version, row.dest_version, row.adopt)
        except (
            TypeError,
            ValueError,
        ):  # a definition that cannot be planned fails where it is carried out, and says so
            return []
        return [step.name for step in atom.steps]
    return []


@dataclass(slots=True)
class Changed:
    """The hosts that a revert would send back: their names, and how many more there are."""

    names: list[str] = field(default_factory=list)
    more: int = 0


def changed(caller: Caller, of: Deployment, count: int) -> Changed:
    """The hosts on which it succeeded, `count` of them. One query."""
    done = of.operations.filter(tenancy.visible(caller, "host"), status=OperationStatus.SUCCEEDED)
    names = list(done.order_by("host__hostname").values_list("host__hostname", flat=True)[:MOST_NAMES])
    return Changed(names, max(0, count - len(names)))


def first_error(caller: Caller, of: Deployment) -> Operation | None:
    """The operation that went wrong first, or that is being undone: what somebody on call wants to see on top."""
    wrong = Q(status__in=OPERATION_WENT_WRONG) | ~Q(error="")
    found = of.operations.filter(wrong, tenancy.visible(caller, "host")).select_related("host")
    first = found.order_by(F("finished").asc(nulls_last=True), "pk").first()
    if first:
        first.deployment = of  # loaded already, with all that it skipped
    return first


def steps(of: Operation) -> list[Step]:
    """Its steps in their order; `printed` is where the output of one begins that printed something, else None."""
    found = list(of.steps.order_by("position"))
    size = of.output_size
    for step in reversed(found):
        start, end = step.output_start, size
        step.printed = start if start is not None and start < end else None  # type: ignore[attr-defined]
        size = end if start is None else min(start, end)
    return found


def operation(caller: Caller, number: int) -> Operation:
    found = (
        Operation.objects.filter(operations(caller), pk=number)
        .select_related("deployment__microservice", "from_version", "dest_version", "instance")
        .select_related("host__credential", "host__jump_host__jump_host__jump_host")
        .defer("host__credential__secret", "host__credential__passphrase")
        .first()
    )
    if found is None:
        raise not_found("operation")
    return found


def attempts(of: Operation) -> list[Operation]:
    """Every operation on the same instance, newest first: attempts side by side. At most ten."""
    return list(
        Operation.objects.filter(
            instance_number=of.instance_number, deployment__microservice=of.deployment.microservice
        )
        .select_related("from_version", "dest_version")
        .order_by("-pk")[:10]
    )


@dataclass(slots=True)
class Attempts:
    """Operations that tried the same on the same instance, oldest first, and for each step a cell for each of them."""

    columns: list[Operation] = field(default_factory=list)
    rows: list["Compared"] = field(default_factory=list)


@dataclass(slots=True)
class Compared:
    name: str
    cells: list[Step | None]
    waits: bool = False


def side_by_side(of: Operation, others: list[Operation]) -> Attempts:
    """The newest few of `others` with the same action and destination, and `of`. One query."""
    same = [one for one in others if (one.action, one.dest_version_id) == (of.action, of.dest_version_id)]
    same = sorted({one.pk: one for one in [*same[: SIDE_BY_SIDE - 1], of]}.values(), key=lambda one: one.pk)
    if len(same) < 2:
        return Attempts(same)
    found: dict[str, dict[int, Step]] = defaultdict(dict)
    for step in _cells(same):
        found[step.name][step.operation_id] = step
    return Attempts(same, [Compared(name, [cells.get(one.pk) for one in same]) for name, cells in found.items()])


def output(of: Operation, start: int, most: int) -> tuple[bytes, int]:
    """Output from byte `start`, at most `most` bytes, and the offset behind them. Cut after a line's end."""
    end = logs.size(of.pk)
    start = min(start, end)
    data = b"".join(logs.read(of.pk, start, min(end, start + most)))
    ends = start + len(data)
    if ends < end or not has_ended(of):
        # A character or a colour may be cut in two where more is to come: what follows the last newline waits for it.
        cut = data.rfind(b"\n") + 1
        if cut or len(data) < most:
            return data[:cut], start + cut
        if frame := data.rstrip(b"\r").rfind(b"\r") + 1:  # of a line that is rewritten, the last frame may count
            return b"", start + frame
    return data, ends


def unfinished(of: Operation, start: int) -> bytes:
    """The line without an end that stands at byte `start`, its end where it is long; nothing while whole lines are."""
    end = logs.size(of.pk) if not has_ended(of) else start
    rest = b"".join(logs.read(of.pk, max(start, end - frames.FRAMES), end)) if start < end else b""
    return b"" if b"\n" in rest else rest


def error_lines(of: Operation, number: int = 6) -> tuple[int, str]:
    """The lines of output that go with an operation's error, as they came (never trust them), and their last number.

    The error ends with the step's last words, and the output goes on with one more look at the step and with the
    undo: so it is the last line that the error repeats, within what the failed step printed where that is known, or
    the last one there where it repeats none.
    """
    part = troubles.of_failed_step(of)
    begin, end = part or (0, logs.size(of.pk))
    start = max(begin, end - troubles.TAIL)
    first = lines.number_at(of.pk, start)
    data = b"".join(logs.read(of.pk, start, end))
    said = terminal.decoded(data, encodings.of_data(of, data)).split("\n")
    found = [(first + place, line) for place, line in enumerate(said) if bare(line)]
    words = of.error.strip()
    last = next((at for at in reversed(range(len(found))) if _repeats(words, found[at][1])), len(found) - 1)
    shown = found[max(0, last + 1 - number) : last + 1]
    cut = first if start > begin else -1  # the end of a line of which nobody here knows how many states it had
    texts = [terminal.end_of(line) if at == cut else line for at, line in shown]
    return (shown[-1][0], "\n".join(texts)) if shown else (0, "")


def _repeats(error: str, line: str) -> bool:
    words = bare(line)
    return len(words) > 3 and words[:200] in error


def has_ended(of: Operation) -> bool:
    return of.status in OPERATION_ENDED
