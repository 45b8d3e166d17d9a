"""One version of a service: add it, see it, delete it. Its build is in builds.py."""

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

from .. import refusals
from ..forms.confirmations import CancelBuildForm, DeleteVersionForm, MarkBadForm
from ..forms.services import NewVersionForm
from ..queries import services
from ..refused_forms import bring_back, keep
from . import builds
from .decorators import errors_on, flash, page, post_data, query, redirect_to, require_scope
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
    context = {
        **service_context(caller, service, "versions"),
        "version": version,
        **builds.build_context(caller, service, version, query(request, "attempt")["attempt"]),
        "sent_hash": query(request, "sent")["sent"],
        "runs_on": services.instances_of_version(service, number, 100),
        "cancel_form": bring_back(request, CancelBuildForm()),
        "bad_form": bring_back(request, MarkBadForm()),
        "delete_form": bring_back(request, DeleteVersionForm()),
    }
    return render(request, "service/version.html", context)


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
