"""Deployments and operations: their lists, the page that is watched, and the buttons on it."""

from collections.abc import Callable
from functools import partial

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import mark_safe

from access.callers import Caller
from access.problems import Problem, not_found
from asset import tenancy
from asset.models import Asset
from asset.ssh_command import hops, ssh_line
from microservice import catalog
from microservice.deployments import actions as requests
from microservice.models import Deployment, Operation
from microservice.output import encodings, logs, terminal
from microservice.status import DEPLOYMENT_ENDED, OPERATION_ENDED, DeploymentStatus, OperationStatus

from ..once import once
from ..queries import deployments as runs
from ..queries import progress
from ..queries.advice import advice
from .controls import controls, segments
from .decorators import flash_problem, page, page_size, query, redirect_to, render_list, wants_next_rows

PIECE = 65536  # bytes of output in one answer
OPEN_AT_ONCE = 5  # hosts whose output is shown inside the matrix


@page()
def deployments(request: HttpRequest, caller: Caller) -> HttpResponse:
    asked = query(request, "service", "status", "action", "after")
    after = asked.pop("after")
    found = runs.deployments(caller, asked, after)
    for deployment in found:
        deployment.segments = segments(deployment.by_status)
    context = {**asked, "page": found, "filtered": any(asked.values())}
    return render_list(request, "deployment/list.html", "deployment/list_rows.html", context)


@page(live=True)
def deployment(request: HttpRequest, caller: Caller, number: int) -> HttpResponse:
    """The whole page; for the page's own script the part that changes, or the rows that follow: the same templates."""
    found = runs.deployment(caller, number)
    if wants_next_rows(request):
        return render(request, "deployment/matrix_rows.html", _matrix(request, caller, found))
    template = "deployment/live.html" if request.headers.get("HX-Request") else "deployment/page.html"
    return render(request, template, _watched(request, caller, found))


def _matrix(request: HttpRequest, caller: Caller, found: Deployment) -> dict:
    """The matrix's rows: a page of them, or as many as the page that asks has shown by now."""
    asked = query(request, "status", "after", "open")
    matrix = runs.matrix(caller, found, asked["status"], asked["after"], page_size(request, runs.ROWS, runs.MOST_ROWS))
    opened = {int(word) for word in asked["open"].split(",")[:OPEN_AT_ONCE] if word.isascii() and word.isdigit()}
    for row in matrix.rows:
        row.open = row.operation.pk in opened
        row.toggle = ",".join(str(pk) for pk in sorted(opened ^ {row.operation.pk}))
        row.output = _output(row.operation) if row.open else None
    return {**asked, "matrix": matrix}


def _watched(request: HttpRequest, caller: Caller, found: Deployment) -> dict:
    by_status = runs.counts(found)
    wrong = runs.first_error(caller, found)
    line, said = runs.error_lines(wrong) if wrong else (0, "")
    total = sum(by_status.values())
    context = _matrix(request, caller, found)
    return {
        **context,
        **_in_time(found, by_status, context["matrix"]),
        "deployment": found,
        "counts": by_status,
        "total": total,
        "ended": sum(n for status, n in by_status.items() if status in OPERATION_ENDED),
        "segments": segments(by_status),
        "first_error": wrong,
        "error_line": line,
        "error_lines": terminal.render(said).html,
        "controls": controls(found, runs.may_be_retried(by_status), caller.may("deploy", found.microservice_id)),
        "changed": runs.changed(caller, found, by_status.get(OperationStatus.SUCCEEDED, 0)),
        "has_ended": found.status in DEPLOYMENT_ENDED,
        "paused": found.status == DeploymentStatus.PAUSED,
    }


def _in_time(found: Deployment, by_status: dict[str, int], matrix: runs.Matrix) -> dict:
    """What there is to say about time: what is left, what is waited for, who waited."""
    now = timezone.now()
    going = found.status not in DEPLOYMENT_ENDED
    return {
        "left": progress.seconds_left(found, by_status, now) if going else None,
        "waiting": progress.waiting_for(found, by_status, now),
        "timeline": progress.hosts_in_time(found, matrix.rows, now),
        "batch_lines": progress.batches(found, now),
        "lasted": ((found.finished or now) - found.created).total_seconds(),
    }


