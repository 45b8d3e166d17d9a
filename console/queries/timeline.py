"""The timeline: when each host waited, ran and was undone, as bars. Pure functions from times to positions."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

WIDTH = 10_000  # of a bar
QUEUED, RUNNING, UNDOING = "queued", "running", "undoing"


@dataclass(frozen=True, slots=True)
class Span:
    """The times of one operation or one batch. `undo_from`: when its undo began, if there was one."""

    name: str
    due: datetime
    started: datetime | None = None
    undo_from: datetime | None = None
    finished: datetime | None = None


@dataclass(frozen=True, slots=True)
class Segment:
    kind: str
    x: int
    width: int
    seconds: float


@dataclass(frozen=True, slots=True)
class TimelineRow:
    name: str
    segments: list[Segment] = field(default_factory=list)


def timeline(spans: Sequence[Span], begin: datetime, end: datetime) -> list[TimelineRow]:
    """Return a row for each span. `end`: the end of the deployment, or now while it runs."""
    duration = max(0.001, (end - begin).total_seconds())
    return [TimelineRow(span.name, _segments(span, begin, end, duration)) for span in spans]


def _segments(span: Span, begin: datetime, end: datetime, duration: float) -> list[Segment]:
    finished = span.finished or end
    moments = [
        (QUEUED, span.due, span.started or finished),
        (RUNNING, span.started, span.undo_from or finished),
        (UNDOING, span.undo_from, finished),
    ]
    segments = []
    for kind, start, stop in moments:
        if start is None or stop is None:
            continue
        start, stop = max(start, begin), min(stop, end)
        seconds = (stop - start).total_seconds()
        if seconds <= 0:
            continue
        x = round(WIDTH * (start - begin).total_seconds() / duration)
        segments.append(Segment(kind, x, max(15, round(WIDTH * seconds / duration)), seconds))
    return segments
