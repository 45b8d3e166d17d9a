"""From what a host answered to what is done next: pure, so that every rung can be tried without a host.

Safe means: as far as the host has told, nothing of this run was begun, or what was begun touched nothing. Only then a
run is started; otherwise it is attached to, which never does anything twice.
"""

from dataclasses import dataclass, replace
from enum import Enum, StrEnum

from . import host_refusals
from .codes import Code
from .errors import KeyChanged, NoCommonAlgorithm, WireError
from .journal import JournalEvent, Result
from .program import Answer

FIRST_TRIES = 10.0  # seconds for a host that was never reached: nothing can be lost by giving up
MOST_CUTS = 4  # starts of a run whose package does not arrive whole
MOST_FETCHES = 5  # attempts that bring none of the output that is missing; the result is known, so it counts
MOST_ROUNDS = 200  # a host that answers in circles is left alone
_PAUSES = (0.0, 0.2, 0.5, 1.0, 2.0, 3.0)
NOTHING = "Nothing was changed on the host."
SAME_HOST = "Use that one; if it is gone, check this host, which then takes the folder over."
DIED = "The run died half way: it was killed, or the host restarted. What it had done was undone."


class OutcomeKind(StrEnum):
    """How carrying out one operation ended."""

    DONE = "done"
    UNDONE = "undone"  # a step failed, or the run died; the old state is back
    FAILED = "failed"  # and undoing it failed too: `error` names what is left
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"  # the host cannot be asked; whoever comes next attaches
    LOST = "lost"  # it is no longer ours to carry out
    NOT_STARTED = "not_started"  # nothing was changed on the host


@dataclass(frozen=True)
class Outcome:
    """`step`: the step that failed. `error` is for people, `code` for whoever decides what to advise. `host_fence`: the
    host's own, where it refused ours.

    What was learnt about the host by the way: `reached`, whether it answered at last (None: it was not asked),
    `trouble`, what was in the way, and `offered_key`, the key it showed that is not the pinned one.
    """

    kind: OutcomeKind
    step: str = ""
    error: str = ""
    host_fence: int | None = None
    code: str = ""
    reached: bool | None = None
    trouble: str = ""
    offered_key: str = ""

    def learnt(self, result: "AttemptResult") -> "Outcome":
        """With what the last attempt showed of the host."""
        error = result.error
        if error is None:
            return replace(self, reached=True)
        key = error.offered if isinstance(error, KeyChanged) else ""
        return replace(self, reached=error.reached, trouble=str(error), offered_key=key)


class Mode(Enum):
    """Which program is sent."""

    START = "start"
    ATTACH = "attach"


@dataclass(frozen=True)
class AttemptResult:
    """What one attempt to the host brought. `answer` is the program's exit status, None where the line was lost (then
    `error` says how). `problem` is what is wrong with the package itself. `sent`: the program may have come through."""

    mode: Mode
    answer: int | None = None
    end: JournalEvent | None = None
    error: WireError | None = None
    sent: bool = True
    left: bool = False  # in the middle, by us, in order to cancel
    signed: bool = True  # something came that only our program says: without that, `answer` is somebody else's
    events: bool = False
    output: bool = False  # some came
    output_missing: bool = False
    failed: JournalEvent | None = None
    problem: str = ""
    noise: str = ""
    host_fence: int | None = None

    @property
    def told(self) -> bool:
        """The host said something about the run."""
        return self.events or (self.signed and self.answer in (Answer.OVER, Answer.EXISTS, Answer.NO_RUN))


