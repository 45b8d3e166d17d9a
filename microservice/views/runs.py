"""Deployments and operations: their lists, the page that is watched, and the buttons on it."""

import uuid

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from access.callers import Caller
from access.problems import Problem, not_found
from microservice import deployments as requests
from microservice import logs, terminal
from microservice.models import Deployment, Operation
from microservice.once import once
from microservice.queries import runs
from microservice.status import DEPLOYMENT_ENDED, OPERATION_ENDED

from .controls import controls, segments
from .guard import complain, go, page, show, wanted

PIECE = 65536  # bytes of output in one answer
OPEN_AT_ONCE = 5  # hosts whose output is shown inside the matrix


@page()
def deployments(request: HttpRequest, caller: Caller) -> HttpResponse:
    asked = wanted(request, "service", "status", "action", "after")
    after = asked.pop("after")
    found = runs.deployments(caller, asked, after)
    for deployment in found:
        deployment.segments = segments(deployment.by_status)
    context = {**asked, "page": found, "filtered": any(asked.values())}
    return show(request, "deployment/list.html", "deployment/list_rows.html", context)


@page()
def deployment(request: HttpRequest, caller: Caller, number: int) -> HttpResponse:
    """The whole page, or for the page's own script only the part that changes: the same template either way."""
    found = runs.deployment(caller, number)
    template = "deployment/live.html" if request.headers.get("HX-Request") else "deployment/page.html"
    return render(request, template, _watched(request, caller, found))


def _watched(request: HttpRequest, caller: Caller, found: Deployment) -> dict:
    asked = wanted(request, "status", "after", "open")
    by_status = runs.counts(found)
    matrix = runs.matrix(found, asked["status"], asked["after"])
    opened = {int(word) for word in asked["open"].split(",")[:OPEN_AT_ONCE] if word.isascii() and word.isdigit()}
    for row in matrix.rows:
        row.open = row.operation.pk in opened
        row.toggle = ",".join(str(pk) for pk in sorted(opened ^ {row.operation.pk}))
        row.output = _output(row.operation) if row.open else None
    wrong = runs.first_error(found)
    total = sum(by_status.values())
    return {
        **asked,
        "key": str(uuid.uuid4()),
        "deployment": found,
        "counts": by_status,
        "total": total,
        "ended": sum(n for status, n in by_status.items() if status in OPERATION_ENDED),
        "segments": segments(by_status),
        "matrix": matrix,
        "first_error": wrong,
        "error_lines": terminal.render(runs.last_lines(wrong)).html if wrong else "",
        "controls": controls(found, runs.may_be_retried(by_status), caller.may("deploy", found.microservice_id)),
        "has_ended": found.status in DEPLOYMENT_ENDED,
    }


@page("deploy", ("POST",))
def act(request: HttpRequest, caller: Caller, number: int, what: str) -> HttpResponse:
    """A button of the deployment page. A retry and a revert are deployments of their own: the browser goes there."""
    found = runs.deployment(caller, number)
    deeds = {
        "cancel": requests.cancel,
        "pause": requests.pause,
        "resume": requests.resume,
        "retry": requests.retry,
        "revert": requests.revert,
    }
    if what not in deeds:
        raise not_found("action")
    try:
        key = request.POST.get("key", "")
        return go("deployment", once(caller, key, f"{what} {found.pk}", lambda: deeds[what](caller, found)))
    except Problem as problem:
        complain(request, problem)
        return go("deployment", found.pk)


@page()
def operation(request: HttpRequest, caller: Caller, number: int) -> HttpResponse:
    found = runs.operation(caller, number)
    context = {
        "operation": found,
        "deployment": found.deployment,
        "steps": list(found.steps.order_by("position")),
        "attempts": runs.attempts(found),
        "output": _output(found),
        "has_ended": runs.has_ended(found),
    }
    template = "deployment/operation_live.html" if request.headers.get("HX-Request") else "deployment/operation.html"
    return render(request, template, context)


@page()
def output(request: HttpRequest, caller: Caller, number: int) -> HttpResponse:
    """Output from `offset` as harmless HTML. Headers say where the next piece begins and in which style."""
    found = runs.operation(caller, number)
    asked = wanted(request, "offset", "style")
    offset = int(asked["offset"]) if asked["offset"].isascii() and asked["offset"].isdigit() else 0
    data, end = runs.output(found, min(offset, 1 << 60), PIECE)
    rendered = terminal.render(data, asked["style"])
    return HttpResponse(
        rendered.html,
        headers={"X-Next": end, "X-Style": rendered.style, "X-Ended": int(runs.has_ended(found) and not data)},
    )


def _output(of: Operation) -> dict:
    """The end of an operation's output for the first view; the page's script goes on from there."""
    start = max(0, logs.size(of.pk) - PIECE)
    data, end = runs.output(of, start, PIECE)
    rendered = terminal.render(data)
    return {"html": rendered.html, "start": start, "next": end, "style": rendered.style}
