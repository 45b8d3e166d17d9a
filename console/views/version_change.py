"""The dialog for upgrade and revert: target version, hosts, strategy; the plan that the server computed; one button."""

import uuid
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from access.callers import Caller
from access.problems import Problem, not_found, refused
from microservice.deployments import actions
from microservice.deployments.plan import Plan
from microservice.deployments.version_change import VERSION_ACTIONS
from microservice.models import MicroServiceVersion
from microservice.status import Action

from ..forms.filters import HostSearch, VersionSearch
from ..forms.targets import TargetFields
from ..forms.version_change import VersionChangeForm
from ..once import once
from ..queries import dialog, services
from . import dialog_plans
from .decorators import page, query, redirect_to


@page("deploy", ("GET", "POST"))
def change(request: HttpRequest, caller: Caller, name: str, number: int, action: str) -> HttpResponse:
    """Show the dialog, and request the change. `number` is the id of the version that runs now."""
    service = services.service(caller, name)
    version = services.version(service, number)
    if action not in VERSION_ACTIONS:
        raise not_found("action")
    form = _form(request, version, Action(action))
    destinations = dialog.Destinations(version, Action(action), form["allow_bad"].value(), form.place)
    problem = None
    if request.method == "POST" and form.is_valid():
        try:
            return redirect_to("deployment", _start(request, caller, form, version, Action(action)))
        except Problem as refusal:
            problem = refusal
    elif request.GET.get("part") == dialog_plans.PART:
        return dialog_plans.next_rows(request, form, lambda: _plan(caller, form, version, Action(action)))
    elif request.GET.get("part"):
        return _part(request, destinations, form)
    context = _dialog(request, caller, destinations, form)
    context["problem"] = problem
    status = problem.status if problem else 422 if request.method == "POST" else 200
    return render(request, "change/page.html", context, status=status)


def _form(request: HttpRequest, version: MicroServiceVersion, action: Action) -> VersionChangeForm:
    """Return the choices so far; with no version chosen yet, the nearest sensible one is."""
    data = (request.POST if request.method == "POST" else request.GET).copy()
    places = dialog.places(version)
    form = VersionChangeForm(data, version, places=places)
    if not data.get("dest_version") and not request.GET.get("part"):
        data["dest_version"] = str(dialog.best_destination(version, action, form.place) or "")
        form = VersionChangeForm(data, version, places=places)
    return form


def _start(
    request: HttpRequest, caller: Caller, form: VersionChangeForm, version: MicroServiceVersion, action: Action
) -> int:
    requested = f"{version.pk} {action} {form.cleaned_data}"
    change = form.change(version, action)
    return once(caller, request.POST.get("key", ""), requested, lambda: actions.change_version(caller, change))


def _dialog(
    request: HttpRequest, caller: Caller, destinations: dialog.Destinations, form: VersionChangeForm
) -> dict[str, Any]:
    """Return everything that the dialog shows."""
    version, action = destinations.version, destinations.action
    offer = dialog.offer(destinations, form["dest_version"].value(), query(request, "find")["find"])
    hosts, more_hosts = dialog.hosts(version, picked(request, form))
    context = {
        **_subject(request, destinations, form),
        "key": str(uuid.uuid4()),
        "offer": offer,
        "hosts": hosts,
        "more_hosts": more_hosts,
    }
    try:
        if not form["dest_version"].value() and not offer.total:
            raise refused(f"no_target.{action}", version=version.version)
        if form.is_valid():
            plan = dialog_plans.shown(request, form, _plan(caller, form, version, action))
            context |= {"plan": plan, "confirm": _confirm(plan, action)}
            context["confirmation"] = form.confirmation(plan["token"])
    except Problem as refusal:
        context["no_plan"] = refusal
        form.add_problem(refusal)
    return context


def picked(request: HttpRequest, form: TargetFields) -> dialog.Picked:
    """Return what the list of hosts shows: those that are ticked, and a page of those that were searched for."""
    words = query(request, "find_host", "after")
    return dialog.Picked(form.chosen_hosts(), words["find_host"], words["after"], form.place if form.places else None)


def _subject(request: HttpRequest, destinations: dialog.Destinations, form: VersionChangeForm) -> dict[str, Any]:
    version, find = destinations.version, query(request, "find")["find"]
    return {
        "service": version.microservice,
        "version": version,
        "action": str(destinations.action),
        "verb": _("Upgrade") if destinations.action == Action.UPGRADE else _("Revert"),
        "leaves": version.version,
        "address": reverse("console:change", args=[version.microservice.name, version.pk, str(destinations.action)]),
        "form": form,
        "find": find,
        "search": VersionSearch({"find": find}),
        "host_search": HostSearch(query(request, "find_host")),
    }


def _part(request: HttpRequest, destinations: dialog.Destinations, form: VersionChangeForm) -> HttpResponse:
    """Render one list that the page's script requests: versions that were searched for, or the next rows of a list."""
    words = query(request, "part", "find", "after")
    context = _subject(request, destinations, form)
    if words["part"] == "versions":
        context["offer"] = dialog.offer(destinations, form["dest_version"].value(), words["find"], words["after"])
        return render(request, "change/version_picks.html", context)
    # Ticked hosts stand in the first part of the list.
    context["hosts"], context["more_hosts"] = dialog.hosts(destinations.version, picked(request, form))
    return render(request, "change/host_picks.html", context)


def _confirm(plan: dict[str, Any], action: Action) -> str:
    """Return the text of the button: both versions and how many hosts."""
    n = plan["count"]
    if action == Action.UPGRADE:
        text = ngettext("Upgrade %(n)s host from %(old)s to %(new)s", "Upgrade %(n)s hosts from %(old)s to %(new)s", n)
    else:
        text = ngettext("Revert %(n)s host from %(old)s to %(new)s", "Revert %(n)s hosts from %(old)s to %(new)s", n)
    return text % {"n": n, "old": plan["from_version"].version, "new": plan["dest_version"].version}


def _plan(caller: Caller, form: VersionChangeForm, version: MicroServiceVersion, action: Action) -> Plan:
    return actions.preview(caller, form.change(version, action))
