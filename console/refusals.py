"""Refusals of buttons: each stands at the button that was pressed, on the page where it is.

The address that refuses leads back there, so that a reload sends nothing again. In between the session keeps what was
refused, for the next page: the tag `refusal` (templatetags/refusals.py) shows it at the button, and the page above all
else where the button is gone.
"""

import time
from typing import Any
from urllib.parse import urlsplit

from django.http import HttpRequest
from django.utils.http import url_has_allowed_host_and_scheme

from access.problems import Problem

from .returning import shows_a_page

KEY = "refused_button"
KEPT_FOR = 60  # seconds: the page comes at once, or not any more
MAX_VALUE = 100  # characters
MAX_REASONS = 10
TELLS_APART = ("cause", "name", "of", "service", "user", "what")  # fields of buttons that post to the same address


def keep(request: HttpRequest, problem: Problem, address: str = "") -> None:
    """Keep a refusal for the next page. `address`: where the button posts to, if not to this request's."""
    request.session[KEY] = {
        "address": address or request.path,
        "fields": {name: request.POST[name][:MAX_VALUE] for name in TELLS_APART if name in request.POST},
        "detail": problem.sentence,
        "hint": problem.hint,
        "page": problem.page,
        "reasons": [error["reason"] for error in problem.errors[:MAX_REASONS]] if len(problem.field_errors) > 1 else [],
        "time": time.time(),
    }


def kept(request: HttpRequest | None) -> dict[str, Any]:
    """Return what was just refused; {} in a live fragment, which is everyone's."""
    session = getattr(request, "session", None)
    found = session.get(KEY) if session is not None else None
    return found if found and abs(time.time() - found["time"]) <= KEPT_FOR else {}


def page_before(request: HttpRequest) -> str:
    """Return the address of the console's page that sent this request; "" if the browser does not say."""
    before = request.headers.get("Referer", "")
    if not url_has_allowed_host_and_scheme(before, {request.get_host()}, require_https=request.is_secure()):
        return ""
    parts = urlsplit(before)
    if parts.path == request.path or not shows_a_page(parts.path):
        return ""
    return f"{parts.path}?{parts.query}" if parts.query else parts.path
