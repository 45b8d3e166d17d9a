"""Idempotency-Key on every POST."""
from collections.abc import Callable

from django.http import HttpRequest
from django.http.response import HttpResponseBase

from access.callers import Caller


def once(
    request: HttpRequest, caller: Caller, run: Callable[[], HttpResponseBase], *, outside: bool = False
) -> HttpResponseBase:
    return run()
