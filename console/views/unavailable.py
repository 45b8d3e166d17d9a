"""The page of a request that failed: 503 while the database is unreachable (it reloads itself), else 500.

It is rendered without the database: no session, no user, no context processor.
"""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.utils.translation import get_language

from access.request_id import request_id_of
from runtime.database_errors import is_away

from ..theme import cookie_theme

RETRY_AFTER = 3  # seconds until the page reloads itself


class UnavailableMiddleware:
    """Answer errors of an unreachable database outside the API, which has an answer of its own."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        return failed(request, error) if is_away(error) and not request.path_info.startswith("/api/") else None


def failed(request: HttpRequest, error: BaseException) -> HttpResponse:
    away = is_away(error)
    context = {
        "away": away,
        "comes_again": away and request.method in ("GET", "HEAD"),
        "seconds": RETRY_AFTER,
        "request_id": request_id_of(request),
        "again": request.get_full_path(),
        "LANGUAGE_CODE": get_language(),
        "theme": cookie_theme(request),
    }
    response = HttpResponse(render_to_string("unavailable.html", context), status=503 if away else 500)
    response["Cache-Control"] = "no-store"
    if away:
        response["Retry-After"] = str(RETRY_AFTER)
    if "HX-Request" in request.headers:  # a fragment: the page keeps what it shows and asks again
        response["HX-Reswap"] = "none"
    return response
