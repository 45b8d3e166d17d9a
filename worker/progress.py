"""What happens in an operation, gathered by its thread and written in bulk by the writer."""

import threading
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from time import monotonic
from typing import Any

from django.db import connection

from access.masking import Mask, Stream
from audit.models import Event
from deployer.engine.journal import JournalEvent, Kind
from messages import Message
from messages.rendering import english
from microservice.models import Operation, Output, Step
from microservice.status import StepStatus, UndoStatus
from runtime import bulk_insert

MAX_BUFFERED = 1 << 20  # bytes of output one operation may have in memory; a host's own file holds the rest meanwhile
OUTPUT_ROW_SIZE = 1 << 16  # bytes of output in one row, at most

STATUS_AFTER = {
    Kind.STARTED: StepStatus.RUNNING,
    Kind.DONE: StepStatus.DONE,
    Kind.FAILED: StepStatus.FAILED,
}
UNDO_STATUS_AFTER = {
    Kind.UNDOING: UndoStatus.UNDOING,
    Kind.UNDONE: UndoStatus.UNDONE,
    Kind.UNDO_FAILED: UndoStatus.FAILED,
}


_OF_STEPS = STATUS_AFTER.keys() | UNDO_STATUS_AFTER.keys()


@dataclass(frozen=True, slots=True)
class StepState:
    """A step as far as it has come; what becomes a Step row."""

    position: int
    name: str
    status: StepStatus = StepStatus.PENDING
    old_state: str = ""
    new_state: str = ""
    detail: str = ""
    reason: Message | None = None
    exit_status: int | None = None
    started: datetime | None = None
    finished: datetime | None = None
    output_start: int | None = None
    undo_status: UndoStatus = UndoStatus.NONE
    undo_state: str = ""
    undo_detail: str = ""
    undo_reason: Message | None = None
    undo_exit_status: int | None = None
    undo_started: datetime | None = None
    undo_finished: datetime | None = None
    undo_start: int | None = None

    def after(self, event: JournalEvent) -> "StepState":
        """Return the step after this event. Pure."""
        at = datetime.fromtimestamp(event.at, UTC)
        if event.kind in UNDO_STATUS_AFTER:
            return self._after_undo(event, UNDO_STATUS_AFTER[event.kind], at)
        status = STATUS_AFTER[event.kind]
        return replace(
            self,
            status=status,
            old_state=event.old_state or self.old_state,
            new_state=self.new_state if event.kind is Kind.FAILED else event.new_state or self.new_state,
            detail=_english(event.why) or self.detail,
            reason=event.reason or (None if event.detail else self.reason),
            exit_status=self.exit_status if event.exit_status is None else event.exit_status,
            started=at if status == StepStatus.RUNNING else self.started,
            finished=None if status == StepStatus.RUNNING else at,
            output_start=event.printed if status == StepStatus.RUNNING else self.output_start,
        )

    def _after_undo(self, event: JournalEvent, status: UndoStatus, at: datetime) -> "StepState":
        """Return the step after this event of its undo. What it came to itself stays: it is why there is an undo."""
        begins = status == UndoStatus.UNDOING
        return replace(
            self,
            undo_status=status,
            undo_state=event.new_state or self.undo_state,
            undo_detail=_english(event.why) or self.undo_detail,
            undo_reason=event.reason or (None if event.detail else self.undo_reason),
            undo_exit_status=self.undo_exit_status if event.exit_status is None else event.exit_status,
            undo_started=at if begins else self.undo_started,
            undo_finished=None if begins else at,
            undo_start=event.printed if begins else self.undo_start,
        )

    def row(self) -> tuple:
        """Return the columns of _STEP."""
        return tuple(_column(getattr(self, name)) for name in _STEP)

    def as_event(self) -> dict:
        return {
            "position": self.position,
            "name": self.name,
            "status": str(self.status),
            "exit_status": self.exit_status,
            "detail": self.detail,
            "undo_status": str(self.undo_status),
            "undo_exit_status": self.undo_exit_status,
        }


def _column(value: Any) -> Any:
    if isinstance(value, Message):
        return value.as_json()
    return str(value) if isinstance(value, StepStatus | UndoStatus) else value


@dataclass(slots=True)
class Piece:
    """What one transaction writes of an operation."""

    steps: list[StepState]
    output: bytes
    start: int
    line: int
    sent: int


