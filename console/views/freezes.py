"""Freezes: times in which environments take no new deployments; and the calendar of them and of what is scheduled."""

from datetime import date, timedelta

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext as _

from access.callers import Caller
from access.problems import not_found
from microservice.deployments import freeze_changes
from microservice.deployments.recurrences import YEARS
from microservice.models import Freeze

from .. import csv_lists, moments, tables
from ..forms.freezes import FreezeForm
from ..queries import freezes as queries
from ..queries.paging import Page
from .decorators import errors_on, flash, page, post_data, query, redirect_to


@page(live=True)
def freeze_list(request: HttpRequest, caller: Caller) -> HttpResponse:
    rows = queries.freezes(timezone.now())
    if file := csv_lists.file(request, tables.FREEZES, lambda **_: Page(rows), caller):
        return file
    context = {"freezes": rows, "tab": "freezes", "may_admin": caller.may("admin")}
    whole = "HX-Request" not in request.headers
    return render(request, "freezes/list.html" if whole else "freezes/list_live.html", context)


@page("admin", ("GET", "POST"), look="admin")
def new(request: HttpRequest, caller: Caller) -> HttpResponse:
    return _edit(request, caller, None)


@page("admin", ("GET", "POST"), look="admin")
def edit(request: HttpRequest, caller: Caller, number: int) -> HttpResponse:
    return _edit(request, caller, _find(number))


@page("admin", ("POST",), back=("freeze", "number"))
def delete(request: HttpRequest, caller: Caller, number: int) -> HttpResponse:
    freeze = _find(number)
    freeze_changes.delete(caller, freeze)
    flash(request, _("%(name)s was deleted.") % {"name": freeze.name})
    return redirect_to("freezes")


@page(section="deployments")
def calendar(request: HttpRequest, caller: Caller) -> HttpResponse:
    """Show 31 days from `from` on, by default from today."""
    today = moments.day_of(timezone.now())
    first = _day(query(request, "from")["from"]) or today
    days = queries.calendar(caller, first)
    if file := csv_lists.file(request, tables.CALENDAR, lambda **_: Page(queries.entries(days)), caller):
        return file
    step = timedelta(days=queries.DAYS)
    context = {
        "days": [day for day in days if day.entries],
        "count": len(queries.entries(days)),
        "first": first,
        "last": first + step - timedelta(days=1),
        "today": today,
        "earlier": first - step,
        "later": first + step,
    }
    return render(request, "freezes/calendar.html", context)


def _edit(request: HttpRequest, caller: Caller, freeze: Freeze | None) -> HttpResponse:
    form, now, times = FreezeForm(post_data(request), freeze), timezone.now(), []
    if request.method == "POST" and form.is_valid():
        with errors_on(form):
            if "preview" in request.POST:
                times = queries.next_times(freeze_changes.times_with(freeze, form.values()), now)
            elif freeze:
                freeze_changes.change(caller, freeze, form.values())
                flash(request, _("%(name)s was saved.") % {"name": freeze.name})
                return redirect_to("freeze", freeze.pk)
            else:
                made = freeze_changes.create(caller, form.values())
                flash(request, _("%(name)s was added.") % {"name": made.name})
                return redirect_to("freeze", made.pk)
    elif freeze and request.method == "GET":
        times = queries.row_of(freeze, now).next
    saved = _find(freeze.pk) if freeze else None
    title = saved.name if saved else _("Add a freeze")
    context = {"saved": saved, "title": title, "form": form, "times": times}
    return render(request, "freezes/page.html", context, status=422 if form.errors else 200)


def _day(text: str) -> date | None:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    return day if YEARS[0] < day.year < YEARS[1] - 1 else None


def _find(number: int) -> Freeze:
    freeze = Freeze.objects.filter(pk=number).first()
    if freeze is None:
        raise not_found("freeze")
    return freeze
