"""Convert clock times, as users type and read them, to moments in UTC and back.

When clocks go back, an hour of clock times is ambiguous; when they go forward, an hour does not exist. So nothing is
computed with clock times: input becomes a moment in UTC at once, and a moment becomes a clock time where it is shown,
with its offset where it is ambiguous.
"""

from datetime import UTC, date, datetime, timedelta
from typing import Literal

from django.utils import timezone
from django.utils.dateparse import parse_datetime

Bound = Literal["since", "until"]


def parse(text: str, bound: Bound, offset: str = "") -> datetime:
    """Return the moment, in UTC, of a clock time in the user's zone or of a time with its own offset.

    `offset` (`+02:00`) resolves an ambiguous time. Without it, and for a time that does not exist, `since` is the
    earlier moment and `until` the later one, so that the range leaves nothing out. Raise ValueError for other text.
    """
    moment = parse_datetime(text)
    if moment is None or not 1970 < moment.year < 9999:
        raise ValueError("must be a time such as 2027-01-31T14:00")
    if timezone.is_aware(moment):
        return moment.astimezone(UTC)
    candidates = _candidates(moment)
    matching = [candidate for candidate in candidates if offset_of(candidate) == offset]
    return (matching or [min(candidates) if bound == "since" else max(candidates)])[0]


def clock_time(moment: datetime) -> str:
    """Return the value of a datetime-local field, in the user's zone."""
    local = timezone.localtime(moment)
    return local.replace(tzinfo=None).isoformat(timespec="seconds" if local.second else "minutes")


def day_of(moment: datetime) -> date:
    """Return the day on which it is, in the user's zone."""
    return timezone.localtime(moment).date()


def midnight(day: date) -> datetime:
    """Return the moment, in UTC, at which a day begins in the user's zone; where that clock time does not exist, the
    earlier of the two that it could mean."""
    return min(_candidates(datetime(day.year, day.month, day.day)))  # noqa: DTZ001 - a clock time


def exact(moment: datetime) -> str:
    """Return the clock time with its offset, for links: the same moment in every zone."""
    return clock_time(moment) + offset_of(moment)


def offset_of(moment: datetime) -> str:
    """Return the offset of the user's zone at that moment: `+02:00`."""
    seconds = round((timezone.localtime(moment).utcoffset() or timedelta()).total_seconds())
    return f"{'-' if seconds < 0 else '+'}{abs(seconds) // 3600:02}:{abs(seconds) // 60 % 60:02}"


def choices(moment: datetime) -> list[tuple[str, str]]:
    """Return the offsets and names of both moments that an ambiguous clock time means; else an empty list."""
    both = sorted(_candidates(timezone.localtime(moment).replace(tzinfo=None)))
    return [(offset_of(moment), timezone.localtime(moment).strftime("%Z")) for moment in both] if len(both) > 1 else []


def _candidates(clock: datetime) -> set[datetime]:
    """Return one moment, or two for a time that is ambiguous or does not exist."""
    zone = timezone.get_current_timezone()
    return {clock.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1)}
