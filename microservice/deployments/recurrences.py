"""When something recurs: rules of RFC 5545 in the clock times of a zone. Pure: no rows and no clock.

A rule gives days; the time of the day is that of the first start. Each occurrence begins and ends at clock times of the
zone, so it may be an hour longer or shorter where clocks change meanwhile.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import islice, pairwise
from zoneinfo import ZoneInfo

from dateutil.rrule import DAILY, MONTHLY, WEEKLY, YEARLY, rrule, weekday

from messages.invalid import InvalidValue

FREQUENCIES = {"DAILY": DAILY, "WEEKLY": WEEKLY, "MONTHLY": MONTHLY, "YEARLY": YEARLY}
DAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
MAX_LENGTH = 255  # characters of a rule
MAX_INTERVAL = 1000
MAX_COUNT = 1000
MAX_CHAIN = 400  # occurrences that follow each other without a break
YEARS = (2000, 2200)  # in which moments may be: see _CALENDAR
# Lists of numbers: the name of each in dateutil, and the greatest number; all but a month may count from the end.
_NUMBERS = {
    "BYMONTH": ("bymonth", 12),
    "BYMONTHDAY": ("bymonthday", 31),
    "BYYEARDAY": ("byyearday", 366),
    "BYWEEKNO": ("byweekno", 53),
    "BYSETPOS": ("bysetpos", 366),
}
_ONLY_YEARLY = {"BYYEARDAY", "BYWEEKNO"}
_PARTS = {"FREQ", "INTERVAL", "COUNT", "UNTIL", "WKST", "BYDAY", *_NUMBERS}
_BYDAY = re.compile(r"([+-]?[1-9]\d?)?(MO|TU|WE|TH|FR|SA|SU)")
_UNTIL = re.compile(r"\d{8}(T\d{6}Z?)?")
_FOREVER = datetime(9999, 12, 31)  # noqa: DTZ001 - a clock time
# A search for the next day ends only at the end of the calendar, in the year 9999. Days and weekdays repeat after
# 400 years, so rules are looked at in the last of these: what never happens is found out in a fraction of a second.
_CALENDAR = 400 * ((9999 - YEARS[0]) // 400)


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule that was read. `until`: the last clock time; of a time in UTC, `until_utc` is set."""

    frequency: int
    interval: int = 1
    count: int | None = None
    until: datetime | None = None
    until_utc: bool = False
    week_start: int = 0
    weekdays: tuple[weekday, ...] = ()
    numbers: tuple[tuple[str, tuple[int, ...]], ...] = ()  # of dateutil's names


@dataclass(frozen=True, slots=True)
class Times:
    """A time that is once (without a rule), or recurs. `start`, `end`: moments, the first of them."""

    start: datetime
    end: datetime
    zone: ZoneInfo
    rule: Rule | None = None
    clock_start: datetime = field(init=False)
    length: timedelta = field(init=False)  # in clock times

    def __post_init__(self) -> None:
        clock_start, clock_end = (
            one.astimezone(self.zone).replace(tzinfo=None, fold=0) for one in (self.start, self.end)
        )
        object.__setattr__(self, "clock_start", clock_start)
        object.__setattr__(self, "length", clock_end - clock_start)


@dataclass(frozen=True, slots=True)
class Span:
    start: datetime
    end: datetime


