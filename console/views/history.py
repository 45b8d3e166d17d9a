"""The history: every deed, and what moved between two moments."""

from datetime import datetime, timedelta

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext

from access.callers import Caller
from access.problems import Problem

from .. import moments
from ..queries import history as past
from .decorators import page, query, render_list

TIMES = ("since", "since_at", "until", "until_at")  # …_at: the offset of a clock time that comes twice
FILTERS = (*TIMES, "service", "actor", "action", "q", "after")
EDGES: tuple[moments.Edge, moments.Edge] = ("since", "until")
SHORTCUTS = (1, 24, 24 * 7)  # hours back from now


@page()
def history(request: HttpRequest, caller: Caller) -> HttpResponse:
    asked = query(request, *FILTERS)
    context: dict = {**asked, "tab": "rows", "filtered": any(asked.values())}
    try:
        since, until = _between(asked)
    except Problem as problem:
        return render(request, "history/rows_page.html", context | {"problem": problem}, status=problem.status)
    context |= _shown(since, until)
    context["page"] = past.history(caller, asked, since, until)
    return render_list(request, "history/rows_page.html", "history/rows.html", context)


@page()
def moves(request: HttpRequest, caller: Caller) -> HttpResponse:
    """Which versions ran before and after, for each instance that moved: in the last hour, where nothing is said."""
    asked = query(request, *TIMES, "service")
    now = timezone.now().replace(second=0, microsecond=0) + timedelta(minutes=1)
    context: dict = {
        **asked,
        "tab": "moves",
        "shortcuts": [(hours, moments.exact(now - timedelta(hours=hours))) for hours in SHORTCUTS],
    }
    try:
        since, until = _between(asked)
        since = since or (until or now) - timedelta(hours=1)
        found = past.moves(caller, since, until or now, asked["service"])
    except Problem as problem:
        return render(request, "history/moves.html", context | {"problem": problem}, status=problem.status)
    context |= _shown(since, until)
    return render(request, "history/moves.html", context | {"moves": found, "named": past.NAMED, "till": until or now})


def _between(asked: dict[str, str]) -> tuple[datetime | None, datetime | None]:
    since, until = (_moment(edge, asked[edge], asked[f"{edge}_at"]) for edge in EDGES)
    if since and until and since >= until:
        raise _wrong("until", "must be after the beginning")
    return since, until


def _moment(edge: moments.Edge, text: str, offset: str) -> datetime | None:
    try:
        return moments.parse(text, edge, offset) if text else None
    except (ValueError, OverflowError):
        raise _wrong(edge, "must be a time such as 2027-01-31T14:00") from None


def _wrong(edge: moments.Edge, reason: str) -> Problem:
    """422, by the name that the field has on the page."""
    return Problem(422, "invalid", f"{gettext('From') if edge == 'since' else gettext('Until')}: {reason}")


def _shown(since: datetime | None, until: datetime | None) -> dict:
    """What the fields hold: clock times, and beside one that comes twice, which of the two it is."""
    found: dict = {}
    for edge, moment in (("since", since), ("until", until)):
        if moment is not None:
            found |= {edge: moments.typed(moment), f"{edge}_at": moments.offset_of(moment)}
            found[f"{edge}_choices"] = moments.choices(moment)
    return found
