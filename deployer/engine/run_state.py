"""What is known of a run: what each attempt brought, and all of them together. Pure.

Safe means: as far as the host has answered, this run was not begun, or what was begun changed nothing. Only then is a
run started; otherwise it is attached to, which never does anything twice.
"""

from dataclasses import dataclass, replace
from enum import Enum

from .errors import WireError
from .journal import JournalEvent, Result
from .program import Answer

PAUSES = (0.0, 0.2, 0.5, 1.0, 2.0, 3.0)  # seconds before attempts that follow losses


class Mode(Enum):
    """Which program is sent."""

    START = "start"
    ATTACH = "attach"


@dataclass(frozen=True)
class AttemptResult:
    """What one attempt to speak to the host brought.

    `answer`: the program's exit status; None where the connection was lost (then `error` says how). `about`: what the
    program names with its answer (Answer says what). `problem`: what is wrong with the package, as the name of a
    reason. `sent`: the program may have arrived. `noise`: what came beside the program's own lines.
    """

    mode: Mode
    answer: int | None = None
    end: JournalEvent | None = None
    error: WireError | None = None
    sent: bool = True
    left: bool = False  # in the middle, by us, in order to cancel
    signed: bool = True  # a line came that only our program prints: without one, `answer` is not our program's
    events: bool = False
    output: bool = False  # some came
    output_missing: bool = False
    failed: JournalEvent | None = None
    problem: str = ""
    noise: str = ""
    about: str = ""

    @property
    def is_about_run(self) -> bool:
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
    out_of_touch: float = 0.0  # since the host last said something about the run
    ever_touched: bool = False
    losses: int = 0  # attempts in a row that brought nothing
    cuts: int = 0
    no_runs: int = 0
    fetches: int = 0  # attempts in a row for missing output that brought none
    attempts: int = 0

    def after(self, result: AttemptResult, out_of_touch: float) -> "RunState":
        """Return the state after one more attempt."""
        cut = result.end is not None and result.end.result is Result.CUT
        return replace(
            self,
            safe=self._still_safe(result, cut),
            begun=self.begun or result.events,
            out_of_touch=out_of_touch,
            ever_touched=self.ever_touched or result.events or result.answer is not None,
            losses=0 if result.is_about_run else self.losses + 1,
            cuts=self.cuts + cut,
            fetches=self.fetches + 1 if result.output_missing and not result.output else 0,
            no_runs=self.no_runs + (result.signed and result.answer == Answer.NO_RUN),
            attempts=self.attempts + 1,
        )

    def _still_safe(self, result: AttemptResult, cut: bool) -> bool:
        if cut:
            return True
        if result.events or (result.signed and result.answer == Answer.EXISTS):
            return False
        if result.signed and result.answer == Answer.NO_RUN:
            return not self.begun
        if result.mode is Mode.START and result.sent:
            # A program that does nothing after a start says so; without an answer it may be under way.
            return self.safe and result.answer is not None and not 128 < result.answer < 160
        return self.safe

    @property
    def next_mode(self) -> Mode:
        return Mode.START if self.safe else Mode.ATTACH

    @property
    def pause(self) -> float:
        return PAUSES[min(self.losses, len(PAUSES) - 1)]
