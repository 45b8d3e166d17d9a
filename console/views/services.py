"""A service's pages: versions, instances, settings; and what is done to them that is no deployment's dialog."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from access import url_userinfo
from access.callers import Caller
from access.problems import Problem, forbidden, invalid
from builds import build_requests
from microservice import catalog
from microservice import instances as instance_changes
from microservice.catalog import ownership, visibility
from microservice.deployments import actions
from microservice.models import MicroService, MicroServiceInstance, MicroServiceVersion
from microservice.publishing import upload
from microservice.status import BuildStatus

from ..forms.instances import InstanceForm
from ..forms.secrets import SecretForm, kept
from ..forms.services import NewServiceForm, ServiceForm, VersionForm
from ..once import once
from ..queries import services
from ..queries.paging import MOST, PAGE
from . import builds
from .decorators import (
    errors_on,
    flash,
    flash_problem,
    ids,
    page,
    page_size,
    post_data,
    query,
    redirect_to,
    render_list,
)


def frame(caller: Caller, service: MicroService, tab: str) -> dict:
    """What the head of each of a service's pages needs."""
    return {
        "service": service,
        "tab": tab,
        "overview": services.overview(service),
        "may_publish": caller.may("publish", service.pk),
        "may_admin": caller.may("admin", service.pk),
        "may_deploy": caller.may("deploy", service.pk),
        "most": upload.MAX_BYTES,
    }


@page(live=True)
def versions(request: HttpRequest, caller: Caller, name: str) -> HttpResponse:
    service = services.service(caller, name)
    asked = query(request, "q", "status", "after")
    found = services.versions(service, **asked, size=page_size(request, PAGE, MOST))
    context = {**asked, **frame(caller, service, "versions"), "page": found}
    return render_list(
        request, "service/versions.html", "service/version_rows.html", context, "service/versions_live.html"
    )


@page(live=True)
def instances(request: HttpRequest, caller: Caller, name: str) -> HttpResponse:
    service = services.service(caller, name)
    asked = query(request, "q", "state", "version", "after")
    after = asked.pop("after")
    context = {
        **asked,
        **frame(caller, service, "instances"),
        "page": services.instances(service, asked, after, page_size(request, PAGE, MOST)),
        "filtered": any(asked.values()),
    }
    return render_list(
        request, "service/instances.html", "service/instance_rows.html", context, "service/instances_live.html"
    )


@page("admin", ("GET", "POST"), owners=True)
def settings(request: HttpRequest, caller: Caller, name: str) -> HttpResponse:
    service = services.service(caller, name)
    before = {field: getattr(service, field) for field in ServiceForm.base_fields}
    before |= {
        "environment": visibility.environment(caller, service),
        "build_url": url_userinfo.hidden(service.build_url),
    }
    form = ServiceForm(post_data(request), initial=before, may_build=caller.may("build", service.pk))
    if request.method == "POST":
        require_scope(caller, "admin", service)  # what is said here runs on hosts
        if form.is_valid():
            with errors_on(form):
                fields = form.changed()
                if not visibility.sees_values(caller, service.pk):
                    fields.pop("environment", None)  # whoever does not see the values cannot have meant to change them
                catalog.change_service(caller, service, fields)
                flash(request, _("%(name)s was saved.") % {"name": service.name})
                return redirect_to("service_settings", service.name)
    context = {
        **frame(caller, service, "settings"),
        "form": form,
        "kept": kept(service),
        "secret_form": SecretForm(auto_id="secret_%s"),
    }
    return render(request, "service/settings.html", context, status=422 if form.errors else 200)


@page("admin", ("GET", "POST"), look="admin", owners=True)
def new(request: HttpRequest, caller: Caller) -> HttpResponse:
    form = NewServiceForm(post_data(request))
    if request.method == "POST" and form.is_valid():
        with errors_on(form):
            service = catalog.create_service(caller, form.cleaned_data | ownership.only_team(caller))
            said = _("%(name)s was added. Say how it is started, stopped and checked.")
            flash(request, said % {"name": service.name})
            return redirect_to("service_settings", service.name)
    return render(request, "service/new.html", {"form": form}, status=422 if form.errors else 200)


@page("publish", ("GET", "POST"))
def new_version(request: HttpRequest, caller: Caller, name: str) -> HttpResponse:
    service = services.service(caller, name)
    form = VersionForm(post_data(request), initial={"ref": query(request, "ref")["ref"] or "master"})
    if request.method == "POST":
        require_scope(caller, "publish", service)
        if form.is_valid():
            with errors_on(form):
                version = catalog.create_version(caller, service, form.cleaned_data)[0]
                if request.POST.get("then") == "build":
                    return builds.build(request, name=service.name, number=version.pk)
                return redirect_to("version", service.name, version.pk)
    unborn = MicroServiceVersion(microservice=service, status=BuildStatus.PENDING)
    context = {**frame(caller, service, "versions"), "form": form, "why_no_build": build_requests.start_refusal(unborn)}
    return render(request, "service/new_version.html", context, status=422 if form.errors else 200)


