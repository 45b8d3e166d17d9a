"""From what a host answered to what is done next: pure, so that every rung can be tried without a host.

Safe means: as far as the host has told, nothing of this run was begun, or what was begun touched nothing. Only then a
run is started; otherwise it is attached to, which never does anything twice.
"""

from dataclasses import dataclass, replace
from enum import Enum, StrEnum

from . import messages as said
from .codes import Code
from .errors import KeyChanged, NoCommonAlgorithm, WireError
from .journal import JournalEvent, Result
from .program import Answer

FIRST_TRIES = 10.0  # seconds for a host that was never reached: nothing can be lost by giving up
MOST_CUTS = 4  # starts of a run whose package does not arrive whole
MOST_FETCHES = 5  # visits that bring none of the output that is missing; the result is known, so it counts
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

    def learnt(self, heard: "Heard") -> "Outcome":
        """With what the last visit showed of the host."""
        error = heard.error
        if error is None:
            return replace(self, reached=True)
        key = error.offered if isinstance(error, KeyChanged) else ""
        return replace(self, reached=error.reached, trouble=str(error), offered_key=key)


class Mode(Enum):
    """Which program is sent."""

    START = "start"
    ATTACH = "attach"


@dataclass(frozen=True)
class Heard:
    """What one visit to the host brought. `answer` is the program's exit status, None where the line was lost (then
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
class Tale:
    """What is known of the run so far. Times are in seconds."""

    safe: bool
    begun: bool = False
    cancelled: bool = False
    sudo: bool = False
    patience: float = 60.0
    out_of_touch: float = 0.0  # since the host last told something about the run
    ever_touched: bool = False
    losses: int = 0  # visits in a row that brought nothing
    cuts: int = 0
    no_runs: int = 0
    fetches: int = 0  # visits in a row for output that is missing, which brought none
    rounds: int = 0

    def after(self, heard: Heard, out_of_touch: float) -> "Tale":
        """The tale with one more visit in it."""
        told = heard.told
        cut = heard.end is not None and heard.end.result is Result.CUT
        return replace(
            self,
            safe=self._still_safe(heard, cut),
            begun=self.begun or heard.events,
            out_of_touch=out_of_touch,
            ever_touched=self.ever_touched or heard.events or heard.answer is not None,
            losses=0 if told else self.losses + 1,
            cuts=self.cuts + cut,
            fetches=self.fetches + 1 if heard.output_missing and not heard.output else 0,
            no_runs=self.no_runs + (heard.signed and heard.answer == Answer.NO_RUN),
            rounds=self.rounds + 1,
        )

    def _still_safe(self, heard: Heard, cut: bool) -> bool:
        if cut:
            return True
        if heard.events or (heard.signed and heard.answer == Answer.EXISTS):
            return False
        if heard.signed and heard.answer == Answer.NO_RUN:
            return not self.begun
        if heard.mode is Mode.START and heard.sent:
            # Whoever answers a start without doing anything says so; without an answer it may be under way.
            return self.safe and heard.answer is not None and not 128 < heard.answer < 160
        return self.safe

    @property
    def next_mode(self) -> Mode:
        return Mode.START if self.safe else Mode.ATTACH

    @property
    def pause(self) -> float:
        return _PAUSES[min(self.losses, len(_PAUSES) - 1)]


@dataclass(frozen=True)
class Move:
    """What comes next: another visit after `pause` seconds, or the outcome."""

    mode: Mode | None = None
    pause: float = 0.0
    outcome: Outcome | None = None


def next_move(tale: Tale, heard: Heard) -> Move:
    """The whole ladder. `tale` already includes `heard`."""
    if tale.rounds > MOST_ROUNDS:
        return _leave(tale, "The host answers in circles.", Code.UNEXPECTED_ANSWER)
    if heard.end is not None:
        return _after_end(tale, heard)
    if heard.left:
        return Move(Mode.ATTACH)
    if heard.answer is None:
        return _after_loss(tale, heard)
    if not heard.signed:
        return _after_stranger(tale, heard)
    match heard.answer:
        case Answer.LOWER_FENCE:
            error = "The host has seen a higher fence for this instance: somebody else is in charge of it."
            return _stop(OutcomeKind.LOST, error, Code.LOWER_FENCE, host_fence=heard.host_fence)
        case Answer.EXISTS:
            return Move(Mode.ATTACH)
        case Answer.NO_RUN:
            return _after_no_run(tale)
        case Answer.BUSY:
            return _wait(tale, "Another run is alive on this host for this service.", Code.BUSY)
        case Answer.CANNOT_WRITE | Answer.NO_TOOL | Answer.UNSETTLED:
            words, code = _WORDS[Answer(heard.answer)]
            error = _with_noise(words, heard)
            return _leave(tale, error, code) if tale.safe else _wait(tale, error, code)
        case Answer.OTHER_HOST:
            error = f"This machine and folder are those of another host: {heard.noise or 'it has no name'}. {SAME_HOST}"
            return _leave(tale, error, Code.OTHER_HOST)
        case Answer.OVER:
            error = "The host says that the run is over, but not how it ended."
            return _wait(tale, error, Code.UNEXPECTED_ANSWER)
    return _after_stranger(tale, heard)


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


def _after_end(tale: Tale, heard: Heard) -> Move:
    assert heard.end is not None and heard.end.result is not None
    if heard.output_missing and tale.fetches < MOST_FETCHES:
        return Move(Mode.ATTACH, _PAUSES[tale.fetches])
    if heard.end.result is Result.CUT:
        return _after_cut(tale, heard)
    kind = _ENDS[heard.end.result]
    if kind is OutcomeKind.DONE:
        return _stop(kind)
    step = heard.failed.step if heard.failed else ""
    return _stop(kind, _what_failed(heard), _code(heard), step)


def _code(heard: Heard) -> str:
    """What the program on the host says that went wrong; else it was the step's own command."""
    assert heard.end is not None
    if heard.failed is None:
        if heard.end.result is Result.UNDONE:
            return Code.DIED
        return Code.LEFT_ON_HOST if heard.end.detail.startswith("left on the host:") else Code.CANCELLED
    return heard.failed.code if heard.failed.code in tuple(Code) else Code.STEP_FAILED


