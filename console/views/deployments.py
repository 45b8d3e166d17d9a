"""Deployments and operations: lists, the live pages, and the buttons on them."""

from collections.abc import Callable
from functools import partial
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from access.callers import Caller
from access.problems import Problem, not_found, refused
from asset import tenancy
from asset.models import Asset
from asset.ssh_command import hops, ssh_line
from messages.rendering import render as render_message
from microservice.deployments import actions, notes, retries
from microservice.deployments.failures import failed_operations
from microservice.deployments.skipped import describe_skipped
from microservice.models import Deployment, Operation
from microservice.output import encodings, logs, terminal
from microservice.status import DEPLOYMENT_ENDED, DeploymentStatus, outcome_of
from runtime.ids import parse_id, parse_number

from .. import csv_lists, tables
from ..forms.confirmations import NoteForm, RetryForm
from ..forms.filters import DeploymentFilters
from ..once import once
from ..queries import deployments, environments, operations, progress, trains, waiting
from ..queries.advice import advice
from ..queries.causes import causes
from ..refused_forms import bring_back, keep
from . import tab
from .controls import controls, segments, with_segments
from .decorators import page, page_size, query, redirect_to, render_list, wants_next_rows
from .maintenance import maintain
from .waiting import of_row

MAX_SKIPPED = 200  # skipped targets that the page lists
CHUNK_SIZE = 65536  # bytes of output in one response
MAX_OPEN_ROWS = 5  # hosts whose output is shown inside the matrix


@page()
def deployment_list(request: HttpRequest, caller: Caller) -> HttpResponse:
    params = query(request, "service", "version", "environment", "status", "action", "after")
    after = params.pop("after")
    pages = partial(deployments.deployments, caller, params)
    if file := csv_lists.file(request, tables.DEPLOYMENTS, pages, caller, params["service"]):
        return file
    rows = pages(after)
    with_segments(rows)
    context = {
        **params,
        "of_version": deployments.version_of(caller, params["version"]),
        "page": rows,
        "filters": DeploymentFilters(params, environments.names()),
        "filtered": any(params.values()),
    }
    return render_list(request, "deployment/list.html", "deployment/list_rows.html", context)


@page(live=True)
def deployment_detail(request: HttpRequest, caller: Caller, number: int) -> HttpResponse:
    """Show the page; for its script, only the part that changes or the next rows, from the same templates."""
    deployment = deployments.deployment(caller, number)
    shown = query(request, "status", "cause")
    pages = partial(deployments.operations_of, caller, deployment, shown["status"], shown["cause"])
    if file := csv_lists.file(request, tables.OPERATIONS, pages, caller, f"deployment-{number}"):
        return file
    if wants_next_rows(request):
        return render(request, "deployment/matrix_rows.html", _matrix(request, caller, deployment))
    template = "deployment/live.html" if request.headers.get("HX-Request") else "deployment/page.html"
    return render(request, template, _live_context(request, caller, deployment))


def _matrix(request: HttpRequest, caller: Caller, deployment: Deployment) -> dict[str, Any]:
    """Return a page of the matrix's rows, or as many rows as the page that is refreshed shows by now."""
    params = query(request, "status", "after", "open", "cause")
    size = page_size(request, deployments.ROWS, deployments.MAX_ROWS)
    matrix = deployments.matrix(caller, deployment, params["status"], params["after"], size, params["cause"])
    opened = {number for word in params["open"].split(",")[:MAX_OPEN_ROWS] if (number := parse_id(word))}
    for row in matrix.rows:
        row.open = row.operation.pk in opened
        row.toggle = ",".join(str(pk) for pk in sorted(opened ^ {row.operation.pk}))
        row.output = _output(row.operation) if row.open else None
    return {**params, "matrix": matrix}


