"""The page of what a pipeline needs: one job to copy, with this installation's address and a service filled in."""

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from access.callers import Caller

from ..forms.filters import PipelineFilters
from ..queries import choices, host_groups
from ..queries.pipelines import FILES, KINDS, NAMES, image_name, pipeline, runs_anywhere
from .decorators import page, query


@page()
def pipelines(request: HttpRequest, caller: Caller) -> HttpResponse:
    """Show a job for a CI system. Without PUBLIC_URL, the address is the one that the browser asked."""
    params = query(request, "service", "system", "kind", "label", "group")
    row = choices.chosen(caller, "service", params["service"]) if params["service"] else None
    system = params["system"] if params["system"] in FILES else next(iter(FILES))
    kind = params["kind"] if params["kind"] in KINDS else "package"
    service = row.name if row else ""
    url = settings.PUBLIC_URL or request.build_absolute_uri("/")
    name = service or "my-service"
    shown = {**params, "service": service, "system": system, "kind": kind}
    filters = PipelineFilters(shown, host_groups.group_names(), NAMES, KINDS)
    install = filters.install_options()
    context = {
        "tab": "pipelines",
        "filters": filters,
        "unknown": "" if row else params["service"],
        "service": service,
        "kind": kind,
        "installs": bool(install),
        "nowhere": service and not install and not runs_anywhere(service),
        "url": url.rstrip("/"),
        "job": pipeline(system, url, name, image_name(name) if kind == "image" else "", install),
    }
    return render(request, "settings/pipelines.html", context)