@lru_cache(maxsize=512)
def parse(text: str) -> Rule:
    """Read a rule such as `FREQ=WEEKLY;BYDAY=FR`. Raise InvalidValue, which says what is wrong."""
    parts = _parts(text)
    frequency = parts.get("FREQ", "")
    if frequency not in FREQUENCIES:
        raise InvalidValue("recurrence_frequency", choices=list(FREQUENCIES))
    for name in parts:
        if name in _ONLY_YEARLY and frequency != "YEARLY":
            raise InvalidValue("recurrence_part_not_with", part=name, frequency=frequency)
    if "BYMONTHDAY" in parts and frequency == "WEEKLY":
        raise InvalidValue("recurrence_part_not_with", part="BYMONTHDAY", frequency=frequency)
    if "COUNT" in parts and "UNTIL" in parts:
        raise InvalidValue("recurrence_two_ends")
    until = _until(parts["UNTIL"]) if "UNTIL" in parts else None
    return Rule(
        frequency=FREQUENCIES[frequency],
        interval=_number("INTERVAL", parts["INTERVAL"], 1, MAX_INTERVAL) if "INTERVAL" in parts else 1,
        count=_number("COUNT", parts["COUNT"], 1, MAX_COUNT) if "COUNT" in parts else None,
        until=until,
        until_utc=parts.get("UNTIL", "").endswith("Z"),
        week_start=_week_start(parts.get("WKST", "MO")),
        weekdays=_weekdays(parts["BYDAY"], frequency) if "BYDAY" in parts else (),
        numbers=tuple((_NUMBERS[name][0], _numbers(name, parts[name])) for name in _NUMBERS if name in parts),
    )


def moment(clock: datetime, zone: ZoneInfo, latest: bool = False) -> datetime:
    """Return the moment, in UTC, of a clock time.

    Where it is ambiguous: the first, or the `latest`. Where it does not exist, it is read with the offset before the
    change, as RFC 5545 says.
    """
    if not latest:
        return clock.replace(tzinfo=zone, fold=0).astimezone(UTC)
    return max(clock.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))


def spans(times: Times, since: datetime) -> Iterator[Span]:
    """Yield when it holds, in order: what ends after `since`. It ends in any case, after some hundred years."""
    if times.rule is None:
        if times.end > since:
            yield Span(times.start, times.end)
        return
    near = since.astimezone(times.zone).replace(tzinfo=None, fold=0) - times.length - timedelta(days=1)
    for clock in _clock_times(times, times.rule, near):
        span = _span(clock, times)
        if span.end > since:
            yield span


def until(times: Times, now: datetime) -> datetime | None:
    """Return when it ends, if it holds now; None if not. Occurrences without a break between them are one."""
    end = None
    for span in islice(spans(times, now), MAX_CHAIN):
        if span.start > (end or now):
            break
        end = max(end or span.end, span.end)
    return end


def never_ends(times: Times, now: datetime) -> bool:
    """Return whether it would, once begun, hold without a break."""
    chain = list(islice(spans(times, now), MAX_CHAIN))
    return len(chain) == MAX_CHAIN and all(after.start <= one.end for one, after in pairwise(chain))


def _span(clock: datetime, times: Times) -> Span:
    start, end = moment(clock, times.zone), moment(clock + times.length, times.zone, latest=True)
    # The start may be a clock time that does not exist, which comes after the end.
    return Span(start if start < end else end - times.length, end)


def _clock_times(times: Times, rule: Rule, near: datetime) -> Iterator[datetime]:
    """Yield the clock times of starts: all from `near` on, and maybe some before."""
    last = _last(times, rule)
    if last is None or near > last:
        return
    for clock in _unbounded(rule, times.clock_start, near):
        if clock > last:
            return
        yield clock


@lru_cache(maxsize=512)
def _last(times: Times, rule: Rule) -> datetime | None:
    """Return after which clock time there is no start; None if it never happens."""
    if rule.count is not None:
        return max(islice(_unbounded(rule, times.clock_start, times.clock_start), rule.count), default=None)
    if rule.until is None:
        return _FOREVER
    if rule.until_utc:
        return rule.until.replace(tzinfo=UTC).astimezone(times.zone).replace(tzinfo=None, fold=0)
    return rule.until


def _unbounded(rule: Rule, first: datetime, near: datetime) -> Iterator[datetime]:
    """Yield the clock times of a rule without its end, from the period before `near` on, none before `first`."""
    options = dict(rule.numbers)
    if not rule.weekdays and not {"bymonthday", "byyearday", "byweekno"} & options.keys():  # as dateutil does
        if rule.frequency in (YEARLY, MONTHLY):
            options["bymonthday"] = (first.day,)
        if rule.frequency == YEARLY:
            options.setdefault("bymonth", (first.month,))
    weekdays = rule.weekdays
    if rule.frequency == WEEKLY and not weekdays:
        weekdays = (weekday(first.weekday()),)
    begin = _period(rule, first, near)
    begin = begin.replace(year=begin.year + _CALENDAR)
    days = rrule(rule.frequency, begin, rule.interval, wkst=rule.week_start, byweekday=weekdays or None, **options)
    for clock in days:
        real = clock.replace(year=clock.year - _CALENDAR)
        if real >= first:
            yield real


