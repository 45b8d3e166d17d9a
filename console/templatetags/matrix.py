"""The matrix's cells and the timeline's bars: thousands on a page, so they are rendered here, not in templates."""

from functools import lru_cache

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import get_language, gettext, ngettext

from microservice.models import Step
from microservice.status import StepStatus, UndoStatus

from ..durations import lasted
from ..queries.deployments import Row
from ..queries.operations import ComparedStep
from ..queries.timeline import QUEUED, RUNNING, UNDOING, TimelineRow
from ..times import own_time
from .console import status

register = template.Library()
TONES = {QUEUED: "wait", RUNNING: "run", UNDOING: "undo"}


@register.simple_tag
def cells(row: Row | ComparedStep) -> SafeString:
    """Render a row's cells: what came of each step as glyph, word and colour, its duration, and its undo below."""
    empty = _empty(row.waits, get_language())
    parts = []
    for step in row.cells:
        if step is None or (step.status == StepStatus.PENDING and not row.waits):
            parts.append(empty)
        else:
            parts.append(f'<td class="cell">{_result(step)}{_undo(step)}</td>')
    return mark_safe("".join(parts))  # noqa: S308  statuses and numbers, nothing from a host


def _result(step: Step) -> str:
    facts = [own_time(step)]
    if step.status == StepStatus.FAILED and step.exit_status is not None:
        facts.append(gettext("exit %(status)s") % {"status": step.exit_status})
    words = " · ".join(fact for fact in facts if fact)
    return f'{status(step.status, "step")}<span class="took">{words}</span>'


def _undo(step: Step) -> str:
    if step.undo_status == UndoStatus.NONE:
        return ""
    return f'<span class="undo">{status(step.undo_status, "undo")}</span>'


@lru_cache(maxsize=32)
def _empty(waits: bool, language: str) -> str:
    return format_html('<td class="cell muted">{}</td>', gettext("not yet") if waits else gettext("not run"))


register.filter("span", lasted)


@register.filter
def about(seconds: float) -> str:
    """Format an estimate without decimals: about 20 s, about 4 min, about 2 h."""
    if seconds < 90:
        return gettext("about %(n)s s") % {"n": max(1, round(seconds))}
    if seconds < 5400:
        return gettext("about %(n)s min") % {"n": round(seconds / 60)}
    return gettext("about %(n)s h") % {"n": round(seconds / 3600)}


@register.simple_tag
def timeline_bar(row: TimelineRow) -> SafeString:
    """Render a row of the timeline as a bar. `timeline_text` beside it says the same in words."""
    rects = "".join(
        f'<rect class="time-{TONES[segment.kind]}" x="{segment.x}" width="{segment.width}" height="10"></rect>'
        for segment in row.segments
    )
    return mark_safe(  # noqa: S308  numbers and class names
        f'<svg class="bar time" viewBox="0 0 10000 10" preserveAspectRatio="none" aria-hidden="true">{rects}</svg>'
    )


@register.filter
def timeline_text(row: TimelineRow) -> str:
    """Say the bar in words: waited 3.1 s, ran 12.4 s."""
    words = {
        QUEUED: gettext("waited %(time)s"),
        RUNNING: gettext("ran %(time)s"),
        UNDOING: gettext("undone in %(time)s"),
    }
    parts = [words[segment.kind] % {"time": lasted(segment.seconds)} for segment in row.segments]
    return ", ".join(parts) or gettext("not started")


@register.filter
def hosts(count: int) -> str:
    return ngettext("%(n)s host", "%(n)s hosts", count) % {"n": count}
