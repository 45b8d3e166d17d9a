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
from .decorators import blaming, complain, go, ids, page, rows, say, sent, show, wanted


def frame(caller: Caller, service: MicroService, tab: str) -> dict:
    """What the head of each of a service's pages needs."""
    return {
        "service": service,
        "tab": tab,
        "overview": services.overview(service),
        "may_publish": caller.may("publish", service.pk),
        "may_admin": caller.may("admin", service.pk),
        "may_deploy": caller.may("deploy", service.pk),
        "most": upload.LIMIT,
    }


@page(live=True)
def versions(request: HttpRequest, caller: Caller, name: str) -> HttpResponse:
    service = services.service(caller, name)
    asked = wanted(request, "q", "status", "after")
    found = services.versions(service, **asked, size=rows(request, PAGE, MOST))
    context = {**asked, **frame(caller, service, "versions"), "page": found}
    return show(request, "service/versions.html", "service/version_rows.html", context, "service/versions_live.html")


@page(live=True)
def instances(request: HttpRequest, caller: Caller, name: str) -> HttpResponse:
    service = services.service(caller, name)
    asked = wanted(request, "q", "state", "version", "after")
    after = asked.pop("after")
    context = {
        **asked,
        **frame(caller, service, "instances"),
        "page": services.instances(service, asked, after, rows(request, PAGE, MOST)),
        "filtered": any(asked.values()),
    }
    return show(request, "service/instances.html", "service/instance_rows.html", context, "service/instances_live.html")


@page("admin", ("GET", "POST"), owners=True)
def settings(request: HttpRequest, caller: Caller, name: str) -> HttpResponse:
    service = services.service(caller, name)
    before = {field: getattr(service, field) for field in ServiceForm.base_fields}
    before |= {
        "environment": visibility.environment(caller, service),
        "build_url": url_userinfo.hidden(service.build_url),
    }
    form = ServiceForm(sent(request), initial=before, may_build=caller.may("build", service.pk))
    if request.method == "POST":
        _must(caller, "admin", service)  # what is said here runs on hosts
        if form.is_valid():
            with blaming(form):
                fields = form.changed()
                if not visibility.sees_values(caller, service.pk):
                    fields.pop("environment", None)  # whoever does not see the values cannot have meant to change them
                catalog.change_service(caller, service, fields)
                say(request, _("%(name)s was saved.") % {"name": service.name})
                return go("service_settings", service.name)
    context = {
        **frame(caller, service, "settings"),
        "form": form,
        "kept": kept(service),
        "secret_form": SecretForm(auto_id="secret_%s"),
    }
    return render(request, "service/settings.html", context, status=422 if form.errors else 200)


@page("admin", ("GET", "POST"), look="admin", owners=True)
def new(request: HttpRequest, caller: Caller) -> HttpResponse:
    form = NewServiceForm(sent(request))
    if request.method == "POST" and form.is_valid():
        with blaming(form):
            service = catalog.create_service(caller, form.cleaned_data | ownership.team_for(caller))
            said = _("%(name)s was added. Say how it is started, stopped and checked.")
            say(request, said % {"name": service.name})
            return go("service_settings", service.name)
    return render(request, "service/new.html", {"form": form}, status=422 if form.errors else 200)


@page("publish", ("GET", "POST"))
def new_version(request: HttpRequest, caller: Caller, name: str) -> HttpResponse:
    service = services.service(caller, name)
    form = VersionForm(sent(request), initial={"ref": wanted(request, "ref")["ref"] or "master"})
    if request.method == "POST":
        _must(caller, "publish", service)
        if form.is_valid():
            with blaming(form):
                version = catalog.create_version(caller, service, form.cleaned_data)[0]
                if request.POST.get("then") == "build":
                    return builds.build(request, name=service.name, number=version.pk)
                return go("version", service.name, version.pk)
    unborn = MicroServiceVersion(microservice=service, status=BuildStatus.PENDING)
    context = {**frame(caller, service, "versions"), "form": form, "why_no_build": build_requests.why_not(unborn)}
    return render(request, "service/new_version.html", context, status=422 if form.errors else 200)


@page()
def version(request: HttpRequest, caller: Caller, name: str, number: int) -> HttpResponse:
    service = services.service(caller, name)
    found = services.version(service, number)
    context = {
        **frame(caller, service, "versions"),
        "version": found,
        **builds.shown(caller, service, found, wanted(request, "attempt")["attempt"]),
        "sent_hash": wanted(request, "sent")["sent"],
        "runs_on": services.instances_of_version(service, number, 100),
    }
    return render(request, "service/version.html", context)


