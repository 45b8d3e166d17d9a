"""What one run may send, and for how long, at most: from its plan alone. A hostile host costs what an honest one does.

The program on the host keeps these limits itself; this is our side of them, because the host need not run our program.
"""

import time
from collections.abc import Callable

from .atom import Atom, StepKind
from .errors import DoesNotFit
from .journal import JournalEvent, Kind
from .package import Package
from .program import DEFAULT_LIMITS

MARKER = 4096  # bytes: the line about what was left out, and the lines of a second start or a recovery
SLACK = 600.0  # seconds for all that no limit of a step counts: connecting, recovering, cleaning up
ENDING = 35  # seconds that the watchdog may take to end all processes of a step (runner/processes.sh)
SLOWEST = 16 << 10  # bytes a second at which a package counts as on its way
MAX_STARTS = 30  # how often one run is started again or recovered; each time its workers or its line died
MAX_NOISE = 1 << 20  # bytes beside the events in one attempt
PAST, FUTURE = 400 * 86_400, 86_400  # seconds around our clock in which an event may have happened: clocks differ
_FORWARD = (Kind.STARTED, Kind.DONE, Kind.FAILED)
_BACK = (Kind.UNDOING, Kind.UNDONE, Kind.UNDO_FAILED)
_ORDER = {Kind.STARTED: 0, Kind.DONE: 1, Kind.FAILED: 1, Kind.UNDOING: 2, Kind.UNDONE: 3, Kind.UNDO_FAILED: 3}


def max_output(atom: Atom) -> int:
    """Return the bytes of output that an operation has at most: head, tail, and the line between them."""
    limits = DEFAULT_LIMITS | atom.limits
    return limits["output_head"] + limits["output_tail"] + MARKER


def max_seconds(atom: Atom, package: Package | None = None) -> float:
    """Return the seconds after which a run must have ended that keeps the limits of its steps and of their undos.
    Generous: a host that is slow where no limit counts is not cut off."""
    usual = (DEFAULT_LIMITS | atom.limits)["step_timeout"]
    size = max(atom.size, package.size if package else 0)
    total = SLACK
    for step in atom.steps:
        if step.kind is StepKind.UPLOAD:
            total += seconds_to_send(size)
            continue
        limit = step.timeout or usual
        total += limit + ENDING
        if step.kind not in (StepKind.PREPARE, StepKind.UNPACK, StepKind.PULL, StepKind.CHECK):
            total += limit + step.undo_timeout + ENDING
    return total


def seconds_to_send(size: int) -> float:
    """Return the seconds that sending `size` bytes of a package may take."""
    return 60 + size / SLOWEST


class Expected:
    """Looks at every event of one run before it is believed. One that cannot come from this plan raises DoesNotFit.

    Lines may be missing: a full disk loses some. None may be there twice, be out of order, or name something else.
    """

    def __init__(self, atom: Atom, clock: Callable[[], float] = time.time):
        self._names = tuple(step.name for step in atom.steps)
        self._uploads = {position for position, step in enumerate(atom.steps) if step.kind is StepKind.UPLOAD}
        self._max_output = max_output(atom)
        self._clock = clock
        self._starts = 0
        self._repeated = 0
        self._begin()

    def _begin(self) -> None:
        """Forget how far the steps have come: a run that is restarted or recovered may go through them once more."""
        self._at: dict[int, int] = {}  # how far each step has come
        self._furthest, self._lowest = 0, len(self._names)
        self._needs = 0
        self._ended = False

    def check(self, event: JournalEvent, known: bool) -> None:
        """Check an event. `known`: one with its number, or a higher one, was there before. Raise DoesNotFit."""
        now = self._clock()
        if not now - PAST <= event.at <= now + FUTURE:
            raise DoesNotFit("wrong_time")
        if known:
            self._repeated += 1
            if self._repeated > self._most_events:
                raise DoesNotFit("repeats")
        if event.kind is Kind.BEGUN:
            self._started(event, known)
        elif event.kind is Kind.END:
            self._end(event, known)
        else:
            self._step(event, known)

    @property
    def _most_events(self) -> int:
        return MAX_STARTS * (4 * len(self._names) + 4)

    def _started(self, event: JournalEvent, known: bool) -> None:
        self._starts += not known
        if event.position is not None or self._starts > MAX_STARTS:
            raise DoesNotFit("restarts")
        self._begin()

    def _end(self, event: JournalEvent, known: bool) -> None:
        if (event.output_size or 0) > self._max_output:
            raise DoesNotFit("too_much_output")
        if self._ended and not known:
            raise DoesNotFit("ends_twice")
        self._ended = self._ended or not known

    def _step(self, event: JournalEvent, known: bool) -> None:
        position = event.position
        if position is None or position >= len(self._names) or event.step != self._names[position]:
            raise DoesNotFit("unplanned_step")
        if known:
            return
        if self._ended:
            raise DoesNotFit("goes_on_after_end")
        if event.kind in (Kind.NEED, Kind.HAVE):
            self._needs += 1
            if position not in self._uploads or self._needs > 2:
                raise DoesNotFit("unneeded_package")
            return
        order = _ORDER[event.kind]
        if order <= self._at.get(position, -1):
            raise DoesNotFit("step_goes_back")
        self._at[position] = order
        if event.kind in _FORWARD:
            if position < self._furthest or self._lowest < len(self._names):
                raise DoesNotFit("steps_out_of_order")
            self._furthest = position
        else:
            if position > self._lowest:
                raise DoesNotFit("undos_out_of_order")
            self._lowest = position
