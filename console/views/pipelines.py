"""The page of what a pipeline needs: one job to copy, with this installation's address and a service filled in."""

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from access.callers import Caller

from ..forms.filters import PipelineFilters
from ..queries import choices
from ..queries.pipelines import FILES, NAMES, pipeline, runs_anywhere
from .decorators import page, query


@page()
def pipelines(request: HttpRequest, caller: Caller) -> HttpResponse:
    """Show a job for a CI system. Without PUBLIC_URL, the address is the one that the browser asked."""
    params = query(request, "service", "system")
    row = choices.chosen(caller, "service", params["service"]) if params["service"] else None
    system = params["system"] if params["system"] in FILES else next(iter(FILES))
    service = row.name if row else ""
    url = settings.PUBLIC_URL or request.build_absolute_uri("/")
    context = {
        "tab": "pipelines",
        "filters": PipelineFilters({"service": service, "system": system}, NAMES),
        "unknown": "" if row else params["service"],
        "service": service,
        "nowhere": service and not runs_anywhere(service),
        "url": url.rstrip("/"),
        "job": pipeline(system, url, service or "my-service"),
    }
    return render(request, "settings/pipelines.html", context)