@dataclass(frozen=True)
class RunState:
    """What is known of the run so far. Times are in seconds."""

    safe: bool
    begun: bool = False
    cancelled: bool = False
    sudo: bool = False
    patience: float = 60.0
    out_of_touch: float = 0.0  # since the host last told something about the run
    ever_touched: bool = False
    losses: int = 0  # attempts in a row that brought nothing
    cuts: int = 0
    no_runs: int = 0
    fetches: int = 0  # attempts in a row for output that is missing, which brought none
    rounds: int = 0

    def after(self, result: AttemptResult, out_of_touch: float) -> "RunState":
        """The state with one more attempt in it."""
        told = result.told
        cut = result.end is not None and result.end.result is Result.CUT
        return replace(
            self,
            safe=self._still_safe(result, cut),
            begun=self.begun or result.events,
            out_of_touch=out_of_touch,
            ever_touched=self.ever_touched or result.events or result.answer is not None,
            losses=0 if told else self.losses + 1,
            cuts=self.cuts + cut,
            fetches=self.fetches + 1 if result.output_missing and not result.output else 0,
            no_runs=self.no_runs + (result.signed and result.answer == Answer.NO_RUN),
            rounds=self.rounds + 1,
        )

    def _still_safe(self, result: AttemptResult, cut: bool) -> bool:
        if cut:
            return True
        if result.events or (result.signed and result.answer == Answer.EXISTS):
            return False
        if result.signed and result.answer == Answer.NO_RUN:
            return not self.begun
        if result.mode is Mode.START and result.sent:
            # Whoever answers a start without doing anything says so; without an answer it may be under way.
            return self.safe and result.answer is not None and not 128 < result.answer < 160
        return self.safe

    @property
    def next_mode(self) -> Mode:
        return Mode.START if self.safe else Mode.ATTACH

    @property
    def pause(self) -> float:
        return _PAUSES[min(self.losses, len(_PAUSES) - 1)]


@dataclass(frozen=True)
class Decision:
    """What comes next: another attempt after `pause` seconds, or the outcome."""

    mode: Mode | None = None
    pause: float = 0.0
    outcome: Outcome | None = None


def decide(state: RunState, result: AttemptResult) -> Decision:
    """The whole ladder. `state` already includes `result`."""
    if state.rounds > MOST_ROUNDS:
        return _leave(state, "The host answers in circles.", Code.UNEXPECTED_ANSWER)
    if result.end is not None:
        return _after_end(state, result)
    if result.left:
        return Decision(Mode.ATTACH)
    if result.answer is None:
        return _after_loss(state, result)
    if not result.signed:
        return _after_stranger(state, result)
    match result.answer:
        case Answer.LOWER_FENCE:
            error = "The host has seen a higher fence for this instance: somebody else is in charge of it."
            return _stop(OutcomeKind.LOST, error, Code.LOWER_FENCE, host_fence=result.host_fence)
        case Answer.EXISTS:
            return Decision(Mode.ATTACH)
        case Answer.NO_RUN:
            return _after_no_run(state)
        case Answer.BUSY:
            return _wait(state, "Another run is alive on this host for this service.", Code.BUSY)
        case Answer.CANNOT_WRITE | Answer.NO_TOOL | Answer.UNSETTLED:
            words, code = _WORDS[Answer(result.answer)]
            error = _with_noise(words, result)
            return _leave(state, error, code) if state.safe else _wait(state, error, code)
        case Answer.OTHER_HOST:
            error = (
                f"This machine and folder are those of another host: {result.noise or 'it has no name'}. {SAME_HOST}"
            )
            return _leave(state, error, Code.OTHER_HOST)
        case Answer.OVER:
            error = "The host says that the run is over, but not how it ended."
            return _wait(state, error, Code.UNEXPECTED_ANSWER)
    return _after_stranger(state, result)


_WORDS = {
    Answer.CANNOT_WRITE: (
        "The service's folder on the host cannot be made or written, or its disk is full.",
        Code.CANNOT_WRITE,
    ),
    Answer.NO_TOOL: ("A program that is needed is missing on the host.", Code.NO_TOOL),
    Answer.UNSETTLED: (
        "An earlier operation on this instance has no end yet, and could not be brought to one.",
        Code.UNSETTLED,
    ),
}
_ENDS = {
    Result.DONE: OutcomeKind.DONE,
    Result.UNDONE: OutcomeKind.UNDONE,
    Result.CANCELLED: OutcomeKind.CANCELLED,
    Result.FAILED: OutcomeKind.FAILED,
}


def _after_end(state: RunState, result: AttemptResult) -> Decision:
    assert result.end is not None and result.end.result is not None
    if result.output_missing and state.fetches < MOST_FETCHES:
        return Decision(Mode.ATTACH, _PAUSES[state.fetches])
    if result.end.result is Result.CUT:
        return _after_cut(state, result)
    kind = _ENDS[result.end.result]
    if kind is OutcomeKind.DONE:
        return _stop(kind)
    step = result.failed.step if result.failed else ""
    return _stop(kind, _what_failed(result), _code(result), step)


