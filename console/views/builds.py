"""A version's build: start it, watch it, and mark the version good or bad."""

from functools import partial
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _

from access.callers import Caller
from access.problems import Problem, refused
from builds import build_callbacks, build_requests, builders, cancelling
from builds.models import OPEN
from microservice import catalog
from microservice.models import MicroService, MicroServiceVersion
from microservice.publishing import versions
from microservice.status import BUILD_AGAIN, BUILD_TRANSITIONS, BuildStatus
from runtime.ids import parse_id

from .. import csv_lists, refusals, tables
from ..forms.confirmations import BuildForm, CancelBuildForm, MarkBadForm
from ..forms.filters import BuildFilters
from ..queries import builds as queries
from ..queries import services
from ..queries.paging import MAX_ROWS, PAGE
from ..refused_forms import keep
from .decorators import flash, page, page_size, query, redirect_to, render_list


@page(live=True, section="builds")
def build_list(request: HttpRequest, caller: Caller) -> HttpResponse:
    """List the builds of all services that the caller sees."""
    params = query(request, "service", "status", "origin", "requested_by", "since", "after")
    after = params.pop("after")
    pages = partial(queries.builds, caller, params)
    if file := csv_lists.file(request, tables.BUILDS, pages, caller, params["service"]):
        return file
    context = {
        **params,
        "page": pages(after, page_size(request, PAGE, MAX_ROWS)),
        "filters": BuildFilters(params),
        "filtered": any(params.values()),
    }
    return render_list(request, "builds/list.html", "builds/list_rows.html", context, "builds/list_live.html")


@page("publish", ("GET", "POST"), live=True, back=("version", "name", "number"))
def build(request: HttpRequest, caller: Caller, name: str, number: int) -> HttpResponse:
    """POST: start a build. One build runs at a time; `again` and `even_built` build a version that already ended.

    GET: the build's progress, for the page's script, which reloads the page once the build has ended.
    """
    service = services.service(caller, name)
    version = catalog.find_version(service, number)
    if request.method != "POST":
        context = build_context(caller, service, version, request.GET.get("attempt", ""))
        response = render(request, "service/build.html", context)
        if not context["building"]:
            response["HX-Refresh"] = "true"
        return response
    start(request, caller, catalog.find_version(catalog.find_service(caller, service.pk, "publish"), number))
    return _back(request, service.name, number)


def start(request: HttpRequest, caller: Caller, version: MicroServiceVersion) -> None:
    """Start the build that a form asks for, and say so on the next page."""
    form = BuildForm(request.POST)
    build_requests.start(caller, version, again=bool(form.posted("again")), even_built=form.posted("even_built"))
    flash(request, _("%(version)s is being built.") % {"version": version.version})


def _back(request: HttpRequest, name: str, number: int) -> HttpResponse:
    """Return to where the button was: the list of builds with its filters, or the version's page."""
    before = refusals.page_before(request)
    if before.partition("?")[0] == reverse("console:builds"):
        return HttpResponseRedirect(before)
    return redirect_to("version", name, number)


@page("publish", ("POST",), back=("version", "name", "number"))
def cancel(request: HttpRequest, caller: Caller, name: str, number: int) -> HttpResponse:
    """Cancel the version's open build."""
    version = catalog.find_version(catalog.find_service(caller, services.service(caller, name).pk, "publish"), number)
    form = CancelBuildForm(request.POST)
    try:
        cancelling.cancel(caller, version, form.posted("reason"))
        flash(request, _("The build of %(version)s was cancelled.") % {"version": version.version})
    except Problem as problem:
        keep(request, form, problem)
    return _back(request, name, number)


@page("publish", ("POST",), back=("version", "name", "number"))
def mark(request: HttpRequest, caller: Caller, name: str, number: int, word: str) -> HttpResponse:
    """Mark a version `bad`, with a reason, or `good` again. See `destinations.check_bad`."""
    service = services.service(caller, name)
    version = catalog.find_version(catalog.find_service(caller, service.pk, "publish"), number)
    form = MarkBadForm(request.POST)
    try:
        if word == "bad":
            catalog.mark_bad(caller, version, form.posted("reason"))
            flash(request, _("%(version)s was marked bad.") % {"version": version.version})
        else:
            versions.change(caller, version, {"bad": False})
            flash(request, _("%(version)s was marked good.") % {"version": version.version})
    except Problem as problem:
        keep(request, form, problem, place=lambda error: "reason")
    return redirect_to("version", service.name, number)


def build_context(
    caller: Caller, service: MicroService, version: MicroServiceVersion, attempt: str = ""
) -> dict[str, Any]:
    """Return the context of a version's build: the newest build or the attempt with that id, all attempts, and why
    none can be started."""
    version.microservice = service
    why_not: Problem | None = None
    if not caller.may("publish", service.pk):
        why_not = refused("forbidden.page_service_scope", scope="publish", service=service.name)
    builds = queries.attempts(version)
    attempts = builds.rows
    chosen = parse_id(attempt) or 0
    build = next((one for one in attempts if one.pk == chosen), attempts[0] if attempts else None)
    return {
        "service": service,
        "version": version,
        "build": build,
        "attempt": build.pk if build and build.pk == chosen else "",
        "is_building": build is not None and build.status == BuildStatus.BUILDING,
        "log": build_requests.log_of(build) if build else "",
        "attempts": builds if len(attempts) > 1 else None,
        "told": build_callbacks.of([build]).get(build.pk, []) if build else [],
        "may_see_callbacks": caller.may("admin"),
        "again": version.status in BUILD_AGAIN,
        "cancel_form": CancelBuildForm(),
        "may_cancel": bool(attempts) and attempts[0].status in OPEN and caller.may("publish", service.pk),
        "build_form": BuildForm(initial={"again": "on"}, duplicate=version.status == BuildStatus.DUPLICATE),
        # A version has its package a moment before its build ends. A page that stopped there would never show the end.
        "building": version.status == BuildStatus.BUILDING or any(one.status in OPEN for one in attempts[:1]),
        "has_ended": version.status not in BUILD_TRANSITIONS,
        "why_not": why_not or build_requests.start_refusal(version),
        "builders": builders.recent() if service.build_orig == MicroService.Origin.GIT else [],
        "build_limits": builders.limits(),
    }
