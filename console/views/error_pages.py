"""The pages of requests that no view answers: unknown addresses, and what Django itself refuses.

The API answers its own paths (api/errors.py), and `unavailable.failed` what went wrong inside.
"""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse, HttpResponsePermanentRedirect
from django.http.response import HttpResponseBase
from django.urls import Resolver404, resolve
from django.views.csrf import csrf_failure
from django.views.decorators.cache import never_cache

from access.problems import Problem, refused

from ..language import MACHINE_PATHS
from .decorators import render_problem


@never_cache
def missing(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer an address that does not exist; one that lacks only its last slash leads to the page that is meant."""
    if request.method in ("GET", "HEAD") and _exists(f"{request.path_info}/"):
        return HttpResponsePermanentRedirect(request.get_full_path(force_append_slash=True))
    return render_problem(request, refused("not_found.page"))


@never_cache
def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    return render_problem(request, refused("bad_request.page"))


@never_cache
def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    return render_problem(request, refused("forbidden"))


@never_cache
def stale_form(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Answer a form without this session's token: it was opened before signing in, or comes from another site."""
    if request.path_info.startswith("/api/"):
        return csrf_failure(request, reason)
    return render_problem(request, refused("forbidden.stale_form"))


class ErrorPagesMiddleware:
    """Give refusals that have no page one: those of Django's own views, and of middleware that knows no pages."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        problem = _problem_of(response)
        if problem is None or request.path_info.startswith(MACHINE_PATHS) or "HX-Request" in request.headers:
            return response
        return render_problem(request, problem)


def _problem_of(response: HttpResponseBase) -> Problem | None:
    """Return the problem of a refusal without a page."""
    if response.status_code == 405 and not response.streaming and not response.content:  # type: ignore[attr-defined]
        return refused("method_not_allowed.page", headers={"Allow": response.get("Allow", "")})
    if response.status_code == 413 and response.get("Content-Type", "").startswith("text/plain"):
        return refused("too_large.page")
    return None


def _exists(path: str) -> bool:
    try:
        return not path.startswith(MACHINE_PATHS) and bool(resolve(path))
    except Resolver404:
        return False
