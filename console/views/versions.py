"""One version of a service: add it, see it, delete it. Its build is in builds.py."""

from functools import partial

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _

from access.callers import Caller
from access.problems import Problem
from builds import build_requests
from microservice import catalog
from microservice.models import MicroServiceVersion
from microservice.publishing import images
from microservice.status import BuildStatus

from .. import csv_lists, refusals, tables
from ..forms.confirmations import CancelBuildForm, DeleteVersionForm, MarkBadForm
from ..forms.services import NewVersionForm
from ..queries import builds as queries
from ..queries import deployments, services
from ..queries.overview import MAX_DEPLOYMENTS
from ..refused_forms import bring_back, keep
from . import builds
from .controls import with_segments
from .decorators import errors_on, flash, page, post_data, query, redirect_to, render_list, require_scope
from .services import service_context


@page("publish", ("GET", "POST"))
def new_version(request: HttpRequest, caller: Caller, name: str) -> HttpResponse:
    service = services.service(caller, name)
    form = NewVersionForm(post_data(request), initial={"ref": query(request, "ref")["ref"] or "master"})
    if request.method == "POST":
        require_scope(caller, "publish", service)
        if form.is_valid():
            with errors_on(form):
                fields = dict(form.cleaned_data)
                if image := fields.pop("image"):
                    version = images.publish(caller, service, fields, image)[0]
                    return redirect_to("version", service.name, version.pk)
                version = catalog.create_version(caller, service, fields)[0]
                if request.POST.get("then") == "build":
                    _build(request, caller, version)
                return redirect_to("version", service.name, version.pk)
    unsaved = MicroServiceVersion(microservice=service, status=BuildStatus.PENDING)
    context = {
        **service_context(caller, service, "versions"),
        "form": form,
        "why_no_build": build_requests.start_refusal(unsaved),
    }
    return render(request, "service/new_version.html", context, status=422 if form.errors else 200)


def _build(request: HttpRequest, caller: Caller, version: MicroServiceVersion) -> None:
    """Start the build of a version that was just added. A refusal stands at the button of its page."""
    try:
        builds.start(request, caller, version)
    except Problem as problem:
        refusals.keep(request, problem, reverse("console:build", args=[version.microservice.name, version.pk]))


@page()
def version_detail(request: HttpRequest, caller: Caller, name: str, number: int) -> HttpResponse:
    service = services.service(caller, name)
    version = services.version(service, number)
    pages = partial(services.instances, service, {"version": str(number)}, ())
    if file := csv_lists.file(request, tables.INSTANCES, pages, caller, f"{name}-{version.version}"):
        return file
    attempts = partial(queries.attempts, version)
    if file := csv_lists.file(request, tables.BUILDS, attempts, caller, f"{name}-{version.version}"):
        return file
    last = deployments.deployments(caller, {"service": name, "version": str(number)}, size=MAX_DEPLOYMENTS)
    context = {
        **service_context(caller, service, "versions"),
        "version": version,
        **builds.build_context(caller, service, version, query(request, "attempt")["attempt"]),
        "sent_hash": query(request, "sent")["sent"],
        "page": pages(query(request, "after")["after"]),
        "deployments": with_segments(last.rows),
        "cancel_form": bring_back(request, CancelBuildForm()),
        "bad_form": bring_back(request, MarkBadForm()),
        "delete_form": bring_back(request, DeleteVersionForm()),
    }
    return render_list(request, "service/version.html", "service/version_host_rows.html", context)


@page("admin", ("POST",), owners=True, back=("version", "name", "number"))
def delete_version(request: HttpRequest, caller: Caller, name: str, number: int) -> HttpResponse:
    """Delete a version and its package. If something still needs it, its page says what."""
    service = services.service(caller, name)
    require_scope(caller, "admin", service)
    version = services.version(service, number)
    form = DeleteVersionForm(request.POST)
    try:
        catalog.delete_version(caller, version, form.posted("reason"))
    except Problem as problem:
        keep(request, form, problem)
        return redirect_to("version", service.name, number)
    flash(request, _("%(name)s was deleted.") % {"name": version.version})
    return redirect_to("versions", service.name)
