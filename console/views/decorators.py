"""Access control and the answers that all views share. Every view but sign-in is wrapped by `page`."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import never_cache

from access.authentication import caller_of
from access.callers import PERSONAL, SCOPES, Caller
from access.problems import Problem, invalid, refused
from access.security_log import REFUSALS
from access.session_cache import cache as session_cache
from microservice.models import MicroService
from microservice.stream_events import newest
from runtime.ids import parse_id, parse_number

from .. import refusals
from ..forms.fields import with_unix_lines, without_nul
from ..forms.filters import MAX_QUERY, FleetFilters
from ..forms.services import add_problem
from . import fragment_cache, making

NOT_FOUND = 404
View = Callable[..., HttpResponse]

# The navigation entry of each view module; a view that stands elsewhere says so with `section=`.
NAV_SECTIONS = {
    "account": "account",
    "builds": "fleet",
    "callbacks": "settings",
    "choices": "fleet",
    "credentials": "hosts",
    "deploy": "fleet",
    "deployments": "deployments",
    "environments": "settings",
    "favourites": "fleet",
    "fleet": "fleet",
    "freezes": "settings",
    "history": "history",
    "host_groups": "hosts",
    "host_environments": "hosts",
    "host_labels": "hosts",
    "hosts": "hosts",
    "install": "fleet",
    "log": "deployments",
    "overview": "fleet",
    "people": "settings",
    "pipelines": "settings",
    "recipes": "fleet",
    "saved_filters": "fleet",
    "secrets": "fleet",
    "services": "fleet",
    "settings": "settings",
    "teams": "settings",
    "trains": "deployments",
    "version_change": "fleet",
    "versions": "fleet",
    "waiting": "waiting",
    "workers": "settings",
}


@dataclass(frozen=True, slots=True)
class PageNeeds:
    """The scopes of a page: `look` to see it ("": any signed-in user), `send` to submit something to it.

    `owners`: an owner of any team may submit too; the view then checks the team at hand.
    """

    look: str
    send: str
    methods: tuple[str, ...]
    owners: bool

    def admits(self, caller: Caller, sends: bool) -> bool:
        scope = self.send if sends else self.look
        if not scope:
            return True
        return caller.may_anywhere(scope) if self.owners else caller.may_enter(scope)


def page(
    scope: str = "read",
    methods: tuple[str, ...] = ("GET",),
    live: bool = False,
    *,
    look: str = "read",
    owners: bool = False,
    section: str = "",
    back: tuple[str, ...] = (),
) -> Callable[[View], View]:
    """Wrap `view(request, caller, …)`: require a sign-in, the scope `look` to see it and `scope` to submit to it.

    A `Problem` that the view raises becomes the problem page with its HTTP status. `live`: the fragments that the
    page's script fetches are shared by all callers with the same permissions; see fragment_cache.py. A fragment that
    says something of its reader has `data-personal` in its head: it is rendered for each of them. `back`: the page
    of the view's buttons, by its name and the names of its arguments: a refusal leads there (see refusals.py).
    """
    needs = PageNeeds(look, scope, methods, owners)

    def decorate(view: View) -> View:
        nav_section = section or NAV_SECTIONS[view.__module__.rpartition(".")[2]]

        @wraps(view)
        @never_cache
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            request.nav_section = nav_section  # type: ignore[attr-defined]
            try:
                if request.method not in (*methods, "HEAD"):
                    raise refused("method_not_allowed.page", headers={"Allow": ", ".join((*methods, "HEAD"))})
                refreshes = live and _is_refresh(request)
                shared = refreshes and "personal" not in request.GET
                caller = (session_cache.caller_of if refreshes else caller_of)(request)
                if caller is None or not caller.is_person:
                    return _redirect_to_sign_in(request)
                sends = request.method not in ("GET", "HEAD")
                if not needs.admits(caller, sends):
                    raise not_admitted(caller, needs.send if sends else needs.look)
                request.page_caller = caller  # type: ignore[attr-defined]
                if any("\0" in str(value) for value in kwargs.values()):
                    raise refused("not_found.page")  # PostgreSQL cannot even be asked for it
                if sends:
                    request.POST = with_unix_lines(request.POST)  # type: ignore[assignment]
                if shared:
                    return fragment_cache.respond(
                        request, caller, lambda anyone, nameless: view(anyone, nameless, *args, **kwargs)
                    )
                if live:
                    request.last_event = newest()  # type: ignore[attr-defined]  # before the rows are read
                return view(request, caller, *args, **kwargs)
            except Problem as problem:
                if back and request.method == "POST" and problem.status not in REFUSALS:
                    return _back_refused(request, problem, back[0], [kwargs[name] for name in back[1:]])
                return render_problem(request, problem)

        guarded.needs = needs  # type: ignore[attr-defined]  # the permission table reads it
        return guarded

    return decorate


def not_admitted(caller: Caller, scope: str) -> Problem:
    """Return the 403 for a page that the caller may not see or submit to."""
    if not any(caller.may_anywhere(right) for right in SCOPES if right not in PERSONAL):
        return refused("forbidden.no_team_role")
    return refused("forbidden.page_scope", scope=scope)


def require_scope(caller: Caller, scope: str, service: MicroService) -> None:
    """Raise Problem 403 unless the caller has the scope for this service."""
    if not caller.may(scope, service.pk):
        raise refused("forbidden.page_service_scope", scope=scope, service=service.name)


def _redirect_to_sign_in(request: HttpRequest) -> HttpResponse:
    """Redirect to the sign-in page and back. A script that fetches a fragment gets 401 and the page's URL instead."""
    target = request.get_full_path() if request.method == "GET" else "/"
    url = f"{settings.LOGIN_URL}?{urlencode({'next': target})}"
    if request.headers.get("HX-Request") or making.in_dialog(request):
        return HttpResponse(status=401, headers={"HX-Redirect": url})
    return HttpResponseRedirect(url)


