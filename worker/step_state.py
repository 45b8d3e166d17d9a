"""A step of an operation as far as its host's journal has come: each event makes the next state. Pure."""

from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from typing import Any

from deployer.engine.journal import JournalEvent, Kind
from messages import Message
from messages.rendering import english
from microservice.status import StepStatus, UndoStatus

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
OF_STEPS = STATUS_AFTER.keys() | UNDO_STATUS_AFTER.keys()


@dataclass(frozen=True, slots=True)
class StepState:
    """A step as far as it has come; what becomes a Step row: a field is a column."""

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
        """Return its COLUMNS."""
        return tuple(_column(getattr(self, name)) for name in COLUMNS)

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


COLUMNS = tuple(field.name for field in fields(StepState) if field.name != "position")  # `position` names the row


def _column(value: Any) -> Any:
    if isinstance(value, Message):
        return value.as_json()
    return str(value) if isinstance(value, StepStatus | UndoStatus) else value


def _english(why: Message | str) -> str:
    return english(why) if isinstance(why, Message) else why
