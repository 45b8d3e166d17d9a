"""The history: every change, and the versions that changed between two times."""

from datetime import timedelta
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone

from access.callers import Caller

from .. import moments
from ..forms.filters import BOUNDS, HistoryFilters, VersionChangeFilters
from ..queries import history
from .decorators import page, query, render_list

TIMES = ("since", "since_at", "until", "until_at")  # …_at: the UTC offset of an ambiguous clock time
FILTERS = (*TIMES, "service", "actor", "action", "q", "after")
SHORTCUTS = (1, 24, 24 * 7)  # hours back from now


@page()
def history_list(request: HttpRequest, caller: Caller) -> HttpResponse:
    params = query(request, *FILTERS)
    filters = HistoryFilters(params)
    context: dict[str, Any] = {"filters": filters, "tab": "rows", "filtered": any(params.values())}
    if not filters.is_valid():
        return render(request, "history/rows_page.html", context, status=422)
    since, until = (filters.cleaned_data[bound] for bound in BOUNDS)
    context["page"] = history.history(caller, params, since, until)
    return render_list(request, "history/rows_page.html", "history/rows.html", context)


@page()
def version_changes(request: HttpRequest, caller: Caller) -> HttpResponse:
    """List the versions before and after of each instance whose version changed; in the last hour by default."""
    params = query(request, *TIMES, "service")
    now = timezone.now().replace(second=0, microsecond=0) + timedelta(minutes=1)
    filters = VersionChangeFilters(params, now)
    context: dict[str, Any] = {
        "filters": filters,
        "service": params["service"],
        "tab": "moves",
        "shortcuts": [(hours, moments.exact(now - timedelta(hours=hours))) for hours in SHORTCUTS],
    }
    if not filters.is_valid():
        return render(request, "history/moves.html", context, status=422)
    since, until = (filters.cleaned_data[bound] for bound in BOUNDS)
    until = until or now
    context["moves"] = history.version_changes(caller, since, until, params["service"])
    return render(request, "history/moves.html", context | {"named": history.MAX_NAMED, "till": until})