def render_problem(request: HttpRequest, problem: Problem) -> HttpResponse:
    template = "making/refused.html" if making.in_dialog(request) else "problem.html"
    response = render(request, template, {"problem": problem, "search": FleetFilters({})}, status=problem.status)
    for name, value in problem.headers.items():
        response[name] = value
    response.reason_code = problem.code  # type: ignore[attr-defined]  # for the log: access/security_log.py
    return response


def _back_refused(request: HttpRequest, problem: Problem, name: str, args: list[Any]) -> HttpResponse:
    """Return to the page where the button was. What does not exist has none, unless the browser says where it was."""
    before = refusals.page_before(request)
    if not before and problem.status == NOT_FOUND:
        return render_problem(request, problem)
    refusals.keep(request, problem)
    return HttpResponseRedirect(before or reverse(f"console:{name}", args=args))


def flash(request: HttpRequest, text: str) -> None:
    """Show a success message on the next page."""
    messages.success(request, text)


@contextmanager
def errors_on(form: forms.Form) -> Iterator[None]:
    """Add a Problem raised inside to the form's errors; the view then shows the form again."""
    try:
        yield
    except Problem as problem:
        add_problem(form, problem)


def redirect_to(name: str, *args: Any) -> HttpResponseRedirect:
    return HttpResponseRedirect(reverse(f"console:{name}", args=args))


def render_list(request: HttpRequest, whole: str, rows: str, context: dict[str, Any], live: str = "") -> HttpResponse:
    """Render a list's page. The page's script may ask for the next rows only, or for the part that changes (`live`)."""
    part = live if live and request.headers.get("HX-Request") else whole
    return render(request, rows if wants_next_rows(request) else part, context)


def _is_refresh(request: HttpRequest) -> bool:
    """Return whether a script asks for what the page shows by now. Next rows are asked for by a person."""
    return request.method == "GET" and "HX-Request" in request.headers and not wants_next_rows(request)


def wants_next_rows(request: HttpRequest) -> bool:
    """Return whether the page's script asks for the rows after the last one shown, not for all rows again."""
    return bool(request.headers.get("HX-Request") and request.GET.get("after") and "rows" not in request.GET)


def page_size(request: HttpRequest, default: int, maximum: int) -> int:
    """Return how many rows to show: a page, or as many as the page that is refreshed shows by now."""
    return min(maximum, max(default, parse_number(request.GET.get("rows", "")) or 0))


def post_data(request: HttpRequest) -> QueryDict | None:
    """Return what a form is bound to: the posted fields, even if there are none; None when the form is first shown."""
    return request.POST if request.method == "POST" else None


def query(request: HttpRequest, *names: str) -> dict[str, str]:
    """Return the named query parameters, as `texts` does."""
    return texts(request.GET, *names)


def texts(values: QueryDict, *names: str) -> dict[str, str]:
    """Return the named values, "" where missing, without NUL and surrounding blanks."""
    return {name: without_nul(values.get(name, "")).strip()[:MAX_QUERY] for name in names}


def posted_ids(request: HttpRequest, name: str) -> list[int]:
    """Return the values of a repeated field as row ids. Raise Problem 422 if one is not an id."""
    values = request.POST.getlist(name)
    ids = [number for value in values if (number := parse_id(value)) is not None]
    if len(ids) < len(values):
        raise invalid(f"/{name}", "not_ids")
    return list(dict.fromkeys(ids))
