"""The first page: all services and which versions run."""

from functools import partial
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _

from access.callers import Caller
from asset.models import Environment
from microservice.publishing import upload

from .. import csv_lists, tables
from ..favourites import MAX_FAVOURITES, ids_of
from ..forms.filters import FleetFilters
from ..forms.services import PackageForm, VersionForm
from ..queries import fleet, fleet_matrix
from ..queries.fleet import Wanted
from ..queries.fleet_matrix import Column
from ..queries.paging import MAX_ROWS, PAGE, Page
from .decorators import page, page_size, query, render_list

MATRIX_PAGE = 20  # services: each has a cell for each environment
# The states to filter by, each with its tone, glyph and label.
STATES = (
    ("deploying", "run", "run", _("deploying")),
    ("waiting", "idle", "wait", _("waiting")),
    ("failed", "bad", "bad", _("failed")),
    ("locked", "warn", "lock", _("locked")),
    ("maintenance", "warn", "tool", _("in maintenance")),
    ("empty", "", "", _("Not installed")),
)


@page(live=True)
def home(request: HttpRequest, caller: Caller) -> HttpResponse:
    """List services, filtered by the query parameters `q`, `state` and `environment`; the caller's favourites come
    first."""
    params = query(request, "q", "state", "environment", "after")
    places = fleet_matrix.environments()
    wanted = Wanted(params["q"], params["state"], _named(places, params["environment"]))
    columns = fleet_matrix.columns(caller, places, wanted)
    pages = partial(_rows, caller, wanted, columns)
    if file := csv_lists.file(request, tables.fleet(columns), pages, caller):
        return file
    starred = ids_of(request)
    size = page_size(request, MATRIX_PAGE if columns else PAGE, MAX_ROWS)
    services = pages(params["after"], size, without=starred)
    first = Page()
    if starred and not params["after"]:
        first = pages(size=MAX_FAVOURITES, among=starred)
    totals = fleet.totals(caller, wanted)
    context = {
        **params,
        "page": services,
        "first": first,
        "columns": columns,
        "filters": FleetFilters(params, [row.name for row in places]),
        "totals": totals,
        "states": [(*state, totals.get(state[0], "")) for state in STATES if columns or state[0] != "waiting"],
        "none_at_all": not (services.rows or first.rows) and not any(params.values()),
        "may_make": caller.may_anywhere("admin"),
        "may_publish": caller.may_anywhere("publish"),
        "upload_form": VersionForm(auto_id="publish-%s"),
        "most": upload.MAX_BYTES,
        "package_form": PackageForm(auto_id="%s"),
    }
    rows = "fleet_matrix_rows.html" if columns else "fleet_rows.html"
    return render_list(request, "fleet.html", rows, context, "fleet_live.html")


def _rows(caller: Caller, wanted: Wanted, columns: list[Column], *args: Any, **options: Any) -> Page:
    """Return a page of services, in a matrix with what may be promoted."""
    found = fleet.services(caller, wanted, *args, by_place=bool(columns), **options)
    for row in found:
        row.may_deploy = caller.may_for_team("deploy", row.service.team_id)
    fleet_matrix.add_candidates(found, columns)
    return found


def _named(places: list[Environment], name: str) -> Environment | None:
    return next((row for row in places if row.name == name), None)
