"""Moments and durations as pages show them: an age, a clock time in the user's zone, how long a step took."""

from datetime import datetime

from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext

from microservice.models import Step

from .durations import age, lasted


def when(moment: datetime | None, empty: str | None = None) -> SafeString:
    """Render a time as its age; the page's script updates it."""
    if moment is None:
        text = gettext("never") if empty is None else empty
        return format_html('<span class="muted">{}</span>', text) if text else SafeString()
    return format_html(
        '<time class="nowrap" datetime="{}" title="{}" data-age>{}</time>',
        moment.isoformat(timespec="seconds"),
        _clock(moment),
        age(timezone.now() - moment),
    )


def clock(moment: datetime | None, empty: str = "") -> SafeString | str:
    """Render a clock time in the user's zone; the page's script corrects it if only the script knows the zone."""
    if moment is None:
        return empty
    text = _clock(moment)
    return format_html('<time class="nowrap" datetime="{}" data-clock>{}</time>', moment.isoformat(), text)


def _clock(moment: datetime) -> str:
    return timezone.localtime(moment).strftime("%Y-%m-%d %H:%M:%S %Z")


def zone() -> str:
    """Return the zone of the page's clock times."""
    return timezone.get_current_timezone_name()


def took(started: datetime | None, finished: datetime | None) -> str:
    """Format the time between two moments; "" if one is missing."""
    return lasted((finished - started).total_seconds()) if started and finished else ""


def own_time(step: Step) -> str:
    """Format a step's duration, without that of its undo."""
    return took(step.started, step.finished)


def undo_time(step: Step) -> str:
    return took(step.undo_started, step.undo_finished)
