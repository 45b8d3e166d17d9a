"""Who may see a page, and how a refusal is shown. Every view but signing in goes through `page`."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from urllib.parse import urlencode

from django import forms
from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.shortcuts import render
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext
from django.views.decorators.cache import never_cache

from access.authentication import caller_of
from access.callers import PERSONAL, SCOPES, Caller
from access.problems import Problem, forbidden, invalid
from access.session_cache import watching
from microservice.event_stream import newest

from ..forms.fields import with_unix_lines
from ..forms.services import add_problem
from . import fragment_cache

View = Callable[..., HttpResponse]

# The navigation entry of each view module; a view that stands elsewhere says so with `section=`.
NAV_SECTIONS = {
    "account": "account",
    "builds": "fleet",
    "callbacks": "settings",
    "deployments": "deployments",
    "fleet": "fleet",
    "history": "history",
    "hosts": "hosts",
    "install": "fleet",
    "log": "deployments",
    "people": "settings",
    "secrets": "fleet",
    "services": "fleet",
    "settings": "settings",
    "teams": "settings",
    "version_change": "fleet",
    "workers": "settings",
}


@dataclass(frozen=True, slots=True)
class PageNeeds:
    """What a page needs: the right `look` to be shown ("": to be signed in), and `send` for what is sent to it.

    `owners`: an owner of any team may send too; the view asks: of this one?
    """

    look: str
    send: str
    methods: tuple[str, ...]
    owners: bool

    def admits(self, caller: Caller, sends: bool) -> bool:
        scope = self.send if sends else self.look
        if not scope:
            return True
        return caller.might(scope) if self.owners else caller.enters(scope)


def page(
    scope: str = "read",
    methods: tuple[str, ...] = ("GET",),
    live: bool = False,
    *,
    look: str = "read",
    owners: bool = False,
    section: str = "",
) -> Callable[[View], View]:
    """Wraps `view(request, caller, …)`: signed in, with the right `scope` to send anything, and `look` to be shown it.

    A `Problem` that the view lets through becomes the problem page with its own HTTP status. `live`: what the page's
    script fetches is the same for all who may see and do the same: see fragment_cache.py.
    """
    needs = PageNeeds(look, scope, methods, owners)

    def decorate(view: View) -> View:
        nav_section = section or NAV_SECTIONS[view.__module__.rpartition(".")[2]]

        @wraps(view)
        @never_cache
        def guarded(request: HttpRequest, *args, **kwargs) -> HttpResponse:
            request.nav_section = nav_section  # type: ignore[attr-defined]
            try:
                if request.method not in (*methods, "HEAD"):
                    raise Problem(405, "method_not_allowed", "This address does not take that kind of request.")
                shared = live and request.method == "GET" and "HX-Request" in request.headers
                caller = (watching.caller_of if shared else caller_of)(request)
                if caller is None or not caller.is_person:
                    return _to_sign_in(request)
                sends = request.method not in ("GET", "HEAD")
                if not needs.admits(caller, sends):
                    raise not_admitted(caller, needs.send if sends else needs.look)
                if sends:
                    request.POST = with_unix_lines(request.POST)  # type: ignore[assignment]
                if shared:
                    return fragment_cache.answer(request, caller, lambda any_, who: view(any_, who, *args, **kwargs))
                if live:
                    request.last_event = newest()  # type: ignore[attr-defined]  # before the rows are read
                return view(request, caller, *args, **kwargs)
            except Problem as problem:
                return refused(request, problem)

        guarded.needs = needs  # type: ignore[attr-defined]  # the table of rights is made of it
        return guarded

    return decorate


def not_admitted(caller: Caller, scope: str) -> Problem:
    if not any(caller.might(one) for one in SCOPES if one not in PERSONAL):
        return forbidden("You have no role in any team.", "Ask the owner of a team, or an administrator, for one.")
    return forbidden(f"You need the right “{scope}” for this.", "Ask an administrator for it.")


def _to_sign_in(request: HttpRequest) -> HttpResponse:
    """To the sign-in page and back. A script that fetches a fragment is told so instead of being given a form."""
    target = request.get_full_path() if request.method == "GET" else "/"
    where = f"{settings.LOGIN_URL}?{urlencode({'next': target})}"
    if request.headers.get("HX-Request"):
        return HttpResponse(status=401, headers={"HX-Redirect": where})
    return HttpResponseRedirect(where)


def refused(request: HttpRequest, problem: Problem) -> HttpResponse:
    response = render(request, "problem.html", {"problem": problem}, status=problem.status)
    response.reason_code = problem.code  # type: ignore[attr-defined]  # for the log: access/security_log.py
    return response


def flash(request: HttpRequest, text: str) -> None:
    messages.success(request, text)


def flash_problem(request: HttpRequest, problem: Problem) -> None:
    """Shows a refusal on the next page, where the form that was refused has nothing typed in it to lose."""
    text = f"{problem.detail} {problem.hint}".strip()
    if problem.page:
        text = format_html('{} <a href="{}">{}</a>', text, problem.page, gettext("Set it up"))
    messages.error(request, text)


@contextmanager
def errors_on(form: forms.Form) -> Iterator[None]:
    """What the rules refuse inside stands at the form's fields afterwards; the page is then shown again with it."""
    try:
        yield
    except Problem as problem:
        add_problem(form, problem)


def redirect_to(name: str, *args) -> HttpResponseRedirect:
    return HttpResponseRedirect(reverse(f"console:{name}", args=args))


def render_list(request: HttpRequest, whole: str, rows: str, context: dict, live: str = "") -> HttpResponse:
    """A list's page; or, where the page's script asks for what comes after a row, only the rows that follow, and where
    it asks for what changes, only that (`live`)."""
    part = live if live and request.headers.get("HX-Request") else whole
    return render(request, rows if wants_next_rows(request) else part, context)


def wants_next_rows(request: HttpRequest) -> bool:
    """Whether the page's script asks for the rows after the last one shown; not where it asks for all of them anew."""
    return bool(request.headers.get("HX-Request") and request.GET.get("after") and "rows" not in request.GET)


def page_size(request: HttpRequest, usual: int, most: int) -> int:
    """How many rows to give: a page of them, or as many as a page that asks again has come to show by now."""
    text = request.GET.get("rows", "")
    return min(most, max(usual, int(text))) if text.isascii() and text.isdigit() and len(text) < 7 else usual


def post_data(request: HttpRequest) -> QueryDict | None:
    """What a form is bound to: everything that was posted, also where that is nothing at all; None for a first view."""
    return request.POST if request.method == "POST" else None


def query(request: HttpRequest, *names: str) -> dict[str, str]:
    """The named parts of the query as text without NUL (which PostgreSQL would refuse), "" where they are missing."""
    return {name: request.GET.get(name, "").replace("\0", "").strip()[:200] for name in names}


def ids(request: HttpRequest, name: str) -> list[int]:
    """Every value of a repeated field that is a row's id; anything else is a 422."""
    values = request.POST.getlist(name) or request.GET.getlist(name)
    if any(not (value.isascii() and value.isdigit() and len(value) < 19) for value in values):
        raise invalid(f"/{name}", "must be ids")
    return list(dict.fromkeys(int(value) for value in values))
