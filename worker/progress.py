"""What happens in an operation, gathered by its thread and written in bulk by the writer."""

import threading
from collections.abc import Iterable
from dataclasses import dataclass, replace
from time import monotonic
from typing import Any

from django.db import connection

from access.masking import Mask, Stream
from audit.models import Event
from deployer.engine.journal import JournalEvent
from messages import Message
from microservice.models import Operation, Output, Step
from runtime import bulk_insert

from .step_state import COLUMNS, OF_STEPS, StepState

MAX_BUFFERED = 1 << 20  # bytes of output one operation may have in memory; a host's own file holds the rest meanwhile
OUTPUT_ROW_SIZE = 1 << 16  # bytes of output in one row, at most


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
                if event.kind in OF_STEPS and event.position in self._steps:
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


_STEP_AGAIN = bulk_insert.update_on_conflict(("operation_id", "position"), COLUMNS)


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
    bulk_insert.insert(Step, ("operation", "position", *COLUMNS), steps, _STEP_AGAIN)
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
