"""A service's first page: what runs where, how it is, what is newest, and what was deployed last."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from access.callers import Caller

from ..queries import overview, overview_groups, services
from .controls import with_segments
from .decorators import page
from .services import service_context


@page(live=True)
def service_overview(request: HttpRequest, caller: Caller, name: str) -> HttpResponse:
    service = services.service(caller, name)
    summary = overview.summary(caller, service)
    with_segments(summary.deployments)
    label, groups = overview_groups.groups(caller, service)
    context = {
        **service_context(caller, service, "overview"),
        "summary": summary,
        "label": label,
        "groups": groups,
    }
    template = "service/overview_live.html" if request.headers.get("HX-Request") else "service/overview.html"
    return render(request, template, context)
