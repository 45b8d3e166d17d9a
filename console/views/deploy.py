"""The dialog that takes every instance to one version, upgrades and reverts in one deployment."""

import uuid
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _

from access.callers import Caller
from access.problems import Problem
from microservice.deployments import actions
from microservice.models import MicroServiceVersion

from ..forms.version_change import DeployForm
from ..once import once
from ..queries import dialog, services, version_diff
from .decorators import flash, page, query, redirect_to
from .version_change import group_by_steps, irreversible_steps


@page("deploy", ("GET", "POST"))
def deploy(request: HttpRequest, caller: Caller, name: str, number: int) -> HttpResponse:
    """Show the dialog, and request the deployment. `number` is the id of the version to deploy."""
    service = services.service(caller, name)
    version = services.version(service, number)
    form = DeployForm(request.POST if request.method == "POST" else request.GET, version)
    problem = None
    if request.method == "POST" and form.is_valid():
        try:
            return _start(request, caller, form, version)
        except Problem as refusal:
            problem = refusal
    elif request.GET.get("part"):
        context = _subject(version, form)
        context["hosts"], context["more_hosts"] = dialog.hosts_without(
            version, form.chosen_hosts(), query(request, "after")["after"]
        )
        return render(request, "change/host_picks.html", context)
    status = problem.status if problem else 422 if request.method == "POST" else 200
    return render(request, "change/deploy.html", {**_dialog(caller, version, form), "problem": problem}, status=status)


def _start(request: HttpRequest, caller: Caller, form: DeployForm, version: MicroServiceVersion) -> HttpResponse:
    requested = f"deploy {version.pk} {form.cleaned_data}"
    change = form.change(version)

    def run() -> Any:
        deployment = actions.deploy(caller, change)
        if deployment is None:
            raise AllThere
        return deployment

    try:
        return redirect_to("deployment", once(caller, request.POST.get("key", ""), requested, run))
    except AllThere:
        flash(request, _("%(version)s runs on all of these hosts already.") % {"version": version.version})
        return redirect_to("version", version.microservice.name, version.pk)


class AllThere(Exception):
    """Every target runs the version: nothing was started, so the form's key is not used up."""


def _subject(version: MicroServiceVersion, form: DeployForm) -> dict[str, Any]:
    return {"service": version.microservice, "version": version, "action": "deploy", "form": form}


def _dialog(caller: Caller, version: MicroServiceVersion, form: DeployForm) -> dict[str, Any]:
    """Return everything that the dialog shows."""
    hosts, more_hosts = dialog.hosts_without(version, form.chosen_hosts())
    context = {**_subject(version, form), "key": str(uuid.uuid4()), "hosts": hosts, "more_hosts": more_hosts}
    try:
        if form.is_valid():
            context["plan"] = plan = _plan(caller, form, version)
            context["confirmation"] = form.confirmation(plan["plan_token"])
    except Problem as refusal:
        context["no_plan"] = refusal
        form.add_problem(refusal)
    return context


def _plan(caller: Caller, form: DeployForm, version: MicroServiceVersion) -> dict[str, Any]:
    """Return the server's plan, its targets by what happens to them, and what lies between the versions."""
    plan = actions.preview(caller, form.change(version))
    service = version.microservice
    plan["groups"] = group_by_steps(plan["targets"])
    plan["irreversible"] = irreversible_steps(plan["targets"])
    plan["ways"] = ways = dialog.ways(plan["targets"])
    if len(ways) == 1:
        before = ways[0].version
        plan["commits"] = version_diff.commits(before, version.version)
        plan["compare"] = version_diff.compare_link(service.build_url, service.build_orig, before, version.version)
    return plan
