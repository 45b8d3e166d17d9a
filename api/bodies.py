"""Refuses a body that is too large for its address, before anything reads it or writes it to a disk."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from access import bodies
from access.problems import Problem

from . import errors


class BodyMiddleware:
    """413 by Content-Length alone. A body in chunks says no length: only what recognised its caller reads one.

    A form with files is no larger than another: it stays in memory (settings.FILE_UPLOAD_HANDLERS). Packages are let
    through; api/dispatch.py has them written down only once the caller is known and may publish.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]):
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        limit = bodies.most(request.path_info)
        length = request.META.get("CONTENT_LENGTH") or "0"
        if limit is None or (length.isascii() and length.isdigit() and int(length) <= limit):
            return self.get_response(request)
        if request.path_info.startswith("/api/"):
            return errors.answer(
                request,
                Problem(
                    413,
                    "too_large",
                    f"The body has more than {limit} bytes.",
                    "A package is sent with PUT to …/package; a list in parts.",
                ),
            )
        return HttpResponse(f"A body has at most {limit} bytes here.\n", status=413, content_type="text/plain")
