"""The first page: all services and which versions run."""

from functools import partial

from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _

from access.callers import Caller
from microservice.publishing import upload

from .. import csv_lists, tables
from ..favourites import MAX_FAVOURITES, ids_of
from ..forms.filters import FleetFilters
from ..forms.services import PackageForm, VersionForm
from ..queries import fleet
from ..queries.paging import MAX_ROWS, PAGE, Page
from .decorators import page, page_size, query, render_list

# The states to filter by, each with its tone, glyph and label.
STATES = (
    ("deploying", "run", "run", _("deploying")),
    ("failed", "bad", "bad", _("failed")),
    ("locked", "warn", "lock", _("locked")),
    ("maintenance", "warn", "tool", _("in maintenance")),
    ("empty", "", "", _("Not installed")),
)


@page(live=True)
def home(request: HttpRequest, caller: Caller) -> HttpResponse:
    """List services, filtered by the query parameters `q` and `state`; the caller's favourites come first."""
    params = query(request, "q", "state", "after")
    pages = partial(fleet.services, caller, params["q"], params["state"])
    if file := csv_lists.file(request, tables.FLEET, pages, caller):
        return file
    starred = ids_of(request)
    services = pages(params["after"], page_size(request, PAGE, MAX_ROWS), without=starred)
    first = Page()
    if starred and not params["after"]:
        first = pages(size=MAX_FAVOURITES, among=starred)
    for row in (*first, *services):
        row.may_deploy = caller.may_for_team("deploy", row.service.team_id)
    totals = fleet.totals(caller)
    context = {
        **params,
        "page": services,
        "first": first,
        "filters": FleetFilters(params),
        "totals": totals,
        "states": [(*state, totals.get(state[0], "")) for state in STATES],
        "none_at_all": not (services.rows or first.rows) and not any(params.values()),
        "may_make": caller.may_anywhere("admin"),
        "may_publish": caller.may_anywhere("publish"),
        "upload_form": VersionForm(auto_id="publish-%s"),
        "most": upload.MAX_BYTES,
        "package_form": PackageForm(auto_id="%s"),
    }
    return render_list(request, "fleet.html", "fleet_rows.html", context, "fleet_live.html")
