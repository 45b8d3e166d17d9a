"""The dialogs about instances that run several versions: a deploy to one version, and the revert of a deployment."""

import uuid
from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from access.callers import Caller
from access.problems import Problem
from microservice.deployments import actions, reverts
from microservice.deployments.plan import Plan
from microservice.models import Deployment

from ..forms.filters import HostSearch
from ..forms.version_change import DeployForm, RevertForm
from ..once import once
from ..queries import deployments, dialog, services
from . import dialog_plans
from .decorators import flash, page, query, redirect_to
from .version_change import picked


@page("deploy", ("GET", "POST"))
def deploy(request: HttpRequest, caller: Caller, name: str, number: int) -> HttpResponse:
    """Show the dialog, and request the deployment. `number` is the id of the version to deploy."""
    service = services.service(caller, name)
    version = services.version(service, number)
    version.microservice = service
    form = DeployForm(_chosen(request), version, places=dialog.places_of_service(service))

    def start() -> Deployment:
        deployment = actions.deploy(caller, form.change(version))
        if deployment is None:
            raise AllThere
        return deployment

    def texts(count: int) -> dict[str, str]:
        named = {"service": service.name, "version": version.version, "n": count}
        return {
            "heading": _("Deploy %(service)s %(version)s") % named,
            "lead": _("Hosts with an older version are upgraded, hosts with a newer one reverted, in one deployment."),
            "nothing": _("Every host runs this version already."),
            "verb": _("Deploy"),
            "confirm": ngettext("Deploy %(version)s to %(n)s host", "Deploy %(version)s to %(n)s hosts", count) % named,
        }

    subject = {
        "service": service,
        "version": version,
        "action": "deploy",
        "asks_for_bad": version.bad,
        "address": reverse("console:deploy", args=[service.name, version.pk]),
    }
    picks = lambda: dialog.hosts_without(version, picked(request, form))
    preview = lambda: actions.preview(caller, form.change(version))
    try:
        return _answer(request, caller, form, f"deploy {version.pk}", start, subject, texts, picks, preview)
    except AllThere:
        flash(request, _("%(version)s runs on all of these hosts already.") % {"version": version.version})
        return redirect_to("version", service.name, version.pk)


class AllThere(Exception):
    """Every target runs the version: nothing was started, so the form's key is not used up."""


@page("deploy", ("GET", "POST"))
def revert(request: HttpRequest, caller: Caller, number: int) -> HttpResponse:
    """Show the dialog that takes back a deployment, and request it."""
    deployment = deployments.deployment(caller, number)
    form = RevertForm(_chosen(request), deployment, places=dialog.places_of_revert(deployment))

    def texts(count: int) -> dict[str, str]:
        return {
            "heading": _("Revert deployment %(number)s of %(service)s")
            % {"number": deployment.pk, "service": deployment.microservice.name},
            "lead": _("Each host goes back to the version that it came from."),
            "nothing": _("No host is left to revert."),
            "verb": _("Revert"),
            "confirm": ngettext("Revert %(n)s host", "Revert %(n)s hosts", count) % {"n": count},
        }

    subject = {
        "service": deployment.microservice,
        "version": deployment.dest_version,
        "deployment": deployment,
        "action": "revert",
        "leaves": deployment.dest_version.version if deployment.dest_version else "",
        "asks_for_bad": reverts.leads_to_bad(deployment),
        "address": reverse("console:revert", args=[deployment.pk]),
    }
    start = lambda: actions.revert(caller, form.revert(deployment))
    picks = lambda: dialog.revertible_hosts(deployment, picked(request, form))
    preview = lambda: actions.preview_revert(caller, form.revert(deployment))
    return _answer(request, caller, form, f"revert {deployment.pk}", start, subject, texts, picks, preview)


def _chosen(request: HttpRequest) -> Any:
    return request.POST if request.method == "POST" else request.GET


def _answer(
    request: HttpRequest,
    caller: Caller,
    form: DeployForm | RevertForm,
    requested: str,
    start: Callable[[], Deployment],
    subject: dict[str, Any],
    texts: Callable[[int], dict[str, str]],
    picks: Callable[[], dialog.Picks],
    preview: Callable[[], Plan],
) -> HttpResponse:
    """Show a dialog, a part of it, or carry it out. `texts`: by the number of targets; `picks`: a page of hosts."""
    problem, status = None, 200
    context: dict[str, Any] = {**subject, "form": form, "host_search": HostSearch(query(request, "find_host"))}
    if request.method == "POST":
        status = 422
        if form.is_valid():
            try:
                key = request.POST.get("key", "")
                return redirect_to("deployment", once(caller, key, f"{requested} {form.cleaned_data}", start))
            except Problem as refusal:
                problem, status = refusal, refusal.status
    elif request.GET.get("part") == dialog_plans.PART:
        return dialog_plans.next_rows(request, form, preview)
    elif request.GET.get("part"):
        context["hosts"], context["more_hosts"] = picks()
        return render(request, "change/host_picks.html", context)
    context["hosts"], context["more_hosts"] = picks()
    context |= {"problem": problem, "key": str(uuid.uuid4())}
    try:
        if form.is_valid():
            context["plan"] = plan = dialog_plans.shown(request, form, preview())
            context["confirmation"] = form.confirmation(plan["token"])
    except Problem as refusal:
        context["no_plan"] = refusal
        form.add_problem(refusal)
    count = context["plan"]["count"] if "plan" in context else 0
    return render(request, "change/instances.html", {**context, **texts(count)}, status=status)
