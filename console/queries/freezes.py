"""Freezes with the next times that they hold; and, day by day, when environments are frozen and what is to begin."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import islice

from access.callers import Caller
from microservice.catalog import visibility
from microservice.deployments.freezes import times_of
from microservice.deployments.recurrences import Span, Times, spans
from microservice.models import DeploymentRequest, Freeze

from .. import moments

NEXT = 3  # times that are shown
DAYS = 31  # on a page of the calendar
MAX_SCHEDULED = 500  # on a page


@dataclass(frozen=True, slots=True)
class FreezeRow:
    freeze: Freeze
    next: list[Span]
    now: bool

    @property
    def environments(self) -> list[str]:
        return [one.name for one in self.freeze.environments.all()]


def freezes(now: datetime) -> list[FreezeRow]:
    """Return the freezes: those that hold now, then those to come, then those that are over. Two queries."""
    rows = [row_of(freeze, now) for freeze in Freeze.objects.prefetch_related("environments")]
    far = datetime.max.replace(tzinfo=now.tzinfo)
    return sorted(rows, key=lambda row: (not row.now, row.next[0].start if row.next else far, row.freeze.name))


def row_of(freeze: Freeze, now: datetime) -> FreezeRow:
    found = next_times(times_of(freeze), now)
    return FreezeRow(freeze, found, bool(found and found[0].start <= now))


def next_times(times: Times, now: datetime) -> list[Span]:
    return list(islice(spans(times, now), NEXT))


@dataclass(slots=True)
class Entry:
    """What is on a day: a freeze (with the part of it that is on that day), or a deployment that is to begin."""

    day: date
    at: datetime
    freeze: Freeze | None = None
    end: datetime | None = None
    request: DeploymentRequest | None = None
    begins: bool = True  # on this day
    ends: bool = True


@dataclass(slots=True)
class Day:
    date: date
    entries: list[Entry] = field(default_factory=list)


def calendar(caller: Caller, first: date) -> list[Day]:
    """Return the days from `first` on, in the user's zone, with what is on each. Three queries."""
    days = {one: Day(one) for one in (first + timedelta(days=number) for number in range(DAYS))}
    since, until = (
        moments.midnight(first),
        moments.midnight(first + timedelta(days=DAYS)),
    )
    for entry in [*_frozen(since, until), *_scheduled(caller, since, until)]:
        if entry.day in days:
            days[entry.day].entries.append(entry)
    for day in days.values():
        day.entries.sort(key=lambda entry: (entry.at, entry.request is None))
    return list(days.values())


def entries(days: Iterable[Day]) -> list[Entry]:
    return [entry for day in days for entry in day.entries]


def _frozen(since: datetime, until: datetime) -> Iterable[Entry]:
    for freeze in Freeze.objects.prefetch_related("environments"):
        for span in spans(times_of(freeze), since):
            if span.start >= until:
                break
            yield from _parts(freeze, span, since, until)


def _parts(freeze: Freeze, span: Span, since: datetime, until: datetime) -> Iterable[Entry]:
    """Yield the part of a freeze that is on each day."""
    day = moments.day_of(max(span.start, since))
    while (begin := moments.midnight(day)) < min(span.end, until):
        after = moments.midnight(day + timedelta(days=1))
        yield Entry(day, span.start, freeze, span.end, begins=span.start >= begin, ends=span.end <= after)
        day += timedelta(days=1)


def _scheduled(caller: Caller, since: datetime, until: datetime) -> Iterable[Entry]:
    rows = (
        DeploymentRequest.objects.filter(visibility.visible(caller, "deployment__microservice"))
        .filter(start_at__gte=since, start_at__lt=until)
        .select_related("deployment__microservice", "deployment__environment", "deployment__dest_version")
        .order_by("start_at")[:MAX_SCHEDULED]
    )
    for row in rows:
        if row.start_at:
            yield Entry(moments.day_of(row.start_at), row.start_at, request=row)
