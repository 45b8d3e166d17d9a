"""User accounts: add, change, deactivate, delete, reset the password."""

from functools import partial
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _

from access import accounts
from access.callers import Caller
from access.service_accounts import is_service
from audit.history import record

from .. import csv_lists, tables
from ..forms.filters import PersonFilters
from ..forms.people import PersonForm
from ..forms.services import TokenForm
from ..queries import people
from . import reauthentication, sessions
from .account import make_token
from .decorators import errors_on, flash, page, post_data, query, redirect_to, render_list
from .making import added, form_alone, in_dialog, proposed


@page("admin", ("GET", "POST"), look="admin")
def person_list(request: HttpRequest, caller: Caller) -> HttpResponse:
    """List all users. POST: add one."""
    form = PersonForm(post_data(request), initial=proposed(request, "username"))
    reauthentication.ask(caller, form)
    if request.method == "POST" and form.is_valid():
        with errors_on(form):
            caller = reauthentication.proven(request, caller, form)
            values = form.values()
            user = accounts.create_user(caller, values)
            record(caller, "create", "user", user, after=_as_recorded(values))
            says = _("{name} was added.").format(name=user.get_username())
            return added(request, user, user.get_username(), says, "person", user.pk)
    if in_dialog(request):
        return form_alone(request, form, _("Add a user"), _("Add user"))
    params = query(request, "q", "after")
    pages = partial(people.persons, params["q"])
    if file := csv_lists.file(request, tables.PEOPLE, pages, caller):
        return file
    context = {
        **params,
        "page": pages(params["after"]),
        "filters": PersonFilters(params),
        "form": form,
        "tab": "people",
    }
    if form.errors:
        return render(request, "people/list.html", context, status=422)
    return render_list(request, "people/list.html", "people/rows.html", context)


@page("admin", ("GET", "POST"), look="admin")
def person_detail(request: HttpRequest, caller: Caller, number: int) -> HttpResponse:
    user = people.person(number)
    if part := sessions.part(request, caller, user.pk, user.get_username()):
        return part
    before = _initial(user)
    form = PersonForm(post_data(request), initial=before, saved=True)
    reauthentication.ask(caller, form)
    if request.method == "POST" and form.is_valid():
        with errors_on(form):
            caller = reauthentication.proven(request, caller, form)
            values = {name: value for name, value in form.values().items() if before.get(name) != value}
            if values:
                accounts.change_user(caller, user, values)
                record(
                    caller,
                    "change",
                    "user",
                    user,
                    after=_as_recorded(values),
                    before={name: before[name] for name in values if name in before},
                )
            flash(request, _("{name} was saved.").format(name=user.get_username()))
            return redirect_to("person", number)
        user = people.person(number)
    return _person_page(request, caller, user, form)


def _person_page(request: HttpRequest, caller: Caller, user: User, form: PersonForm, **more: Any) -> HttpResponse:
    service = is_service(user)
    context = {
        "person": user,
        "form": form,
        "tab": "people",
        "own": user.pk == caller.user_id,
        "service": service,
        **sessions.context(request, user.pk),
        "address": settings.PUBLIC_URL,
        **more,
    }
    if service and "token_form" not in context:
        context["token_form"] = TokenForm(prefix="token", caller=caller)
        reauthentication.ask(caller, context["token_form"])
    errors = form.errors or ("token_form" in context and context["token_form"].errors)
    return render(request, "people/person.html", context, status=422 if errors else 200)


@page("admin", ("POST",))
def person_token(request: HttpRequest, caller: Caller, number: int) -> HttpResponse:
    """Create a token for a service account; it is shown in this response only."""
    user = people.person(number)
    form, token, secret = make_token(request, caller, user.pk, "token")
    person_form = PersonForm(initial=_initial(user), saved=True)
    return _person_page(request, caller, people.person(number), person_form, token_form=form, made=token, secret=secret)


def _initial(user: User) -> dict[str, Any]:
    return {
        "username": user.username,
        "email": user.email,
        "first_name": user.first_name,
        "last_name": user.last_name,
        "admin": user.is_superuser,
        "active": user.is_active,
    }


@page("admin", ("POST",), back=("person", "number"))
def person_delete(request: HttpRequest, caller: Caller, number: int) -> HttpResponse:
    user = people.person(number)
    name, pk = user.get_username(), user.pk
    accounts.delete_user(caller, user)
    record(caller, "delete", "user", None, subject_name=name, before={"id": pk})
    text = _("{name} was deleted with its tokens and memberships. The history keeps the name.")
    flash(request, text.format(name=name))
    return redirect_to("people")


def _as_recorded(values: dict[str, Any]) -> dict[str, Any]:
    """Return what the history keeps: that the password changed, never the password."""
    return {name: "changed" if name == "password" else value for name, value in values.items()}
