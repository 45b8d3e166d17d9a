"""Give each request an id, for its response, the rows it writes and every log line about it."""

import re
import uuid
from collections.abc import Callable

from django.http import HttpRequest
from django.http.response import HttpResponseBase

from runtime.logs import log_context

WELL_FORMED = re.compile(r"[A-Za-z0-9._-]{8,64}")


def request_id_of(request: HttpRequest) -> str:
    """Return the client's X-Request-ID where it is well formed (8 to 64 of letters, digits, . _ -), else a new one."""
    known: str | None = getattr(request, "request_id", None)
    if known is None:
        sent = request.headers.get("X-Request-ID", "")
        known = sent if WELL_FORMED.fullmatch(sent) else uuid.uuid4().hex
        request.request_id = known  # type: ignore[attr-defined]
    return known


class RequestIdMiddleware:
    """Give every request an id, and send it in the response."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]):
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        request_id = request_id_of(request)
        with log_context(request=request_id):
            response = self.get_response(request)
        response["X-Request-ID"] = request_id
        return response
