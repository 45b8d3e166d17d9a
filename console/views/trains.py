"""Release trains: the list, one with all its stages, the form that starts one, and the buttons of its page."""

from collections.abc import Callable
from functools import partial
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from access.callers import Caller
from access.problems import Problem, not_found
from messages.rendering import render as render_message
from microservice.models import Train
from microservice.status import TRAIN_ENDED
from microservice.trains import control
from microservice.trains.requests import preview_train, start_train
from microservice.trains.rows import services_of

from .. import csv_lists, tables
from ..forms.trains import WholeForm
from ..once import once
from ..queries import trains as queries
from .decorators import page, post_data, query, redirect_to, render_list


@page()
def train_list(request: HttpRequest, caller: Caller) -> HttpResponse:
    pages = partial(queries.trains, caller)
    if file := csv_lists.file(request, tables.TRAINS, pages, caller):
        return file
    context = {"page": pages(query(request, "after")["after"]), "may_deploy": caller.may_anywhere("deploy")}
    return render_list(request, "trains/list.html", "trains/list_rows.html", context)


@page("deploy", ("GET", "POST"), look="deploy")
def new(request: HttpRequest, caller: Caller) -> HttpResponse:
    """Show the form, with the plan of all stages once it is filled in, and start the train that was shown."""
    form = WholeForm(post_data(request), caller)
    context: dict[str, Any] = {"form": form}
    adds = "more" in request.POST
    status = 422 if request.method == "POST" and not adds else 200
    if request.method == "POST" and not adds and form.is_valid():
        try:
            asked = form.request(partial(queries.newest_built, caller), request.POST.get("plan_token") or None)
            if "start" in request.POST:
                start = lambda: start_train(caller, asked)
                return redirect_to("train", once(caller, request.POST.get("key", ""), f"train {asked}", start))
            context["plan"], status = preview_train(caller, asked), 200
        except Problem as problem:
            form.add_problem(problem)
            status = problem.status
    return render(request, "trains/new.html", context, status=status)


@page(live=True)
def train_detail(request: HttpRequest, caller: Caller, number: int) -> HttpResponse:
    shown = queries.train(caller, number)
    train = shown.train
    may_deploy = all(caller.may("deploy", service.pk) for service in services_of([one.part for one in shown.parts]))
    context = {
        "shown": shown,
        "train": train,
        "reason": render_message(train.reason) if train.reason else "",
        "has_ended": train.status in TRAIN_ENDED,
        "may_resume": may_deploy and control.may_resume(train),
        "may_cancel": may_deploy and control.may_cancel(train),
        "may_revert": may_deploy and control.may_revert(train),
    }
    template = "trains/live.html" if request.headers.get("HX-Request") else "trains/page.html"
    return render(request, template, context)


@page("deploy", ("POST",), back=("train", "number"))
def act(request: HttpRequest, caller: Caller, number: int, what: str) -> HttpResponse:
    """Run a button of the train's page."""
    commands: dict[str, Callable[[Caller, Train], Train]] = {
        "cancel": control.cancel,
        "resume": control.resume,
        "revert": control.revert,
    }
    if what not in commands:
        raise not_found("action")
    commands[what](caller, queries.train(caller, number).train)
    return redirect_to("train", number)
