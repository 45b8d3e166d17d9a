"""Moments as people type and read them by the clock, and back.

Where a clock is put back, an hour of its times means two moments each; where it is put forward, some mean none. So
nothing is reckoned in clock times: what is typed becomes a moment in UTC at once, and a moment becomes a clock time
where it is shown, with its offset where that tells it from another one.
"""

from datetime import UTC, datetime, timedelta
from typing import Literal

from django.utils import timezone
from django.utils.dateparse import parse_datetime

Edge = Literal["since", "until"]


def parse(text: str, edge: Edge, offset: str = "") -> datetime:
    """The moment that is meant by a clock time in the reader's zone, or by one with an offset of its own, in UTC.

    `offset` (`+02:00`) says which one is meant where there are two. Without it, and where there is none, the beginning
    of a time is the earlier one and its end the later one: nothing that may be meant is left out. Raises ValueError.
    """
    moment = parse_datetime(text)
    if moment is None or not 1970 < moment.year < 9999:
        raise ValueError("must be a time such as 2027-01-31T14:00")
    if timezone.is_aware(moment):
        return moment.astimezone(UTC)
    meant = _meant(moment)
    named = [one for one in meant if offset_of(one) == offset]
    return (named or [min(meant) if edge == "since" else max(meant)])[0]


def typed(moment: datetime) -> str:
    """As a field for a clock time holds it, in the reader's zone."""
    local = timezone.localtime(moment)
    return local.replace(tzinfo=None).isoformat(timespec="seconds" if local.second else "minutes")


def exact(moment: datetime) -> str:
    """The same with its offset: what a link holds. It means this moment in every zone."""
    return typed(moment) + offset_of(moment)


def offset_of(moment: datetime) -> str:
    """`+02:00`: of the reader's zone at that moment."""
    seconds = round((timezone.localtime(moment).utcoffset() or timedelta()).total_seconds())
    return f"{'-' if seconds < 0 else '+'}{abs(seconds) // 3600:02}:{abs(seconds) // 60 % 60:02}"


def choices(moment: datetime) -> list[tuple[str, str]]:
    """Where the clock time of a moment means another one too: the offsets and names of both, in order; else nothing."""
    both = sorted(_meant(timezone.localtime(moment).replace(tzinfo=None)))
    return [(offset_of(one), timezone.localtime(one).strftime("%Z")) for one in both] if len(both) > 1 else []


def _meant(clock: datetime) -> set[datetime]:
    """One moment, or two: of a time that comes twice, or the two ways to take one that never comes."""
    zone = timezone.get_current_timezone()
    return {clock.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1)}
