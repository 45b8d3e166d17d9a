"""The history: every change, and the versions that changed between two times."""

from datetime import timedelta
from functools import partial
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone

from access.callers import Caller

from .. import csv_lists, history_words, moments, tables
from ..forms.filters import BOUNDS, HistoryFilters, VersionChangeFilters
from ..queries import history
from ..queries.paging import Page
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
    pages = partial(history.history, caller, params, since, until)
    if file := csv_lists.file(request, tables.HISTORY, pages, caller, params["service"]):
        return file
    shown = pages(params["after"])
    names = history.names_in(caller, shown.rows)
    for row in shown:
        row.deed, row.sentences = history_words.deed(row), history_words.sentences(row, names)
    context["page"] = shown
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
    moves = history.version_changes(caller, since, until, params["service"])
    if file := csv_lists.file(
        request, tables.VERSION_CHANGES, lambda **_: Page(moves.groups), caller, params["service"]
    ):
        return file
    context["moves"] = moves
    return render(request, "history/moves.html", context | {"named": history.MAX_NAMED, "till": until})
