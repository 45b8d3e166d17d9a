"""Refuses a body that is too large for its address before anything reads it."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from access import bodies
from access.problems import refused
from runtime.ids import parse_number

from . import errors


class BodyMiddleware:
    """Answers 413 by Content-Length alone. A chunked body has none: it is read only for a known caller.

    A form with files has the same limit and stays in memory (settings.FILE_UPLOAD_HANDLERS). Packages pass: dispatch.py
    has them written to the disk only once the caller is known and may publish.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]):
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        limit = bodies.max_size(request.path_info)
        if limit is None or parse_number(request.META.get("CONTENT_LENGTH") or "0", limit) is not None:
            return self.get_response(request)
        if request.path_info.startswith("/api/"):
            return errors.answer(request, refused("too_large.body", max=limit))
        return HttpResponse(f"A body has at most {limit} bytes here.\n", status=413, content_type="text/plain")
