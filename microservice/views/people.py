"""The people who may sign in: made, changed, shut out, given another password, deleted."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _

from access import people as rules
from access.callers import Caller
from access.problems import Problem
from microservice.history import record
from microservice.people_forms import PersonForm
from microservice.queries import people as found

from .guard import blaming, complain, go, page, say, sent, show, wanted


@page("admin", ("GET", "POST"), look="admin")
def people(request: HttpRequest, caller: Caller) -> HttpResponse:
    """Everybody, and a form for another."""
    form = PersonForm(sent(request))
    if request.method == "POST" and form.is_valid():
        values = form.values()
        with blaming(form):
            user = rules.create_user(caller, values)
            record(caller, "create", "user", user, after=_told(values))
            say(request, _("{name} was added.").format(name=user.get_username()))
            return go("person", user.pk)
    asked = wanted(request, "q", "after")
    context = {**asked, "page": found.persons(**asked), "form": form, "tab": "people"}
    if form.errors:
        return render(request, "people/list.html", context, status=422)
    return show(request, "people/list.html", "people/rows.html", context)


@page("admin", ("GET", "POST"), look="admin")
def person(request: HttpRequest, caller: Caller, number: int) -> HttpResponse:
    user = found.person(number)
    before = {"username": user.username, "email": user.email, "first_name": user.first_name,
              "last_name": user.last_name, "admin": user.is_superuser, "active": user.is_active}
    form = PersonForm(sent(request), initial=before, saved=True)
    if request.method == "POST" and form.is_valid():
        values = {name: value for name, value in form.values().items() if before.get(name) != value}
        with blaming(form):
            rules.change_user(caller, user, values)
            record(caller, "change", "user", user, after=_told(values),
                   before={name: before[name] for name in values if name in before})
            say(request, _("{name} was saved.").format(name=user.get_username()))
            return go("person", number)
        user = found.person(number)
    context = {"person": user, "form": form, "tab": "people", "own": user.pk == caller.user_id}
    return render(request, "people/person.html", context, status=422 if form.errors else 200)


@page("admin", ("POST",))
def person_delete(request: HttpRequest, caller: Caller, number: int) -> HttpResponse:
    user = found.person(number)
    try:
        name, pk = user.get_username(), user.pk
        rules.delete_user(caller, user)
        record(caller, "delete", "user", None, subject_name=name, before={"id": pk})
    except Problem as problem:
        complain(request, problem)
        return go("person", number)
    text = _("{name} was deleted, with the tokens and memberships. The history keeps the name.")
    say(request, text.format(name=name))
    return go("people")


def _told(values: dict) -> dict:
    """What the history keeps: that a password was given, and never which."""
    return {name: "changed" if name == "password" else value for name, value in values.items()}