@page("deploy", ("POST",))
def act(request: HttpRequest, caller: Caller, number: int, what: str) -> HttpResponse:
    """A button of the deployment page. A retry and a revert are deployments of their own: the browser goes there."""
    found = runs.deployment(caller, number)
    deeds: dict[str, Callable[[Caller, Deployment], Deployment]] = {
        "cancel": requests.cancel,
        "pause": requests.pause,
        "resume": requests.resume,
        "retry": requests.retry,
        "revert": partial(_revert, request),
    }
    if what not in deeds:
        raise not_found("action")
    try:
        key = request.POST.get("key", "")
        return redirect_to("deployment", once(caller, key, f"{what} {found.pk}", lambda: deeds[what](caller, found)))
    except Problem as problem:
        flash_problem(request, problem)
        return redirect_to("deployment", found.pk)


def _revert(request: HttpRequest, caller: Caller, found: Deployment) -> Deployment:
    """With what was ticked beside it: the version that is left is marked bad, in the same transaction."""
    made = requests.revert(caller, found)
    if request.POST.get("mark_bad") == "on" and found.dest_version:
        catalog.mark_bad(caller, found.dest_version, request.POST.get("reason", ""))
    return made


@page(live=True)
def operation(request: HttpRequest, caller: Caller, number: int) -> HttpResponse:
    found = runs.operation(caller, number)
    context = {
        "operation": found,
        "deployment": found.deployment,
        "steps": runs.steps(found),
        **_attempts(found),
        "advice": advice(found),
        "by_hand": _by_hand(caller, found.host),
        "host_page": reverse("console:host", args=[found.host_id]),
        "may_deploy": caller.may("deploy", found.deployment.microservice_id),
        "may_admin": caller.may("admin"),
        "deployment_ended": found.deployment.status in DEPLOYMENT_ENDED,
        "output": _output(found),
        "has_ended": runs.has_ended(found),
    }
    template = "deployment/operation_live.html" if request.headers.get("HX-Request") else "deployment/operation.html"
    return render(request, template, context)


def _by_hand(caller: Caller, host: Asset) -> str:
    """How to try the host by hand; nothing where a jump host on the way is not the caller's to know."""
    return "" if tenancy.hidden(caller, (hop.pk for hop in hops(host))) else ssh_line(host)


def _attempts(of: Operation) -> dict:
    """Every operation on the instance; and those that tried the same, side by side, oldest first."""
    found = runs.attempts(of)
    return {"attempts": found, "side_by_side": runs.side_by_side(of, found)}


@page(live=True)
def output(request: HttpRequest, caller: Caller, number: int) -> HttpResponse:
    """Output from `offset` as harmless HTML. Headers say where the next piece begins and in which style."""
    found = runs.operation(caller, number)
    asked = query(request, "offset", "style")
    offset = int(asked["offset"]) if asked["offset"].isascii() and asked["offset"].isdigit() else 0
    data, end = runs.output(found, min(offset, 1 << 60), PIECE)
    rendered, growing = _rendered(found, data, end, asked["style"])
    return HttpResponse(
        rendered.html + growing,
        headers={"X-Next": end, "X-Style": rendered.style, "X-Ended": int(runs.has_ended(found) and not data)},
    )


def _rendered(of: Operation, data: bytes, end: int, style: str = "") -> tuple[terminal.Rendered, str]:
    """Whole lines; and the one that is being written, as it is by now, which the page's script replaces."""
    rest = runs.unfinished(of, end)
    encoding = encodings.of_data(of, data + rest)
    rendered = terminal.render(data, style, encoding)
    now = terminal.render(rest, rendered.style, encoding).html if rest else ""
    return rendered, mark_safe(f"<span data-unfinished>{now}</span>" if now else "")  # noqa: S308  render escapes


def _output(of: Operation) -> dict:
    """The end of an operation's output for the first view; the page's script goes on from there."""
    start = max(0, logs.size(of.pk) - PIECE)
    data, end = runs.output(of, start, PIECE)
    rendered, growing = _rendered(of, data, end)
    return {"html": rendered.html + growing, "start": start, "next": end, "style": rendered.style}