def _live_context(request: HttpRequest, caller: Caller, deployment: Deployment) -> dict[str, Any]:
    counts = deployments.counts(deployment)
    context = _matrix(request, caller, deployment)
    may_deploy = caller.may("deploy", deployment.microservice_id)
    left = retries.left(deployment) if counts.retryable else retries.Left()
    train, stage = trains.train_of(caller, deployment.pk) or (None, 0)
    return {
        **context,
        "train": train,
        "stage": stage,
        **_times(deployment, counts.by_status, context["matrix"]),
        "causes": causes(caller, deployment, left.by_cause),
        "deployment": deployment,
        "reason": render_message(deployment.reason) if deployment.reason else "",
        "skipped": describe_skipped(deployment.skipped[:MAX_SKIPPED]),
        "counts": counts,
        "tab_tone": tab.tone(deployment, counts),
        "tab_title": tab.title(deployment, counts),
        "segments": segments(counts.by_status),
        "note_form": bring_back(request, NoteForm(initial={"note": deployment.note})),
        "followers": deployments.followers(caller, deployment),
        "controls": controls(deployment, counts, left, may_deploy),
        "retry_form": bring_back(request, RetryForm()),
        "in_maintenance": left.in_maintenance,
        "may_deploy": may_deploy,
        "has_ended": deployment.status in DEPLOYMENT_ENDED,
        "paused": deployment.status == DeploymentStatus.PAUSED,
        **_waits(request, caller, deployment),
    }


def _waits(request: HttpRequest, caller: Caller, deployment: Deployment) -> dict[str, Any]:
    """Return what the page shows of a deployment that waits, or what people said while it did."""
    if row := waiting.one(caller, deployment):
        return of_row(request, caller, row)
    return {"said": waiting.said(deployment)}


def _times(deployment: Deployment, by_status: dict[str, int], matrix: deployments.Matrix) -> dict[str, Any]:
    """Return the time left, what the deployment waits for, and the timeline."""
    now = timezone.now()
    is_open = deployment.status not in DEPLOYMENT_ENDED
    return {
        "left": progress.seconds_left(deployment, by_status, now) if is_open else None,
        "waiting": progress.waiting_for(deployment, by_status, now),
        "timeline": progress.host_timeline(deployment, matrix.rows, now),
        "batch_lines": progress.batch_timeline(deployment, now),
        "lasted": ((deployment.finished or now) - deployment.created).total_seconds(),
    }


@page("deploy", ("POST",), back=("deployment", "number"))
def control(request: HttpRequest, caller: Caller, number: int, what: str) -> HttpResponse:
    """Run a button of the deployment page. A retry and a revert redirect to the deployments that they start."""
    deployment = deployments.deployment(caller, number)
    cause = request.POST.get("cause", "")
    form = RetryForm(request.POST)
    commands: dict[str, Callable[[Caller, Deployment], Deployment]] = {
        "cancel": actions.cancel,
        "pause": actions.pause,
        "resume": actions.resume,
        "retry": partial(actions.retry, cause=cause, note=form.posted("note"), force=form.posted("force")),
    }
    if what not in {*commands, "maintenance"}:
        raise not_found("action")
    if what == "maintenance":
        _start_maintenance(request, caller, deployment, cause)
        return redirect_to("deployment", deployment.pk)
    key = request.POST.get("key", "")
    run = partial(commands[what], caller, deployment)
    requested = " ".join([what, str(deployment.pk), *([cause] if what == "retry" and cause else [])])
    try:
        return redirect_to("deployment", once(caller, key, requested, run))
    except Problem as problem:
        if what != "retry" or all(error.pointer != "/note" for error in problem.field_errors):
            raise
        keep(request, form, problem)
        return redirect_to("deployment", deployment.pk)


@page("deploy", ("POST",), back=("deployment", "number"))
def note(request: HttpRequest, caller: Caller, number: int) -> HttpResponse:
    """Change the note of a deployment."""
    deployment = deployments.deployment(caller, number)
    form = NoteForm(request.POST)
    try:
        notes.change(caller, deployment, form.posted("note"))
    except Problem as problem:
        keep(request, form, problem)
    return redirect_to("deployment", deployment.pk)


