"""Who waited for what, as bars: pure functions from moments to places on a line of WIDTH."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

WIDTH = 10_000
QUEUED, RUNNING, UNDOING = "queued", "running", "undoing"


@dataclass(frozen=True, slots=True)
class Course:
    """One operation, or one batch, in time. `undo_from`: when its undo began, where there was one."""

    name: str
    due: datetime
    started: datetime | None = None
    undo_from: datetime | None = None
    finished: datetime | None = None


@dataclass(frozen=True, slots=True)
class Stretch:
    kind: str
    x: int
    width: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Line:
    name: str
    stretches: list[Stretch] = field(default_factory=list)


def lines(courses: Sequence[Course], begin: datetime, end: datetime) -> list[Line]:
    """A line for each course. `end` is the end of the picture: of the deployment, or now while it goes on."""
    whole = max(0.001, (end - begin).total_seconds())
    return [Line(course.name, _stretches(course, begin, end, whole)) for course in courses]


def _stretches(course: Course, begin: datetime, end: datetime, whole: float) -> list[Stretch]:
    over = course.finished or end
    moments = [
        (QUEUED, course.due, course.started or over),
        (RUNNING, course.started, course.undo_from or over),
        (UNDOING, course.undo_from, over),
    ]
    found = []
    for kind, start, stop in moments:
        if start is None or stop is None:
            continue
        start, stop = max(start, begin), min(stop, end)
        seconds = (stop - start).total_seconds()
        if seconds <= 0:
            continue
        x = round(WIDTH * (start - begin).total_seconds() / whole)
        found.append(Stretch(kind, x, max(15, round(WIDTH * seconds / whole)), seconds))
    return found