class Progress:
    """One operation's unwritten progress. Its thread adds, the writer takes; `forget` follows the commit.

    What it takes in has the operation's secrets masked before anything else sees it: rows, and so pages, events,
    downloads and callbacks, never have them. A masked text has the same length, so offsets are the host's own. What is
    held back is not in the rows, so the next owner of the operation asks the host for it again.
    """

    def __init__(self, operation: Operation):
        self.operation = operation
        self.name = (operation.pk, operation.fence)
        self.awaits_writing = False
        self.lost = False  # another worker owns it: its thread is to leave it at once
        self.cancelled = False
        self.last_call = monotonic()  # when its thread last called this object
        self.thread: int | None = None  # which thread that is
        self._change = threading.Condition()
        self._steps: dict[int, StepState] = {}
        self._changed: set[int] = set()
        self._output = bytearray()
        self._start = operation.output_size
        self._line = operation.output_lines
        self._sent = 0
        self.mask = Mask(())
        self._stream = Stream(self.mask)

    def hide(self, mask: Mask) -> None:
        """Hide secrets from now on; call it before anything is taken in."""
        self.mask, self._stream = mask, Stream(mask)

    def heartbeat(self) -> None:
        """Note that its thread is alive, and is the one that calls."""
        self.last_call, self.thread = monotonic(), threading.get_ident()

    def plan(self, names: Iterable[str]) -> None:
        with self._change:
            for position, name in enumerate(names):
                self._steps[position] = StepState(position, name)
                self._changed.add(position)

    def events(self, seen: Iterable[JournalEvent]) -> None:
        with self._change:
            for event in map(self._masked, seen) if self.mask else seen:
                # The rows of an operation are those of its plan, whatever a host names.
                if event.kind in _OF_STEPS and event.position in self._steps:
                    self._steps[event.position] = self._steps[event.position].after(event)
                    self._changed.add(event.position)

    def output(self, start: int, data: bytes) -> None:
        """Add output that begins at `start`; wait while too much of it has not been written yet."""
        with self._change:
            follows = self._start + len(self._output) + self._stream.held
        if start != follows:
            raise ValueError(f"output from {start} on, when {follows} is what follows")
        data = self._stream.feed(data)  # by its own thread alone; the writer is not to wait for the search
        with self._change:
            self._change.wait_for(lambda: len(self._output) < MAX_BUFFERED, timeout=30)
            self._output += data

    def no_more_output(self) -> None:
        """Take what was held back as all that there is: the run has ended, and its output is complete."""
        with self._change:
            self._output += self._stream.flush()

    def _masked(self, event: JournalEvent) -> JournalEvent:
        text = self.mask.text
        return replace(
            event,
            old_state=text(event.old_state),
            new_state=text(event.new_state),
            detail=text(event.detail),
            reason=masked(event.reason, self.mask),
        )

    @property
    def unwritten(self) -> int:
        """Bytes of output."""
        return len(self._output)

    def sent(self, count: int) -> None:
        with self._change:
            self._sent += count

    def take(self) -> Piece:
        with self._change:
            self.awaits_writing = False
            steps = [self._steps[position] for position in sorted(self._changed)]
            return Piece(steps, bytes(self._output), self._start, self._line, self._sent)

    def forget(self, piece: Piece) -> None:
        """Forget a piece that is in the database. What changed since it was taken stays to be written."""
        with self._change:
            for step in piece.steps:
                if self._steps[step.position] is step:
                    self._changed.discard(step.position)
            del self._output[: len(piece.output)]
            self._start += len(piece.output)
            self._line += piece.output.count(b"\n")
            self._sent -= piece.sent
            self._change.notify_all()


def masked(message: Message | None, mask: Mask) -> Message | None:
    """Return the message with the operation's secrets masked in the words of hosts and commands."""
    return message and Message(message.code, {name: _masked(value, mask) for name, value in message.params.items()})


def _masked(value: Any, mask: Mask) -> Any:
    if isinstance(value, Message):
        return masked(value, mask)
    if isinstance(value, (list, tuple)):
        return [_masked(item, mask) for item in value]
    return mask.text(value) if isinstance(value, str) else value


def _english(why: Message | str) -> str:
    return english(why) if isinstance(why, Message) else why


_STEP = (
    "name",
    "status",
    "old_state",
    "new_state",
    "detail",
    "reason",
    "exit_status",
    "started",
    "finished",
    "output_start",
    "undo_status",
    "undo_state",
    "undo_detail",
    "undo_reason",
    "undo_exit_status",
    "undo_started",
    "undo_finished",
    "undo_start",
)
_STEP_AGAIN = bulk_insert.update_on_conflict(("operation_id", "position"), _STEP)


def write_progress(written: list[tuple[Progress, Piece]]) -> list[Event]:
    """Write what was taken, in a fixed number of statements; return the events that announce it."""
    steps, output, new_events, grown = [], [], [], []
    for progress, piece in written:
        number, deployment = progress.operation.pk, progress.operation.deployment_id
        steps += [(number, step.position, *step.row()) for step in piece.steps]
        if piece.steps:
            data = {"operation_id": number, "steps": [step.as_event() for step in piece.steps]}
            new_events.append(Event(deployment_id=deployment, operation_id=number, kind="step", data=data))
        line = piece.line
        for at in range(0, len(piece.output), OUTPUT_ROW_SIZE):
            part = piece.output[at : at + OUTPUT_ROW_SIZE]
            output.append((number, piece.start + at, line, part))
            line += part.count(b"\n")
        if piece.output:
            size = piece.start + len(piece.output)
            data = {"operation_id": number, "start": piece.start, "size": size}
            new_events.append(Event(deployment_id=deployment, operation_id=number, kind="output", data=data))
        if piece.output or piece.sent:
            progress.operation.output_size = piece.start + len(piece.output)
            progress.operation.output_lines = line
            grown.append((progress.operation, piece.sent))
    bulk_insert.insert(Step, ("operation", "position", *_STEP), steps, _STEP_AGAIN)
    # A commit whose answer was lost is tried again: the same bytes at the same place are no second output.
    bulk_insert.insert(Output, ("operation", "start", "line", "data"), output, "DO NOTHING")
    _grow(grown)
    return new_events


_GROW = """
WITH now (id, size, lines, sent) AS (VALUES {rows})
UPDATE operation SET output_size = now.size, output_lines = now.lines, bytes_sent = bytes_sent + now.sent
FROM now WHERE operation.id = now.id
"""


def _grow(grown: list[tuple[Operation, int]]) -> None:
    if grown:
        rows = [(operation.pk, operation.output_size, operation.output_lines, sent) for operation, sent in grown]
        values = [value for row in rows for value in row]
        with connection.cursor() as cursor:
            cursor.execute(_GROW.format(rows=", ".join(["(%s, %s, %s, %s)"] * len(grown))), values)