def _start_maintenance(request: HttpRequest, caller: Caller, deployment: Deployment, cause: str) -> None:
    """Put the instances that failed for a cause into maintenance, if they are as many as the page showed."""
    rows = failed_operations(caller, deployment).filter(cause=cause) if cause else Operation.objects.none()
    count = rows.count()
    if count != parse_number(request.POST.get("shown", "")):
        raise refused("concurrent_update.cause", count=count)
    numbers = list(rows.filter(instance__isnull=False).values_list("instance", flat=True))
    maintain(request, caller, deployment.microservice, numbers, begun=True)


@page(live=True)
def operation_detail(request: HttpRequest, caller: Caller, number: int) -> HttpResponse:
    operation = operations.operation(caller, number)
    context = {
        "operation": operation,
        "deployment": operation.deployment,
        "steps": operations.steps(operation),
        **_attempts(operation),
        "advice": advice(operation),
        "by_hand": _ssh_command(caller, operation.host),
        "host_page": reverse("console:host", args=[operation.host_id]),
        "may_deploy": caller.may("deploy", operation.deployment.microservice_id),
        "may_admin": caller.may("admin"),
        "deployment_ended": operation.deployment.status in DEPLOYMENT_ENDED,
        "output": _output(operation),
        "has_ended": operations.has_ended(operation),
        "tab_tone": (tone := tab.operation_tone(outcome_of(operation.status, operation.undo_status))),
        "tab_title": tab.MARKS[tone],
    }
    template = "deployment/operation_live.html" if request.headers.get("HX-Request") else "deployment/operation.html"
    return render(request, template, context)


def _ssh_command(caller: Caller, host: Asset) -> str:
    """Return the ssh command to try the host by hand; "" if the caller may not see one of its jump hosts."""
    return "" if tenancy.hidden(caller, (hop.pk for hop in hops(host))) else ssh_line(host)


def _attempts(operation: Operation) -> dict[str, Any]:
    """Return all operations on the instance, and those that tried the same side by side, oldest first."""
    attempts = operations.attempts(operation)
    return {
        "other_attempts": [one for one in attempts if one.pk != operation.pk],
        "side_by_side": operations.side_by_side(operation, attempts),
    }


@page(live=True)
def output(request: HttpRequest, caller: Caller, number: int) -> HttpResponse:
    """Return output from `offset` as safe HTML. Headers name the next offset and the terminal style there."""
    operation = operations.operation(caller, number)
    params = query(request, "offset", "style")
    offset = parse_number(params["offset"]) or 0
    data, end = operations.output(operation, offset, CHUNK_SIZE)
    rendered, unfinished = _render_output(operation, data, end, params["style"])
    ended = operations.has_ended(operation) and not data
    return HttpResponse(
        rendered.html + unfinished, headers={"X-Next": end, "X-Style": rendered.style, "X-Ended": int(ended)}
    )


def _render_output(
    operation: Operation, data: bytes, end: int, style: str = ""
) -> tuple[terminal.Rendered, SafeString]:
    """Return whole lines, and the unfinished line after them as it is by now; the page's script replaces it."""
    rest = operations.unfinished(operation, end)
    encoding = encodings.of_data(operation, data + rest)
    rendered = terminal.render(data, style, encoding)
    line = terminal.render(rest, rendered.style, encoding).html if rest else ""
    return rendered, format_html("<span data-unfinished>{}</span>", line) if line else SafeString()


def _output(operation: Operation) -> dict[str, Any]:
    """Return the end of an operation's output for the first view; the page's script fetches the rest."""
    start = max(0, logs.size(operation.pk) - CHUNK_SIZE)
    data, end = operations.output(operation, start, CHUNK_SIZE)
    rendered, unfinished = _render_output(operation, data, end)
    return {"html": rendered.html + unfinished, "start": start, "next": end, "style": rendered.style}