def _what_failed(heard: Heard) -> str:
    assert heard.end is not None
    failed, left = heard.failed, heard.end.detail
    if failed is None:  # between two steps, so that none of them failed
        return left or (DIED if heard.end.result is Result.UNDONE else "")
    said = f"exit status {failed.exit_status}"  # with which most of what the program says begins, too: once is enough
    detail = failed.detail.removeprefix(f"{said}: ") if failed.detail != said else ""
    twice = not failed.exit_status or detail.startswith(f"{said},")
    status = "" if twice else f" with exit status {failed.exit_status}"
    told = f"{failed.step} failed{status}" + (f": {detail}" if detail else ".")
    return f"{told} {left}".strip() if left and left != failed.detail else told


def _after_cut(tale: Tale, heard: Heard) -> Move:
    if tale.cancelled:
        return _stop(OutcomeKind.CANCELLED, NOTHING, Code.CANCELLED)
    if heard.problem:
        return _leave(tale, heard.problem, Code.NO_PACKAGE)
    if tale.cuts >= MOST_CUTS:
        return _leave(tale, f"The package did not arrive whole in {tale.cuts} tries.", Code.CUT)
    return Move(Mode.START, _PAUSES[min(tale.cuts - 1, len(_PAUSES) - 1)])


def _after_loss(tale: Tale, heard: Heard) -> Move:
    error = str(heard.error)
    if isinstance(heard.error, NoCommonAlgorithm):
        error = f"{error} {heard.error.hint}"
    # A run that exists is waited for as long as patience lasts; a host that was never reached is not.
    limit = FIRST_TRIES if tale.safe and not tale.ever_touched else tale.patience
    if heard.error is None or not heard.error.passing or tale.out_of_touch >= limit:
        return _leave(tale, error, heard.error.code if heard.error else Code.CONNECTION_LOST)
    return Move(tale.next_mode, tale.pause)


def _after_no_run(tale: Tale) -> Move:
    if tale.begun:
        error = "The host no longer knows this run, although it had begun it. Was its folder removed?"
        return _leave(tale, error, Code.RUN_GONE)
    if not tale.cancelled:
        return Move(Mode.START)
    if tale.no_runs >= 3:
        return _stop(OutcomeKind.CANCELLED, NOTHING, Code.CANCELLED)
    return Move(Mode.ATTACH, 1.0)  # a start that is still on its way would begin after we have left


def _after_stranger(tale: Tale, heard: Heard) -> Move:
    code = said.meaning(heard.noise) if not tale.begun else None
    if heard.signed:
        code = code or Code.UNEXPECTED_ANSWER
        usual = f"The host did not run the program as it should (exit status {heard.answer})."
    else:
        code = code or Code.NOT_RUN
        usual = (
            f"Something else ran in the place of our program (exit status {heard.answer}): a forced command "
            "(command=… in authorized_keys, ForceCommand), a restricted shell, or nologin."
        )
    error = _with_noise(said.SENTENCES.get(code, usual), heard)
    return _leave(tale, error, code) if tale.safe else _wait(tale, error, code)


def _wait(tale: Tale, error: str, code: str) -> Move:
    """Asks again until patience is over."""
    if tale.out_of_touch >= tale.patience:
        return _leave(tale, error, code)
    return Move(tale.next_mode, max(tale.pause, 0.5))


def _leave(tale: Tale, error: str, code: str) -> Move:
    if tale.cancelled and tale.safe:
        return _stop(OutcomeKind.CANCELLED, NOTHING, Code.CANCELLED)
    if tale.safe:
        return _stop(OutcomeKind.NOT_STARTED, f"{error} {NOTHING}", code)
    return _stop(OutcomeKind.UNKNOWN, f"{error} How far the operation came on the host is not known.", code)


def _stop(kind: OutcomeKind, error: str = "", code: str = "", step: str = "", host_fence: int | None = None) -> Move:
    return Move(outcome=Outcome(kind, step, error, host_fence, code))


def _with_noise(error: str, heard: Heard) -> str:
    """The host's own words are for people's eyes only, and short."""
    return f"{error} It said: {heard.noise}" if heard.noise else error