def _period(rule: Rule, first: datetime, near: datetime) -> datetime:
    """Return the begin of the last period of the rule that begins before `near`, at the clock time of `first`.

    It takes as long to find what happens in ten years as what happens tomorrow.
    """
    if rule.frequency == DAILY:
        return first + timedelta(days=_steps((near - first).days, rule.interval))
    if rule.frequency == WEEKLY:
        week = first - timedelta(days=(first.weekday() - rule.week_start) % 7)
        return week + timedelta(days=_steps((near - week).days, 7 * rule.interval))
    months = 12 if rule.frequency == YEARLY else 1
    begin = 12 * first.year + (first.month - 1 if months == 1 else 0)
    begin += _steps(12 * near.year + near.month - 1 - begin, months * rule.interval)
    return first.replace(year=begin // 12, month=begin % 12 + 1, day=1)


def _steps(distance: int, step: int) -> int:
    """Return the greatest multiple of `step` that is no more than `distance`, and not negative."""
    return max(distance // step, 0) * step


def _parts(text: str) -> dict[str, str]:
    line = text.strip().upper().removeprefix("RRULE:")
    if not line or len(line) > MAX_LENGTH:
        raise InvalidValue("recurrence_syntax")
    parts: dict[str, str] = {}
    for part in line.split(";"):
        name, _, value = part.partition("=")
        if not value:
            raise InvalidValue("recurrence_syntax")
        if name not in _PARTS:
            raise InvalidValue("recurrence_part_unknown", part=name[:20], known=sorted(_PARTS))
        if name in parts:
            raise InvalidValue("recurrence_part_twice", part=name)
        parts[name] = value
    return parts


def _number(name: str, text: str, least: int, most: int) -> int:
    if not re.fullmatch(r"\d{1,6}", text, re.ASCII) or not least <= int(text) <= most:
        raise InvalidValue("recurrence_number", part=name, min=least, max=most)
    return int(text)


def _numbers(name: str, text: str) -> tuple[int, ...]:
    most = _NUMBERS[name][1]
    signed = name != "BYMONTH"
    values = text.split(",")
    for value in values:
        digits = re.sub("^[+-]", "", value) if signed else value
        if not re.fullmatch(r"\d{1,3}", digits, re.ASCII) or not 1 <= int(digits) <= most:
            raise InvalidValue("recurrence_number", part=name, min=1 if name == "BYMONTH" else -most, max=most)
    return tuple(dict.fromkeys(int(value) for value in values))


def _weekdays(text: str, frequency: str) -> tuple[weekday, ...]:
    found = []
    for value in text.split(","):
        match = _BYDAY.fullmatch(value)
        if not match:
            raise InvalidValue("recurrence_days", days=list(DAYS))
        place, day = match.groups()
        if place and frequency not in ("MONTHLY", "YEARLY"):
            raise InvalidValue("recurrence_part_not_with", part=value, frequency=frequency)
        found.append(weekday(DAYS.index(day), int(place) if place else None))
    return tuple(found)


def _week_start(text: str) -> int:
    if text not in DAYS:
        raise InvalidValue("recurrence_days", days=list(DAYS))
    return DAYS.index(text)


def _until(text: str) -> datetime:
    """Read a clock time, or one in UTC; a day alone means its end."""
    try:
        if not _UNTIL.fullmatch(text) or not YEARS[0] <= int(text[:4]) < YEARS[1]:
            raise ValueError(text)
        day = "T" not in text
        return datetime.strptime(text[:15] + "T235959" * day, "%Y%m%dT%H%M%S")  # noqa: DTZ007 - a clock time
    except ValueError:
        raise InvalidValue("recurrence_until") from None
