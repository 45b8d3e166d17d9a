"""The page of a request that failed here: 503 where the database is away, and it comes again by itself; else 500.

It is made without the database: no session, no user, no context processor.
"""

from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.utils.translation import get_language

from access.request_id import request_id_of
from runtime.database_errors import is_away

SECONDS = 3  # until the page comes again


class UnavailableMiddleware:
    """What a view lets through because the database is away."""

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request: HttpRequest):
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        return failed(request, error) if is_away(error) and not request.path_info.startswith("/api/") else None


def failed(request: HttpRequest, error: BaseException) -> HttpResponse:
    away = is_away(error)
    comes_again = away and request.method in ("GET", "HEAD")
    words = {
        "away": away,
        "comes_again": comes_again,
        "seconds": SECONDS,
        "request_id": request_id_of(request),
        "again": request.get_full_path(),
        "LANGUAGE_CODE": get_language(),
    }
    response = HttpResponse(render_to_string("unavailable.html", words), status=503 if away else 500)
    response["Cache-Control"] = "no-store"
    if away:
        response["Retry-After"] = str(SECONDS)
    if "HX-Request" in request.headers:  # a part of a page: what it shows stays, and is asked for again
        response["HX-Reswap"] = "none"
    return response
