"""The history: every change, and the versions that changed between two times."""

from datetime import datetime, timedelta
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext

from access.callers import Caller
from access.problems import Problem, refused
from messages import Message

from .. import moments
from ..queries import history
from .decorators import page, query, render_list

TIMES = ("since", "since_at", "until", "until_at")  # …_at: the UTC offset of an ambiguous clock time
FILTERS = (*TIMES, "service", "actor", "action", "q", "after")
BOUNDS: tuple[moments.Bound, moments.Bound] = ("since", "until")
SHORTCUTS = (1, 24, 24 * 7)  # hours back from now


@page()
def history_list(request: HttpRequest, caller: Caller) -> HttpResponse:
    params = query(request, *FILTERS)
    context: dict[str, Any] = {**params, "tab": "rows", "filtered": any(params.values())}
    try:
        since, until = _time_range(params)
    except Problem as problem:
        return render(request, "history/rows_page.html", context | {"problem": problem}, status=problem.status)
    context |= _field_values(since, until)
    context["page"] = history.history(caller, params, since, until)
    return render_list(request, "history/rows_page.html", "history/rows.html", context)


@page()
def version_changes(request: HttpRequest, caller: Caller) -> HttpResponse:
    """List the versions before and after of each instance whose version changed; in the last hour by default."""
    params = query(request, *TIMES, "service")
    now = timezone.now().replace(second=0, microsecond=0) + timedelta(minutes=1)
    context: dict[str, Any] = {
        **params,
        "tab": "moves",
        "shortcuts": [(hours, moments.exact(now - timedelta(hours=hours))) for hours in SHORTCUTS],
    }
    try:
        since, until = _time_range(params)
        since = since or (until or now) - timedelta(hours=1)
        changes = history.version_changes(caller, since, until or now, params["service"])
    except Problem as problem:
        return render(request, "history/moves.html", context | {"problem": problem}, status=problem.status)
    context |= _field_values(since, until)
    return render(
        request, "history/moves.html", context | {"moves": changes, "named": history.MAX_NAMED, "till": until or now}
    )


def _time_range(params: dict[str, str]) -> tuple[datetime | None, datetime | None]:
    since, until = (_moment(bound, params[bound], params[f"{bound}_at"]) for bound in BOUNDS)
    if since and until and since >= until:
        raise _invalid("until", "not_after_start")
    return since, until


def _moment(bound: moments.Bound, text: str, offset: str) -> datetime | None:
    try:
        return moments.parse(text, bound, offset) if text else None
    except (ValueError, OverflowError):
        raise _invalid(bound, "not_a_time") from None


def _invalid(bound: moments.Bound, reason: str) -> Problem:
    """Return a 422 that names the field by its label on the page."""
    return refused("invalid", field=gettext("From") if bound == "since" else gettext("Until"), reason=Message(reason))


def _field_values(since: datetime | None, until: datetime | None) -> dict[str, Any]:
    """Return the values of the time fields: clock times, with the choice of offset where one is ambiguous."""
    values: dict[str, Any] = {}
    for bound, moment in (("since", since), ("until", until)):
        if moment is not None:
            values |= {bound: moments.clock_time(moment), f"{bound}_at": moments.offset_of(moment)}
            values[f"{bound}_choices"] = moments.choices(moment)
    return values
