"""Every URL of the system: the API, the console and the probes."""

import sys

from django.http import HttpRequest, HttpResponse
from django.urls import include, path

from api import command_line, errors
from api.v1 import api
from console.views import error_pages, unavailable

from . import health

# The API answers its own paths.
handler400, handler403, handler404 = error_pages.bad_request, error_pages.forbidden, error_pages.missing


def handler500(request: HttpRequest) -> HttpResponse:
    """Answer an error outside a view, when a session is saved, say."""
    answer = errors.from_exception if request.path_info.startswith("/api/") else unavailable.failed
    return answer(request, sys.exc_info()[1] or RuntimeError("unknown"))


urlpatterns = [
    path("api/v1/", api.urls),
    path("api/<path:rest>", errors.no_such_path),
    path(command_line.NAME, command_line.download),
    path("healthz", health.healthz),
    path("readyz", health.readyz),
    path("metrics", health.metrics),
    path("", include("console.urls")),
]