def _code(result: AttemptResult) -> str:
    """What the program on the host says that went wrong; else it was the step's own command."""
    assert result.end is not None
    if result.failed is None:
        if result.end.result is Result.UNDONE:
            return Code.DIED
        return Code.LEFT_ON_HOST if result.end.detail.startswith("left on the host:") else Code.CANCELLED
    return result.failed.code if result.failed.code in tuple(Code) else Code.STEP_FAILED


def _what_failed(result: AttemptResult) -> str:
    assert result.end is not None
    failed, left = result.failed, result.end.detail
    if failed is None:  # between two steps, so that none of them failed
        return left or (DIED if result.end.result is Result.UNDONE else "")
    said = f"exit status {failed.exit_status}"  # with which most of what the program says begins, too: once is enough
    detail = failed.detail.removeprefix(f"{said}: ") if failed.detail != said else ""
    twice = not failed.exit_status or detail.startswith(f"{said},")
    status = "" if twice else f" with exit status {failed.exit_status}"
    told = f"{failed.step} failed{status}" + (f": {detail}" if detail else ".")
    return f"{told} {left}".strip() if left and left != failed.detail else told


def _after_cut(state: RunState, result: AttemptResult) -> Decision:
    if state.cancelled:
        return _stop(OutcomeKind.CANCELLED, NOTHING, Code.CANCELLED)
    if result.problem:
        return _leave(state, result.problem, Code.NO_PACKAGE)
    if state.cuts >= MOST_CUTS:
        return _leave(state, f"The package did not arrive whole in {state.cuts} tries.", Code.CUT)
    return Decision(Mode.START, _PAUSES[min(state.cuts - 1, len(_PAUSES) - 1)])


def _after_loss(state: RunState, result: AttemptResult) -> Decision:
    error = str(result.error)
    if isinstance(result.error, NoCommonAlgorithm):
        error = f"{error} {result.error.hint}"
    # A run that exists is waited for as long as patience lasts; a host that was never reached is not.
    limit = FIRST_TRIES if state.safe and not state.ever_touched else state.patience
    if result.error is None or not result.error.passing or state.out_of_touch >= limit:
        return _leave(state, error, result.error.code if result.error else Code.CONNECTION_LOST)
    return Decision(state.next_mode, state.pause)


def _after_no_run(state: RunState) -> Decision:
    if state.begun:
        error = "The host no longer knows this run, although it had begun it. Was its folder removed?"
        return _leave(state, error, Code.RUN_GONE)
    if not state.cancelled:
        return Decision(Mode.START)
    if state.no_runs >= 3:
        return _stop(OutcomeKind.CANCELLED, NOTHING, Code.CANCELLED)
    return Decision(Mode.ATTACH, 1.0)  # a start that is still on its way would begin after we have left


def _after_stranger(state: RunState, result: AttemptResult) -> Decision:
    code = host_refusals.meaning(result.noise) if not state.begun else None
    if result.signed:
        code = code or Code.UNEXPECTED_ANSWER
        usual = f"The host did not run the program as it should (exit status {result.answer})."
    else:
        code = code or Code.NOT_RUN
        usual = (
            f"Something else ran in the place of our program (exit status {result.answer}): a forced command "
            "(command=… in authorized_keys, ForceCommand), a restricted shell, or nologin."
        )
    error = _with_noise(host_refusals.SENTENCES.get(code, usual), result)
    return _leave(state, error, code) if state.safe else _wait(state, error, code)


def _wait(state: RunState, error: str, code: str) -> Decision:
    """Asks again until patience is over."""
    if state.out_of_touch >= state.patience:
        return _leave(state, error, code)
    return Decision(state.next_mode, max(state.pause, 0.5))


def _leave(state: RunState, error: str, code: str) -> Decision:
    if state.cancelled and state.safe:
        return _stop(OutcomeKind.CANCELLED, NOTHING, Code.CANCELLED)
    if state.safe:
        return _stop(OutcomeKind.NOT_STARTED, f"{error} {NOTHING}", code)
    return _stop(OutcomeKind.UNKNOWN, f"{error} How far the operation came on the host is not known.", code)


def _stop(
    kind: OutcomeKind, error: str = "", code: str = "", step: str = "", host_fence: int | None = None
) -> Decision:
    return Decision(outcome=Outcome(kind, step, error, host_fence, code))


def _with_noise(error: str, result: AttemptResult) -> str:
    """The host's own words are for people's eyes only, and short."""
    return f"{error} It said: {result.noise}" if result.noise else error
