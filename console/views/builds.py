"""A version's build: started at its origin, watched, and judged afterwards."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _

from access.callers import Caller
from access.problems import Problem, forbidden
from builds import build_requests, builders
from microservice import catalog
from microservice.models import MicroService, MicroServiceVersion
from microservice.publishing import versions
from microservice.status import BUILD_AGAIN, BUILD_TRANSITIONS, BuildStatus

from ..queries import services
from .decorators import flash, flash_problem, page, redirect_to

MOST = 20  # attempts that a page lists


@page("publish", ("GET", "POST"), live=True)
def build(request: HttpRequest, caller: Caller, name: str, number: int) -> HttpResponse:
    """Starts it: asked for twice while it goes on, it is built once; what ended badly is built again, where the form
    says so (`again`, `even_built`). By GET: how far it is, for the page's script.

    That is told to load the page anew once the build has ended.
    """
    service = services.service(caller, name)
    found = catalog.find_version(service, number)
    if request.method != "POST":
        answer = render(request, "service/build.html", shown(caller, service, found, request.GET.get("attempt", "")))
        if found.status != BuildStatus.BUILDING:
            answer["HX-Refresh"] = "true"
        return answer
    try:
        found = catalog.find_version(catalog.find_service(caller, service.pk, "publish"), number)
        asked = {name: request.POST.get(name) == "on" for name in ("again", "even_built")}
        build_requests.start(caller, found, **asked)
        flash(request, _("%(version)s is being built.") % {"version": found.version})
    except Problem as problem:
        flash_problem(request, problem)
    return redirect_to("version", service.name, number)


@page("publish", ("POST",))
def mark(request: HttpRequest, caller: Caller, name: str, number: int, word: str) -> HttpResponse:
    """Marks a version `bad`, with a reason, or `good` again. See `destinations.check_bad`."""
    service = services.service(caller, name)
    found = catalog.find_version(catalog.find_service(caller, service.pk, "publish"), number)
    try:
        if word == "bad":
            catalog.mark_bad(caller, found, request.POST.get("reason", ""))
            flash(request, _("%(version)s is marked bad from now on.") % {"version": found.version})
        else:
            versions.change(caller, found, {"bad": False})
            flash(request, _("%(version)s is good again.") % {"version": found.version})
    except Problem as problem:
        flash_problem(request, problem)
    return redirect_to("version", service.name, number)


def shown(caller: Caller, service: MicroService, version: MicroServiceVersion, attempt: str = "") -> dict:
    """What the fragment about a version's build needs: its newest build or the attempt with that id, its attempts, and
    why none can be started."""
    version.microservice = service
    why_not: Problem | None = None
    if not caller.may("publish", service.pk):
        why_not = forbidden(f"You need the right “publish” for {service.name}.")
    attempts = list(build_requests.attempts(version).defer("log")[:MOST])
    wanted = int(attempt) if attempt.isascii() and attempt.isdigit() and len(attempt) < 19 else 0
    build = next((one for one in attempts if one.pk == wanted), attempts[0] if attempts else None)
    return {
        "service": service,
        "version": version,
        "build": build,
        "attempt": build.pk if build and build.pk == wanted else "",
        "is_building": build is not None and build.status == BuildStatus.BUILDING,
        "log": build_requests.log_of(build) if build else "",
        "attempts": attempts if len(attempts) > 1 else [],
        "again": version.status in BUILD_AGAIN,
        "is_duplicate": version.status == BuildStatus.DUPLICATE,
        "building": version.status == BuildStatus.BUILDING,
        "has_ended": version.status not in BUILD_TRANSITIONS,
        "why_not": why_not or build_requests.start_refusal(version),
        "builders": builders.recent() if service.build_orig == MicroService.Origin.GIT else [],
        "build_limits": builders.limits(),
    }
