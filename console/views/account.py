"""The user's own account: password, sessions and tokens."""

from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.conf import settings
from django.contrib.auth import update_session_auth_hash
from django.contrib.auth.models import User
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext as _

import access.reauthentication
from access import accounts, security_log, sessions
from access.callers import SCOPES, Caller
from access.models import Token
from access.problems import Problem, invalid, not_found
from access.revocation import end_access, require_may_end
from access.sessions import session_of
from audit.history import record
from microservice import tokens

from .. import csv_lists, saved_filters, tables
from ..forms.confirmations import EndAccessForm
from ..forms.people import PasswordForm
from ..forms.services import TokenForm
from ..queries import hosts
from ..queries.paging import Page
from . import reauthentication
from . import sessions as of_person
from .decorators import errors_on, flash, page, post_data, query, redirect_to, render_list
from .making import form_alone, in_dialog, proposed


@page("", ("GET", "POST"), look="", section="settings")
def token_list(request: HttpRequest, caller: Caller) -> HttpResponse:
    """List the caller's tokens. POST: create one; its text is shown only in the response."""
    if file := csv_lists.file(request, tables.TOKENS, partial(hosts.tokens, caller), caller):
        return file
    form, token, secret = make_token(request, caller)
    if in_dialog(request):
        if token is None:
            return form_alone(request, form, _("New token"), _("Create token"))
        made = {"made": token, "secret": secret, "address": settings.PUBLIC_URL}
        return render(request, "making/token.html", made, status=201)
    context = {
        "form": form,
        "page": hosts.tokens(caller, query(request, "after")["after"]),
        "made": token,
        "secret": secret,
        "address": settings.PUBLIC_URL,
        "own": [scope for scope in SCOPES if caller.may_anywhere(scope)],
        "days": settings.TOKEN_LIFETIME_DAYS,
        "tab": "tokens",
    }
    if form.errors:
        return render(request, "settings/tokens.html", context, status=422)
    return render_list(request, "settings/tokens.html", "settings/token_rows.html", context)


def make_token(
    request: HttpRequest, caller: Caller, user: int | None = None, prefix: str | None = None
) -> tuple[TokenForm, Token | None, str]:
    """Return the token form, and the token and its text if one was created. `user`: a service account."""
    form = TokenForm(post_data(request), prefix=prefix, caller=caller, initial=_proposed(request))
    reauthentication.ask(caller, form)
    if request.method == "POST" and form.is_valid():
        with errors_on(form):
            token, secret = _issue(reauthentication.proven(request, caller, form), form.cleaned_data, user)
            return TokenForm(prefix=prefix, caller=caller), token, secret
    return form, None, ""


def _proposed(request: HttpRequest) -> dict[str, Any]:
    """Return what a link to the form proposes: name, services and rights, to be looked at before it is sent."""
    given = {name: [one for one in request.GET.getlist(name)[:20] if one] for name in ("services", "scopes")}
    return proposed(request) | given


def _issue(caller: Caller, values: dict[str, Any], user: int | None) -> tuple[Token, str]:
    end: datetime | tokens.End | None = None if values["endless"] else tokens.End.USUAL
    if values["days"]:
        end = timezone.now() + timedelta(days=values["days"])
    try:
        return tokens.issue(caller, values["name"], values["scopes"], values["services"], end, user)
    except Problem as problem:
        if problem.code == "not_found":
            raise invalid("/services", "not_visible_service") from problem
        raise


@page("", ("GET", "POST"), look="")
def account(request: HttpRequest, caller: Caller) -> HttpResponse:
    """Show the user's scopes and sessions. POST: change the password."""
    form = PasswordForm(post_data(request))
    person = accounts.find_user(caller.user_id or 0)
    saved = saved_filters.of(person.pk)
    if file := csv_lists.file(request, tables.SAVED_FILTERS, lambda **_: Page(saved), caller):
        return file
    if part := of_person.part(request, caller, person.pk, person.get_username()):
        return part
    if request.method == "POST" and form.is_valid():
        with errors_on(form):
            _change_password(request, caller, person, form.cleaned_data)
            return redirect_to("account")
    rights = [scope for scope in SCOPES if caller.may_anywhere(scope)]
    context = {
        "person": person,
        "form": form,
        "rights": rights,
        "tab": "account",
        "own": True,
        "saved": saved,
        **of_person.context(request, person.pk),
    }
    return render(request, "people/account.html", context, status=422 if form.errors else 200)


def _change_password(request: HttpRequest, caller: Caller, person: User, values: dict[str, Any]) -> None:
    access.reauthentication.prove_password(caller, person, values["old"], "/old")
    here = session_of(request).digest
    with transaction.atomic():
        accounts.change_own_password(caller, person, values["password"], keep=here, with_tokens=values["tokens"])
        record(caller, "change", "user", person, after={"password": "changed"})
    update_session_auth_hash(request, person)  # keeps this session; all others end
    session_of(request).confirm_password()
    flash(request, _("Your password was changed. You are signed out everywhere else."))


@page("", ("POST",), look="", back=("account",))
def session_end(request: HttpRequest, caller: Caller, person: int, number: int) -> HttpResponse:
    """End one session: the caller's own, or anyone's for an administrator."""
    require_may_end(caller, person)
    user = accounts.find_user(person)
    with transaction.atomic():
        if not sessions.end(person, number):
            raise not_found("session")
        record(caller, "end_sessions", "user", user, after={"sessions": 1})
    security_log.log_event("session ended", caller, subject=user.get_username(), session=number)
    flash(request, _("The session has ended."))
    return _redirect_back(caller, person)


@page("", ("POST",), look="", back=("account",))
def access_end(request: HttpRequest, caller: Caller, person: int) -> HttpResponse:
    """End all sessions but this one and, if asked for, all tokens."""
    require_may_end(caller, person)
    here = session_of(request).digest
    with_tokens = EndAccessForm(request.POST).posted("tokens")
    ended = end_access(caller, accounts.find_user(person), "asked for", keep=here, with_tokens=with_tokens)
    text = _("{sessions} sessions and {tokens} tokens have ended.")
    flash(request, text.format(sessions=ended.sessions, tokens=len(ended.tokens)))
    return _redirect_back(caller, person)


def _redirect_back(caller: Caller, person: int) -> HttpResponse:
    return redirect_to("account") if person == caller.user_id else redirect_to("person", person)


@page("", ("POST",), look="", section="settings", back=("tokens",))
def revoke(request: HttpRequest, caller: Caller, number: int) -> HttpResponse:
    token = tokens.revoke(caller, number)
    text = _("%(name)s and all tokens created with it were revoked.")
    flash(request, text % {"name": token.name})
    return redirect_to("tokens")