@page()
def version(request: HttpRequest, caller: Caller, name: str, number: int) -> HttpResponse:
    service = services.service(caller, name)
    found = services.version(service, number)
    context = {
        **frame(caller, service, "versions"),
        "version": found,
        **builds.shown(caller, service, found, query(request, "attempt")["attempt"]),
        "sent_hash": query(request, "sent")["sent"],
        "runs_on": services.instances_of_version(service, number, 100),
    }
    return render(request, "service/version.html", context)


@page("admin", ("POST",), owners=True)
def delete_version(request: HttpRequest, caller: Caller, name: str, number: int) -> HttpResponse:
    """Removes a version and its package; where something still needs it, its page says what."""
    service = services.service(caller, name)
    require_scope(caller, "admin", service)
    found = services.version(service, number)
    try:
        catalog.delete_version(caller, found, request.POST.get("reason", ""))
    except Problem as problem:
        flash_problem(request, problem)
        return redirect_to("version", service.name, number)
    flash(request, _("%(name)s was deleted.") % {"name": found.version})
    return redirect_to("service", service.name)


@page("admin", ("POST",), owners=True)
def delete_service(request: HttpRequest, caller: Caller, name: str) -> HttpResponse:
    """Removes a service with its versions and packages, when its name was typed once more."""
    service = services.service(caller, name)
    require_scope(caller, "admin", service)
    try:
        if request.POST.get("name", "") != service.name:
            raise invalid("/name", "must be the service's name")
        catalog.delete_service(caller, service)
    except Problem as problem:
        flash_problem(request, problem)
        return redirect_to("service_settings", service.name)
    flash(request, _("%(name)s was deleted.") % {"name": service.name})
    return redirect_to("fleet")


@page("deploy", ("POST",))
def change_instances(request: HttpRequest, caller: Caller, name: str) -> HttpResponse:
    """What was chosen for the instances that were ticked: retry, delete, or maintenance on or off."""
    service = services.service(caller, name)
    require_scope(caller, "deploy", service)
    chosen, what = ids(request, "instance"), request.POST.get("what", "")
    try:
        if not chosen:
            raise invalid("/instance", "tick at least one instance")
        if what in ("retry", "delete"):
            start = actions.retry_instances if what == "retry" else actions.delete
            asked = f"{service.pk} {what} {sorted(chosen)}"
            made = once(caller, request.POST.get("key", ""), asked, lambda: start(caller, service, chosen))
            return redirect_to("deployment", made)
        if what == "forget":
            n = len(actions.forget(caller, service, chosen, request.POST.get("reason", "")))
            said = ngettext("%(n)s instance was forgotten.", "%(n)s instances were forgotten.", n)
            flash(request, said % {"n": n})
            return redirect_to("instances", service.name)
        if what not in ("maintain", "end_maintenance"):
            raise invalid("/what", "is none of retry, delete, forget, maintain and end_maintenance")
        instance_changes.set_maintenance(caller, service, chosen, what == "maintain")
        flash(request, _maintained(len(chosen), what == "maintain"))
    except Problem as problem:
        flash_problem(request, problem)
    return redirect_to("instances", service.name)


@page("deploy", ("GET", "POST"))
def edit_instance(request: HttpRequest, caller: Caller, name: str, number: int) -> HttpResponse:
    """How one instance is known and reached; what runs there is changed by deployments."""
    service = services.service(caller, name)
    instance = services.instance(service, number)
    form = InstanceForm(
        post_data(request), initial={field: getattr(instance, field) for field in InstanceForm.base_fields}
    )
    if request.method == "POST":
        require_scope(caller, "deploy", service)
        if form.is_valid():
            with errors_on(form):
                instance_changes.change(caller, instance, form.cleaned_data)
                flash(request, _saved(instance, form.changed_data))
                return redirect_to("instances", service.name)
    context = {**frame(caller, service, "instances"), "form": form, "instance": instance}
    return render(request, "service/instance.html", context, status=422 if form.errors else 200)


def _saved(instance: MicroServiceInstance, changed: list[str]) -> str:
    said = _("%(instance)s was saved.") % {"instance": instance}
    if instance.version_id and instance_changes.LOCKED_FIELDS.intersection(changed):
        said += " " + _("What runs there was started with the old values; its next operation uses the new ones.")
    return said


@page("deploy", ("POST",))
def unlock(request: HttpRequest, caller: Caller, name: str, number: int) -> HttpResponse:
    """Breaks one instance's lock, with a reason."""
    service = services.service(caller, name)
    require_scope(caller, "deploy", service)
    try:
        instance = services.instance(service, number)
        actions.break_lock(caller, instance, request.POST.get("reason", ""))
        flash(request, _("The lock of %(instance)s was broken.") % {"instance": instance})
    except Problem as problem:
        flash_problem(request, problem)
    return redirect_to("instances", service.name)


def _maintained(n: int, begun: bool) -> str:
    if begun:
        said = ngettext("%(n)s instance now in maintenance.", "%(n)s instances now in maintenance.", n)
    else:
        said = ngettext("%(n)s instance no longer in maintenance.", "%(n)s instances no longer in maintenance.", n)
    return said % {"n": n}


def require_scope(caller: Caller, scope: str, service: MicroService) -> None:
    if not caller.may(scope, service.pk):
        raise forbidden(f"You need the right “{scope}” for {service.name}.", "Ask an administrator for it.")
