"""What an endpoint declares: the right that a caller needs, and how dispatch.py treats its requests."""

from collections.abc import Callable
from dataclasses import dataclass

from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest
from ninja.security import HttpBearer
from ninja.security.apikey import APIKeyCookie

from access.callers import SCOPES, Caller

NEVER = "never"  # not the name of a right


@dataclass(frozen=True, slots=True)
class Needs:
    """What an endpoint needs.

    scope: the right. outside: it waits for another system, so no transaction is held around it. outside_with: it does
    so where its JSON has this field. streams: it reads its body itself, in pieces, whatever the content type. form: it
    accepts multipart/form-data with files too. owners: owners of any team are admitted; the endpoint checks the team.
    signed: there is no caller; the endpoint verifies a signature or token of its own. bound: the right that a token for
    named services needs beside `scope`; NEVER: such a token is refused.
    """

    scope: str
    outside: bool = False
    outside_with: str = ""
    streams: bool = False
    form: bool = False
    owners: bool = False
    signed: bool = False
    bound: str = ""

    def admits(self, caller: Caller) -> bool:
        """Return whether the caller is admitted. The endpoint checks the right for the object itself."""
        if caller.services and self.bound and not caller.may_anywhere(self.bound):
            return False
        return caller.may_anywhere(self.scope) if self.owners else caller.may_enter(self.scope)


def needs(
    scope: str,
    *,
    outside: bool = False,
    outside_with: str = "",
    streams: bool = False,
    form: bool = False,
    owners: bool = False,
    signed: bool = False,
    bound: str = "",
) -> Callable[[Callable], Callable]:
    """Declare the scope that the caller of an endpoint needs. Every endpoint must; a test lists them."""
    if scope not in SCOPES:
        raise ImproperlyConfigured(f"{scope} is not a scope")

    def mark(view: Callable) -> Callable:
        view.needs = Needs(scope, outside, outside_with, streams, form, owners, signed, bound)  # type: ignore[attr-defined]
        return view

    return mark


def needs_of(view: Callable) -> Needs:
    declared: Needs | None = getattr(view, "needs", None)
    if declared is None:
        raise ImproperlyConfigured(f"{view.__module__}.{view.__name__} does not declare the scope that it needs")
    return declared


def caller(request: HttpRequest) -> Caller:
    """Return the caller. dispatch.py sets it before any endpoint runs."""
    known: Caller = request.caller  # type: ignore[attr-defined]
    return known


class BearerToken(HttpBearer):
    """Describes the token in OpenAPI; dispatch.py has authenticated the caller already."""

    def __call__(self, request: HttpRequest) -> Caller:
        return caller(request)

    def authenticate(self, request: HttpRequest, token: str) -> Caller:
        return caller(request)


class Session(APIKeyCookie):
    """Describes the browser session in OpenAPI."""

    param_name = "sessionid"

    def __call__(self, request: HttpRequest) -> Caller:
        return caller(request)

    def authenticate(self, request: HttpRequest, key: str | None) -> Caller:
        return caller(request)


AUTH = [BearerToken(), Session()]
