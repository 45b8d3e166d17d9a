"""Decide what comes next after each answer of a host. Pure, so that every decision can be tested without a host."""

from dataclasses import dataclass, replace
from enum import StrEnum

from messages import Message

from . import container_errors, host_refusals
from .codes import PREFIX, STEP_CODES, Code, error, reason
from .errors import KeyChanged
from .journal import JournalEvent, Result
from .program import Answer
from .run_state import PAUSES, AttemptResult, Mode, RunState

FIRST_TRIES = 10.0  # seconds for a host that was never reached: nothing can be lost by giving up
MAX_CUTS = 4  # starts of a run whose package does not arrive whole
MAX_FETCHES = 5  # attempts that bring none of the missing output; the result is known, so it counts
MAX_ATTEMPTS = 200  # then a host whose answers lead nowhere is left alone
NOTHING_CHANGED = reason("nothing_changed")


class OutcomeKind(StrEnum):
    """How carrying out one operation ended."""

    DONE = "done"
    UNDONE = "undone"  # a step failed, or the run died; the old state is back
    FAILED = "failed"  # and undoing it failed too: the message names what is left
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"  # the host cannot be asked; the next attempt attaches
    LOST = "lost"  # another worker owns the operation now
    NOT_STARTED = "not_started"  # nothing was changed on the host


@dataclass(frozen=True)
class Outcome:
    """`step`: the step that failed. `message`: what went wrong (`operation.CODE`); None where nothing did, or where the
    operation was cancelled and undone.

    What was learnt about the host: `reached`, whether it answered last (None: it was not asked), `trouble`, what kept
    us from speaking to it, and `offered_key`, the key it showed that is not the pinned one.
    """

    kind: OutcomeKind
    step: str = ""
    message: Message | None = None
    reached: bool | None = None
    trouble: Message | None = None
    offered_key: str = ""

    @property
    def code(self) -> str:
        if self.message is None:
            return Code.CANCELLED if self.kind is OutcomeKind.CANCELLED else ""
        return self.message.code.removeprefix(PREFIX)

    def with_contact(self, result: AttemptResult) -> "Outcome":
        """Return the outcome with what the last attempt showed of the host."""
        trouble = result.error
        if trouble is None:
            return replace(self, reached=True)
        key = trouble.offered if isinstance(trouble, KeyChanged) else ""
        return replace(self, reached=trouble.reached, trouble=trouble.message, offered_key=key)


@dataclass(frozen=True)
class Decision:
    """What comes next: another attempt after `pause` seconds, or the outcome."""

    mode: Mode | None = None
    pause: float = 0.0
    outcome: Outcome | None = None


def decide(state: RunState, result: AttemptResult) -> Decision:
    """Return what comes next. `state` already includes `result`."""
    if state.attempts > MAX_ATTEMPTS:
        return _give_up(state, error(Code.UNEXPECTED_ANSWER, reason=reason("too_many_attempts", count=MAX_ATTEMPTS)))
    if result.end is not None:
        return _after_end(state, result)
    if result.left:
        return Decision(Mode.ATTACH)
    if result.answer is None:
        return _after_loss(state, result)
    if not result.signed:
        return _after_foreign_answer(state, result)
    match result.answer:
        case Answer.LOWER_FENCE:
            return _stop(OutcomeKind.LOST, error(Code.LOWER_FENCE, fence=result.about or "?"))
        case Answer.EXISTS:
            return Decision(Mode.ATTACH)
        case Answer.NO_RUN:
            return _after_no_run(state)
        case Answer.BUSY:
            return _wait(state, error(Code.BUSY))
        case Answer.CANNOT_WRITE:
            return _give_up_or_wait(state, error(Code.CANNOT_WRITE))
        case Answer.NO_TOOL:
            return _give_up_or_wait(state, error(Code.NO_TOOL, tool=result.about or "?"))
        case Answer.UNSETTLED:
            return _give_up_or_wait(state, error(Code.UNSETTLED, operation=result.about or "?"))
        case Answer.OTHER_HOST:
            return _give_up(state, error(Code.OTHER_HOST, owner=result.about or "?"))
        case Answer.OVER:
            return _wait(state, error(Code.UNEXPECTED_ANSWER, reason=reason("no_result")))
    return _after_foreign_answer(state, result)


_ENDS = {
    Result.DONE: OutcomeKind.DONE,
    Result.UNDONE: OutcomeKind.UNDONE,
    Result.CANCELLED: OutcomeKind.CANCELLED,
    Result.FAILED: OutcomeKind.FAILED,
}


