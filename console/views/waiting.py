"""What waits: the list, its number in the head, and the page on which people answer what was asked for."""

from collections.abc import Callable
from functools import partial
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _

from access.callers import Caller
from access.problems import Problem, not_found, refused
from messages.rendering import render as render_message
from microservice.deployments import actions
from microservice.deployments.wait_reasons import Kind
from microservice.deployments.waiting import answers
from microservice.models import Deployment
from microservice.status import DeploymentStatus

from .. import csv_lists, tables
from ..forms.confirmations import Confirmation
from ..forms.filters import WaitingFilters
from ..forms.services import add_problem
from ..forms.waiting import AnswerForm, OverrideForm, RescheduleForm
from ..queries import deployments, environments, waiting
from ..queries.paging import MAX_ROWS, PAGE
from . import dialog_plans
from .decorators import flash, page, page_size, query, redirect_to, render_list

HERE = frozenset({"invalid", "plan_changed", "frozen"})  # refusals that are shown on the page where they came up


@page(live=True)
def waiting_list(request: HttpRequest, caller: Caller) -> HttpResponse:
    params = query(request, "service", "environment", "after")
    after = params.pop("after")
    if file := csv_lists.file(request, tables.WAITING, partial(waiting.waiting, caller, params), caller):
        return file
    mine = [] if after else waiting.mine(caller, params)
    without = [row.request.pk for row in mine]
    rows = waiting.waiting(caller, params, after, page_size(request, PAGE, MAX_ROWS), without=without)
    context = {
        **params,
        "mine": mine,
        "page": rows,
        "count": len(mine) + rows.count,
        "filters": WaitingFilters(params, environments.names()),
        "filtered": any(params.values()),
    }
    return render_list(request, "waiting/list.html", "waiting/rows.html", context, "waiting/live.html")


@page()
def count(request: HttpRequest, caller: Caller) -> HttpResponse:
    """Return the numbers in the head, for its script."""
    return render(request, "waiting/counts.html", {"waits": waiting.counts(caller)})


@page(methods=("GET", "POST"), back=("deployment", "number"))
def answer(request: HttpRequest, caller: Caller, number: int) -> HttpResponse:
    """Show what would begin, and take what a person says to it. What no longer waits is shown as it is."""
    deployment = deployments.deployment(caller, number)
    do = request.POST.get("do", "") if request.method == "POST" else ""
    forms = {
        "approve": AnswerForm(request.POST if do in ("approve", "reject") else None),
        "override": OverrideForm(request.POST if do == "override" else None),
        "reschedule": RescheduleForm(request.POST if do == "reschedule" else None),
    }
    problem = None
    if request.method == "POST":
        problem = _answer(request, caller, deployment, do, forms)
        if problem is None:
            return redirect_to("deployment", number)
    row = waiting.one(caller, deployment)
    if row is None:
        return redirect_to("deployment", number)
    if request.GET.get("part") == dialog_plans.PART:
        return dialog_plans.rows_of(request, answers.plan_of(row.request), reverse("console:answer", args=[number]))
    if not forms["reschedule"].is_bound:
        forms["reschedule"].initial = {"start_at": row.request.start_at}
    status = problem.status if problem else 422 if request.method == "POST" else 200
    context = {"problem": problem if problem and problem.code != "invalid" else None, "forms": forms}
    context |= of_row(request, caller, row)
    return render(request, "waiting/answer.html", context, status=status)


def of_row(request: HttpRequest, caller: Caller, row: waiting.Waiting) -> dict[str, Any]:
    """Return what pages show of a deployment that waits: its plan, and what the caller may do with it."""
    deployment = row.deployment
    why_not = answers.refusal(caller, row.request) if caller.user_id else None
    context = {
        "row": row,
        "deployment": deployment,
        "service": deployment.microservice,
        "may_answer": caller.user_id is not None and why_not is None,
        "why_not": render_message(why_not) if why_not else "",
        "may_override": caller.may("admin"),
        "may_deploy": caller.may("deploy", deployment.microservice_id),
        "asks": any(one.kind == Kind.APPROVAL for one in row.reasons),
        "moved": [render_message(one) for one in waiting.moved(row.request)],
        "said": waiting.said(deployment),
    }
    try:
        plan = answers.plan_of(row.request)
        context["plan"] = dialog_plans.of_waiting(request, plan, reverse("console:answer", args=[deployment.pk]))
    except Problem as refusal:
        context["no_plan"] = refusal
    return context


def _answer(
    request: HttpRequest, caller: Caller, deployment: Deployment, do: str, forms: dict[str, Any]
) -> Problem | None:
    """Carry out what was said. Return why not, where the page says it; raise what leads back to the deployment."""
    if do not in (*forms, "reject"):
        raise not_found("action")
    form: Confirmation = forms["approve" if do == "reject" else do]
    token = form.posted("plan_token") if "plan_token" in form.fields else ""
    acts: dict[str, Callable[[], Deployment]] = {
        "approve": lambda: actions.approve(caller, deployment, token, form.posted("comment")),
        "reject": lambda: actions.reject(caller, deployment, form.posted("comment")),
        "override": lambda: actions.override(caller, deployment, token, form.posted("reason")),
        "reschedule": lambda: actions.reschedule(caller, deployment, form.cleaned_data["start_at"]),
    }
    if not form.is_valid() and do == "reschedule":
        return refused("invalid", field="start_at", reason="")
    try:
        acts[do]()
    except Problem as problem:
        if problem.code not in HERE:
            raise
        form.errors.clear()
        add_problem(form, problem)
        return problem
    flash(request, _said(do, deployment))
    return None


def _said(do: str, deployment: Deployment) -> str:
    if do == "reject":
        return _("You rejected it: it does not begin.")
    if do == "reschedule":
        return _("The time was changed.")
    begun = deployment.status != DeploymentStatus.WAITING
    return _("It begins now.") if begun else _("You approved it. It still waits.")
