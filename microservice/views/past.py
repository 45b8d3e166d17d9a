"""The history: every deed, and what moved between two moments."""

from datetime import datetime, timedelta

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from access.callers import Caller
from access.problems import Problem, invalid
from microservice.queries import past

from .guard import page, show, wanted

FILTERS = ("since", "until", "service", "actor", "action", "q", "after")
SHORTCUTS = (1, 24, 24 * 7)  # hours back from now


@page()
def history(request: HttpRequest, caller: Caller) -> HttpResponse:
    asked = wanted(request, *FILTERS)
    context: dict = {**asked, "tab": "rows", "filtered": any(asked.values())}
    try:
        since, until = _between(asked)
    except Problem as problem:
        return render(request, "history/rows_page.html", context | {"problem": problem}, status=problem.status)
    context["page"] = past.history(caller, asked, since, until)
    return show(request, "history/rows_page.html", "history/rows.html", context)


@page()
def moves(request: HttpRequest, caller: Caller) -> HttpResponse:
    """Which versions ran before and after, for each instance that moved: in the last hour, where nothing is said."""
    asked = wanted(request, "since", "until", "service")
    now = timezone.localtime().replace(second=0, microsecond=0) + timedelta(minutes=1)
    if not asked["since"] and not asked["until"]:
        asked["since"] = _typed(now - timedelta(hours=1))
    context: dict = {
        **asked,
        "tab": "moves",
        "shortcuts": [(hours, _typed(now - timedelta(hours=hours))) for hours in SHORTCUTS],
    }
    try:
        since, until = _between(asked)
        until = until or now
        found = past.moves(caller, since or until - timedelta(hours=1), until, asked["service"])
    except Problem as problem:
        return render(request, "history/moves.html", context | {"problem": problem}, status=problem.status)
    return render(request, "history/moves.html", context | {"moves": found, "named": past.NAMED, "till": until})


def _between(asked: dict[str, str]) -> tuple[datetime | None, datetime | None]:
    since, until = (_moment(name, asked[name]) for name in ("since", "until"))
    if since and until and since >= until:
        raise invalid("/query/until", "must be after the beginning")
    return since, until


def _moment(name: str, text: str) -> datetime | None:
    """What was typed, in the reader's zone; a text with a zone of its own is taken at its word."""
    if not text:
        return None
    try:
        moment = parse_datetime(text)
        if moment is not None and timezone.is_naive(moment):
            moment = timezone.make_aware(moment)
    except (ValueError, OverflowError):
        moment = None
    if moment is None or not 1970 < moment.year < 9999:
        raise invalid(f"/query/{name}", "must be a time such as 2027-01-31T14:00")
    return moment


def _typed(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M")
