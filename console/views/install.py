"""The dialog for installing a version on hosts that do not have the service yet."""

import uuid
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext

from access.callers import Caller
from access.problems import Problem
from microservice.deployments import actions
from microservice.deployments.plan import Plan
from microservice.models import MicroServiceVersion

from ..forms.filters import HostSearch
from ..forms.version_change import InstallForm
from ..once import once
from ..queries import dialog, services
from . import dialog_plans
from .decorators import page, query, redirect_to


@page("deploy", ("GET", "POST"))
def install(request: HttpRequest, caller: Caller, name: str, number: int) -> HttpResponse:
    """Show the dialog, and install the version with this id."""
    service = services.service(caller, name)
    version = services.version(service, number)
    sent = request.method == "POST"
    form = InstallForm(request.POST if sent else request.GET, places=dialog.places_to_install(caller))
    find = query(request, "find_host")["find_host"]
    problem = None
    if sent and not form.names_hosts:
        form.add_error("host", gettext("Select at least one host."))
    if sent and form.is_valid():
        try:
            return redirect_to("deployment", _start(request, caller, form, version))
        except Problem as refusal:
            problem = refusal
    hosts, more = services.hosts_without(
        caller, service, form.chosen_hosts(), find, form.place if form.places else None
    )
    context = {"service": service, "version": version, "form": form, "find": find, "hosts": hosts, "more": more}
    context["address"] = reverse("console:install", args=[service.name, version.pk])
    context |= {"host_search": HostSearch({"find_host": find}), "may_add_hosts": caller.may("admin")}
    if request.GET.get("part") == "hosts":
        return render(request, "change/install_hosts.html", context)
    preview = lambda: actions.preview_install(caller, form.installation(version))
    if request.GET.get("part") == dialog_plans.PART:
        return dialog_plans.next_rows(request, form, preview)
    context |= {"key": str(uuid.uuid4()), "problem": problem, **_plan(request, form, preview)}
    status = problem.status if problem else 422 if sent else 200
    return render(request, "change/install.html", context, status=status)


def _start(request: HttpRequest, caller: Caller, form: InstallForm, version: MicroServiceVersion) -> int:
    requested = f"{version.pk} install {form.cleaned_data}"
    installation = form.installation(version)
    return once(caller, request.POST.get("key", ""), requested, lambda: actions.install(caller, installation))


def _plan(request: HttpRequest, form: InstallForm, preview: Callable[[], Plan]) -> dict:
    """Return the server's plan for the chosen hosts, or why there is none; neither while no host is chosen."""
    if not form.is_valid() or not form.names_hosts:
        return {}
    try:
        plan = dialog_plans.shown(request, form, preview())
    except Problem as refusal:
        form.add_problem(refusal)
        return {"no_plan": refusal}
    return {"plan": plan, "confirmation": form.confirmation(plan["token"])}