def _after_end(state: RunState, result: AttemptResult) -> Decision:
    assert result.end is not None and result.end.result is not None
    if result.output_missing and state.fetches < MAX_FETCHES:
        return Decision(Mode.ATTACH, PAUSES[state.fetches])
    if result.end.result is Result.CUT:
        return _after_cut(state, result)
    kind = _ENDS[result.end.result]
    if kind is OutcomeKind.DONE:
        return _stop(kind)
    return _stop(kind, _what_failed(result.end, result.failed), result.failed.step if result.failed else "")


def _what_failed(end: JournalEvent, failed: JournalEvent | None) -> Message | None:
    """Return what the program on the host says, by its code; else it was the step's own command."""
    left = end.reason or end.detail  # a program of an older version sends a sentence
    undone = {"state": reason("undone")} if end.result is Result.UNDONE else {}
    state = {"state": left} if left else undone
    if failed is None:  # between two steps, so that none of them failed
        if end.result is Result.UNDONE:
            return error(Code.DIED, **state)
        if end.reason is not None and end.reason.code == "reason.left_on_host":
            return error(Code.LEFT_ON_HOST, **end.reason.params)
        if end.result is Result.FAILED and end.reason is None:
            return error(Code.OTHER, reason=end.detail or reason("failed"))
        return error(Code.CANCELLED, **state) if state else None
    code = Code(failed.code) if failed.code in STEP_CODES else _of_command(failed)
    if code is Code.DIED:
        return error(Code.DIED, **state)
    state = {"state": left} if left else {}
    return error(code, step=failed.step, reason=failed.why or reason("failed"), **state)


def _of_command(failed: JournalEvent) -> Code:
    said = failed.reason.params.get("said", "") if failed.reason else ""
    return container_errors.meaning(str(said)) or Code.STEP_FAILED


def _after_cut(state: RunState, result: AttemptResult) -> Decision:
    if state.cancelled:
        return _cancelled()
    if result.problem:
        return _give_up(state, error(Code.NO_PACKAGE, reason=reason(result.problem)))
    if state.cuts >= MAX_CUTS:
        return _give_up(state, error(Code.CUT, tries=state.cuts))
    return Decision(Mode.START, PAUSES[min(state.cuts - 1, len(PAUSES) - 1)])


def _after_loss(state: RunState, result: AttemptResult) -> Decision:
    if result.error is None:
        return _give_up(state, error(Code.UNEXPECTED_ANSWER, reason=reason("no_result")))
    # A run that exists is waited for as long as patience lasts; a host that was never reached is not.
    limit = FIRST_TRIES if state.safe and not state.ever_touched else state.patience
    if not result.error.passing or state.out_of_touch >= limit:
        return _give_up(state, result.error.message)
    return Decision(state.next_mode, state.pause)


def _after_no_run(state: RunState) -> Decision:
    if state.begun:
        return _give_up(state, error(Code.RUN_GONE))
    if not state.cancelled:
        return Decision(Mode.START)
    if state.no_runs >= 3:
        return _cancelled()
    return Decision(Mode.ATTACH, 1.0)  # a start that is still on its way would begin after we have left


def _after_foreign_answer(state: RunState, result: AttemptResult) -> Decision:
    """Decide after the login, sudo or a shell answered in place of the program; the host's own words may say why."""
    said = {"said": result.noise} if result.noise else {}
    code = host_refusals.meaning(result.noise) if not state.begun else None
    if code is not None:
        message = error(code, **said)
    elif result.signed:
        message = error(Code.UNEXPECTED_ANSWER, reason=reason("exit_status", status=result.answer), **said)
    else:
        message = error(Code.NOT_RUN, status=result.answer, **said)
    return _give_up_or_wait(state, message)


def _give_up_or_wait(state: RunState, message: Message) -> Decision:
    return _give_up(state, message) if state.safe else _wait(state, message)


def _wait(state: RunState, message: Message) -> Decision:
    """Ask again until patience is over."""
    if state.out_of_touch >= state.patience:
        return _give_up(state, message)
    return Decision(state.next_mode, max(state.pause, 0.5))


def _give_up(state: RunState, message: Message) -> Decision:
    if state.cancelled and state.safe:
        return _cancelled()
    kind, known = (OutcomeKind.NOT_STARTED, NOTHING_CHANGED) if state.safe else (OutcomeKind.UNKNOWN, _PROGRESS_UNKNOWN)
    return _stop(kind, Message(message.code, {**message.params, "state": known}))


_PROGRESS_UNKNOWN = reason("progress_unknown")


def _cancelled() -> Decision:
    return _stop(OutcomeKind.CANCELLED, error(Code.CANCELLED, state=NOTHING_CHANGED))


def _stop(kind: OutcomeKind, message: Message | None = None, step: str = "") -> Decision:
    return Decision(outcome=Outcome(kind, step, message))
