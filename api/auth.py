"""What an endpoint says about itself: the right a caller needs, and how the gate has to treat it."""

from collections.abc import Callable
from dataclasses import dataclass

from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest
from ninja.security import HttpBearer
from ninja.security.apikey import APIKeyCookie

from access.callers import SCOPES, Caller

NEVER = "never"  # no right is called that


@dataclass(frozen=True, slots=True)
class Needs:
    """`scope`: the right. `outside`: waits for something outside, so no transaction is held around it.
    `streams`: reads its body itself, piece by piece, whatever its content type. `form`: takes multipart/form-data
    too, with files beside the fields. `owners`: an owner of any team comes in too; the endpoint asks: of this one?
    `signed`: no caller, but a signature or a token of its own that the endpoint verifies.
    `bound`: the right that a token for named services needs here beside `scope`; NEVER: such a token is refused."""

    scope: str
    outside: bool = False
    streams: bool = False
    form: bool = False
    owners: bool = False
    signed: bool = False
    bound: str = ""

    def admits(self, caller: Caller) -> bool:
        """Whether the caller comes in; of which object the right is needed, the endpoint asks."""
        if caller.services and self.bound and not caller.may_anywhere(self.bound):
            return False
        return caller.may_anywhere(self.scope) if self.owners else caller.may_enter(self.scope)


def needs(
    scope: str,
    *,
    outside: bool = False,
    streams: bool = False,
    form: bool = False,
    owners: bool = False,
    signed: bool = False,
    bound: str = "",
) -> Callable[[Callable], Callable]:
    """Says of an endpoint which scope its caller must have. Every endpoint has to say it; a test lists them."""
    if scope not in SCOPES:
        raise ImproperlyConfigured(f"{scope} is no scope")

    def mark(view: Callable) -> Callable:
        view.needs = Needs(scope, outside, streams, form, owners, signed, bound)  # type: ignore[attr-defined]
        return view

    return mark


def needs_of(view: Callable) -> Needs:
    found: Needs | None = getattr(view, "needs", None)
    if found is None:
        raise ImproperlyConfigured(f"{view.__module__}.{view.__name__} does not say which scope it needs")
    return found


def caller(request: HttpRequest) -> Caller:
    """Who is asking. The gate has put it there before any endpoint runs."""
    known: Caller = request.caller  # type: ignore[attr-defined]
    return known


class BearerToken(HttpBearer):
    """Names the token in the API's description; the gate has recognised the caller already."""

    def __call__(self, request: HttpRequest) -> Caller:
        return caller(request)

    def authenticate(self, request: HttpRequest, token: str) -> Caller:
        return caller(request)


class Session(APIKeyCookie):
    """Names the browser session in the API's description."""

    param_name = "sessionid"

    def __call__(self, request: HttpRequest) -> Caller:
        return caller(request)

    def authenticate(self, request: HttpRequest, key: str | None) -> Caller:
        return caller(request)


AUTH = [BearerToken(), Session()]
