"""The reader's time zone: the page's script tells it in a cookie, and pages show and read clock times in it.

Without the cookie (the first page, or no script) it is UTC, and says so. Rows and the API know UTC alone.
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
    """Activates the zone for the request. A thread serves many, so one that tells no zone takes the last one's away."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]):
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
    """The zone of that name; None where this machine has none, whatever the name is."""
    if not _NAME.fullmatch(name):
        return None
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # a folder of zones, such as “America”, is an OSError
        return None
