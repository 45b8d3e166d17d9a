"""The first page."""

from django.http import HttpRequest, HttpResponse

from access.callers import Caller
from microservice.queries import fleet

from .guard import page, show, wanted


@page()
def home(request: HttpRequest, caller: Caller) -> HttpResponse:
    """Services × what runs where; `q`, `state` and `after` are in the address."""
    asked = wanted(request, "q", "state", "after")
    rows = fleet.services(caller, **asked)
    context = {
        **asked,
        "page": rows,
        "totals": fleet.totals(caller),
        "none_at_all": not rows.rows and not any(asked.values()),
        "may_make": caller.might("admin"),
        "may_deploy": caller.may("deploy"),
    }
    return show(request, "fleet.html", "fleet_rows.html", context)