@page("admin", ("POST",), owners=True)
def delete_version(request: HttpRequest, caller: Caller, name: str, number: int) -> HttpResponse:
    """Removes a version and its package; where something still needs it, its page says what."""
    service = services.service(caller, name)
    _must(caller, "admin", service)
    found = services.version(service, number)
    try:
        catalog.delete_version(caller, found, request.POST.get("reason", ""))
    except Problem as problem:
        complain(request, problem)
        return go("version", service.name, number)
    say(request, _("%(name)s was deleted.") % {"name": found.version})
    return go("service", service.name)


@page("admin", ("POST",), owners=True)
def delete_service(request: HttpRequest, caller: Caller, name: str) -> HttpResponse:
    """Removes a service with its versions and packages, when its name was typed once more."""
    service = services.service(caller, name)
    _must(caller, "admin", service)
    try:
        if request.POST.get("name", "") != service.name:
            raise invalid("/name", "must be the service's name")
        catalog.delete_service(caller, service)
    except Problem as problem:
        complain(request, problem)
        return go("service_settings", service.name)
    say(request, _("%(name)s was deleted.") % {"name": service.name})
    return go("fleet")


@page("deploy", ("POST",))
def change_instances(request: HttpRequest, caller: Caller, name: str) -> HttpResponse:
    """What was chosen for the instances that were ticked: retry, delete, or maintenance on or off."""
    service = services.service(caller, name)
    _must(caller, "deploy", service)
    chosen, what = ids(request, "instance"), request.POST.get("what", "")
    try:
        if not chosen:
            raise invalid("/instance", "tick at least one instance")
        if what in ("retry", "delete"):
            start = actions.retry_instances if what == "retry" else actions.delete
            asked = f"{service.pk} {what} {sorted(chosen)}"
            made = once(caller, request.POST.get("key", ""), asked, lambda: start(caller, service, chosen))
            return go("deployment", made)
        if what == "forget":
            n = len(actions.forget(caller, service, chosen, request.POST.get("reason", "")))
            said = ngettext("%(n)s instance was forgotten.", "%(n)s instances were forgotten.", n)
            say(request, said % {"n": n})
            return go("instances", service.name)
        if what not in ("maintain", "end_maintenance"):
            raise invalid("/what", "is none of retry, delete, forget, maintain and end_maintenance")
        instance_changes.keep_out(caller, service, chosen, what == "maintain")
        say(request, _maintained(len(chosen), what == "maintain"))
    except Problem as problem:
        complain(request, problem)
    return go("instances", service.name)


@page("deploy", ("GET", "POST"))
def edit_instance(request: HttpRequest, caller: Caller, name: str, number: int) -> HttpResponse:
    """How one instance is known and reached; what runs there is changed by deployments."""
    service = services.service(caller, name)
    instance = services.instance(service, number)
    form = InstanceForm(sent(request), initial={field: getattr(instance, field) for field in InstanceForm.base_fields})
    if request.method == "POST":
        _must(caller, "deploy", service)
        if form.is_valid():
            with blaming(form):
                instance_changes.change(caller, instance, form.cleaned_data)
                say(request, _saved(instance, form.changed_data))
                return go("instances", service.name)
    context = {**frame(caller, service, "instances"), "form": form, "instance": instance}
    return render(request, "service/instance.html", context, status=422 if form.errors else 200)


def _saved(instance: MicroServiceInstance, changed: list[str]) -> str:
    said = _("%(instance)s was saved.") % {"instance": instance}
    if instance.version_id and instance_changes.SEEN_BY_COMMANDS.intersection(changed):
        said += " " + _("What runs there was started with the old values; its next operation uses the new ones.")
    return said


@page("deploy", ("POST",))
def unlock(request: HttpRequest, caller: Caller, name: str, number: int) -> HttpResponse:
    """Breaks one instance's lock, with a reason."""
    service = services.service(caller, name)
    _must(caller, "deploy", service)
    try:
        instance = services.instance(service, number)
        actions.break_lock(caller, instance, request.POST.get("reason", ""))
        say(request, _("The lock of %(instance)s was broken.") % {"instance": instance})
    except Problem as problem:
        complain(request, problem)
    return go("instances", service.name)


def _maintained(n: int, begun: bool) -> str:
    if begun:
        said = ngettext("%(n)s instance now in maintenance.", "%(n)s instances now in maintenance.", n)
    else:
        said = ngettext("%(n)s instance no longer in maintenance.", "%(n)s instances no longer in maintenance.", n)
    return said % {"n": n}


def _must(caller: Caller, scope: str, service: MicroService) -> None:
    if not caller.may(scope, service.pk):
        raise forbidden(f"You need the right “{scope}” for {service.name}.", "Ask an administrator for it.")
