"""The own account, tokens and the history."""

from datetime import timedelta

from django.conf import settings
from django.contrib.auth import update_session_auth_hash
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext as _

from access import people
from access.callers import SCOPES, Caller
from access.models import Token
from access.problems import Problem, invalid
from microservice import issuing
from microservice.forms import TokenForm
from microservice.history import record
from microservice.people_forms import PasswordForm
from microservice.queries import hosts as found

from .guard import blaming, go, page, say, sent


@page("", ("GET", "POST"), look="")
def tokens(request: HttpRequest, caller: Caller) -> HttpResponse:
    """The caller's tokens and a form for another, which is shown once: in the answer to this very POST."""
    form = TokenForm(sent(request))
    made, secret = None, ""
    if request.method == "POST" and form.is_valid():
        with blaming(form):
            made, secret = _make(caller, form.cleaned_data)
            form = TokenForm()
    context = {
        "form": form,
        "tokens": found.tokens(caller),
        "made": made,
        "secret": secret,
        "address": settings.PUBLIC_URL,
        "own": [scope for scope in SCOPES if caller.might(scope)],
        "tab": "tokens",
    }
    return render(request, "settings/tokens.html", context, status=422 if form.errors else 200)


def _make(caller: Caller, asked: dict) -> tuple[Token, str]:
    expires = timezone.now() + timedelta(days=asked["days"]) if asked["days"] else None
    try:
        return issuing.issue(caller, asked["name"], asked["scopes"], asked["services"].split(), expires)
    except Problem as problem:
        if problem.code == "not_found":
            raise invalid("/services", "names a service that you cannot see") from problem
        raise


@page("", ("GET", "POST"), look="")
def account(request: HttpRequest, caller: Caller) -> HttpResponse:
    """Who somebody is here, and another password for them."""
    form = PasswordForm(sent(request))
    person = people.find_user(caller.user_id or 0)
    if request.method == "POST" and form.is_valid():
        with blaming(form):
            people.change_own_password(caller, person, form.cleaned_data["old"], form.cleaned_data["password"])
            record(caller, "change", "user", person, after={"password": "changed"})
            update_session_auth_hash(request, person)  # this session goes on, every other one ends
            say(request, _("Your password was changed. You are signed out everywhere else."))
            return go("account")
    rights = [scope for scope in SCOPES if caller.might(scope)]
    context = {"person": person, "form": form, "rights": rights, "tab": "account"}
    return render(request, "people/account.html", context, status=422 if form.errors else 200)


@page("", ("POST",), look="")
def revoke(request: HttpRequest, caller: Caller, number: int) -> HttpResponse:
    token = issuing.revoke(caller, number)
    say(request, _("%(name)s was taken back. It is refused from now on.") % {"name": token.name})
    return go("tokens")
