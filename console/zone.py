"""The user's time zone: the page's script sets it as a cookie, and pages show and read clock times in it.

Without the cookie (on the first page, or without scripts) pages use UTC and say so. Rows and the API use UTC only.
"""

import re
from collections.abc import Callable
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils import timezone

COOKIE = "zone"
_NAME = re.compile(r"[A-Za-z]{1,20}(?:/[A-Za-z0-9_+-]{1,30}){0,2}")


class ZoneMiddleware:
    """Activate the zone for the request, or deactivate that of the thread's previous request."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        zone = known(request.COOKIES.get(COOKIE, ""))
        if zone:
            timezone.activate(zone)
        else:
            timezone.deactivate()
        return self._get_response(request)


@lru_cache(maxsize=128)
def known(name: str) -> ZoneInfo | None:
    """Return the zone of that name, or None if this machine does not know it."""
    if not _NAME.fullmatch(name):
        return None
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # OSError: a directory of zones, such as “America”
        return None
