"""The first page."""

from django.http import HttpRequest, HttpResponse

from access.callers import Caller
from microservice.publishing import upload

from ..queries import fleet
from ..queries.paging import MOST, PAGE
from .decorators import page, page_size, query, render_list


@page(live=True)
def home(request: HttpRequest, caller: Caller) -> HttpResponse:
    """Services × what runs where; `q`, `state` and `after` are in the address."""
    asked = query(request, "q", "state", "after")
    found = fleet.services(caller, **asked, size=page_size(request, PAGE, MOST))
    for row in found:
        row.may_deploy = caller.may_for_team("deploy", row.service.team_id)
    context = {
        **asked,
        "page": found,
        "totals": fleet.totals(caller),
        "none_at_all": not found.rows and not any(asked.values()),
        "may_make": caller.might("admin"),
        "may_publish": caller.might("publish"),
        "most": upload.MAX_BYTES,
    }
    return render_list(request, "fleet.html", "fleet_rows.html", context, "fleet_live.html")
