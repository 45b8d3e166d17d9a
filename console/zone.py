"""The user's time zone: the page's script sets it as a cookie, and pages show and read clock times in it.

Without the cookie (on the first page, or without scripts) pages use UTC and say so. Rows and the API use UTC only.
"""

from collections.abc import Callable

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils import timezone

from runtime.zones import known

COOKIE = "zone"


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
