"""One operation: its steps, other attempts on the same instance, its output and the lines that explain its error."""

from collections import defaultdict
from dataclasses import dataclass, field

from django.db.models import QuerySet

from access.callers import Caller
from access.problems import not_found
from deployer.engine.error_lines import bare
from microservice.catalog.visibility import operations
from microservice.models import Operation, Step
from microservice.output import encodings, frames, lines, logs, terminal
from microservice.output.error_lines import TAIL_BYTES, of_failed_step
from microservice.status import OPERATION_ENDED

MAX_COMPARED = 4  # attempts side by side


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
    for step in cells(same):
        by_name[step.name][step.operation_id] = step
    return Attempts(same, [ComparedStep(name, [cells.get(row.pk) for row in same]) for name, cells in by_name.items()])


def cells(rows: list[Operation]) -> QuerySet[Step]:
    """Return what the cells show of steps; their states and reasons, which may be long, are on the operation's page."""
    steps = Step.objects.filter(operation__in=[row.pk for row in rows]).order_by("position", "pk")
    return steps.only("operation_id", "position", "name", "status", "started", "finished", "exit_status", "undo_status")


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
