"""A service's pages (versions, instances, settings) and the changes outside the deployment dialogs."""

from functools import partial
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from access import url_userinfo
from access.callers import Caller
from access.problems import Problem, invalid
from microservice import catalog, instances
from microservice.catalog import ownership, visibility
from microservice.deployments import actions
from microservice.models import MicroService, MicroServiceInstance
from microservice.publishing import upload

from .. import csv_lists, tables
from ..forms.confirmations import (
    Confirmation,
    DeleteInstancesForm,
    DeleteServiceForm,
    ForgetInstancesForm,
    RetryInstancesForm,
    UnlockForm,
)
from ..forms.containers import ContainerForm
from ..forms.filters import InstanceFilters, VersionFilters
from ..forms.instances import InstanceForm
from ..forms.secrets import SecretForm, saved_secrets
from ..forms.services import NewServiceForm, PackageForm, ServiceForm, VersionForm
from ..forms.strategy import DefaultStrategyForm
from ..once import once
from ..queries import environments, host_groups, services
from ..queries.paging import MAX_COUNTED, MAX_ROWS, PAGE, Page
from ..refused_forms import bring_back, keep, ticked
from . import containers
from .all_that_match import FILTERED_BY, chosen_instances, to_instances
from .decorators import (
    errors_on,
    flash,
    page,
    page_size,
    post_data,
    posted_ids,
    query,
    redirect_to,
    render_list,
    require_scope,
)
from .maintenance import maintain
from .making import added, form_alone, in_dialog, proposed

INSTANCE_ACTIONS = ("retry", "delete", "forget", "maintain", "end_maintenance")
FORMS: dict[str, type[Confirmation]] = {
    "retry": RetryInstancesForm,
    "delete": DeleteInstancesForm,
    "forget": ForgetInstancesForm,
}


def service_context(caller: Caller, service: MicroService, tab: str) -> dict[str, Any]:
    """Return the context of the header that all of a service's pages share."""
    return {
        "service": service,
        "tab": tab,
        "overview": services.overview(service),
        "may_publish": caller.may("publish", service.pk),
        "may_admin": caller.may("admin", service.pk),
        "may_deploy": caller.may("deploy", service.pk),
        "most": upload.MAX_BYTES,
        "package_form": PackageForm(auto_id="%s"),
    }


@page(live=True)
def version_list(request: HttpRequest, caller: Caller, name: str) -> HttpResponse:
    service = services.service(caller, name)
    params = query(request, "q", "status", "after")
    pages = partial(services.versions, service, params["q"], params["status"])
    if file := csv_lists.file(request, tables.VERSIONS, pages, caller, service.name):
        return file
    versions = pages(params["after"], page_size(request, PAGE, MAX_ROWS))
    context = {
        **params,
        **service_context(caller, service, "versions"),
        "page": versions,
        "upload_form": VersionForm(auto_id="publish-%s"),
        "filters": VersionFilters(params),
    }
    return render_list(
        request, "service/versions.html", "service/version_rows.html", context, "service/versions_live.html"
    )


@page(live=True)
def instance_list(request: HttpRequest, caller: Caller, name: str) -> HttpResponse:
    service = services.service(caller, name)
    params = query(request, *FILTERED_BY, "after")
    after = params.pop("after")
    filters = InstanceFilters(params, host_groups.group_names(), environments.names())
    pages = partial(services.instances, service, params, filters.selectors())
    if file := csv_lists.file(request, tables.INSTANCES, pages, caller, service.name):
        return file
    rows = pages(after, page_size(request, PAGE, MAX_ROWS))
    for instance in rows:
        instance.unlock_form = bring_back(request, UnlockForm(instance=instance.pk)) if instance.locked else None
    forms = {name: form() for name, form in FORMS.items()}
    was_ticked = next((found for form in forms.values() if (found := ticked(request, form))), [])
    context = {
        **params,
        **service_context(caller, service, "instances"),
        "page": rows,
        "filters": filters,
        "filtered": any(params.values()),
        "filtered_by": {name: value for name, value in params.items() if value},
        "most_at_once": MAX_COUNTED,
        **{f"{name}_form": bring_back(request, form) for name, form in forms.items()},
        "ticked": was_ticked,
    }
    return render_list(
        request, "service/instances.html", "service/instance_rows.html", context, "service/instances_live.html"
    )


@page("admin", ("GET", "POST"), owners=True)
def service_settings(request: HttpRequest, caller: Caller, name: str) -> HttpResponse:
    service = services.service(caller, name)
    if file := csv_lists.file(request, tables.SECRETS, lambda **_: Page(saved_secrets(service)), caller, name):
        return file
    before = {field: getattr(service, field) for field in ServiceForm.base_fields}
    before |= {
        "environment": visibility.environment(caller, service),
        "build_url": url_userinfo.hidden(service.build_url),
    }
    may_build = caller.may("build", service.pk)
    form = ServiceForm(post_data(request), initial=before, may_build=may_build, caller=caller)
    strategy = DefaultStrategyForm(post_data(request), service.default_strategy)
    auto_strategy = DefaultStrategyForm(post_data(request), service.auto_deploy_strategy, "auto-strategy")
    container = ContainerForm.as_typed(post_data(request))
    filling = containers.BUTTON in request.POST
    if request.method == "POST":
        require_scope(caller, "admin", service)  # these commands run on hosts
        if filling:
            data, container = containers.filled(request.POST, form, service)
            form = ServiceForm(data, initial=before, may_build=may_build, caller=caller)
        elif form.is_valid() & strategy.is_valid() & auto_strategy.is_valid():
            with errors_on(form):
                fields = form.changed() | {"default_strategy": strategy.value}
                fields["auto_deploy_strategy"] = auto_strategy.value
                if not visibility.sees_values(caller, service.pk):
                    fields.pop("environment", None)  # the caller cannot see the values, so did not change them
                catalog.change_service(caller, service, fields)
                flash(request, _("%(name)s was saved.") % {"name": service.name})
                return redirect_to("service_settings", service.name)
    context = {
        **service_context(caller, service, "settings"),
        "form": form,
        "strategy": strategy,
        "auto_strategy": auto_strategy,
        "container": container,
        "filled": filling and not container.errors,
        "kept": saved_secrets(service),
        "secret_form": bring_back(request, SecretForm(auto_id="secret_%s")),
        "delete_form": bring_back(request, DeleteServiceForm(service=service.name)),
    }
    return render(
        request,
        "service/settings.html",
        context,
        status=422 if any(one.errors for one in (form, strategy, auto_strategy, container)) else 200,
    )


@page("admin", ("GET", "POST"), look="admin", owners=True)
def new(request: HttpRequest, caller: Caller) -> HttpResponse:
    own = ownership.only_team(caller)
    form = NewServiceForm(post_data(request), initial=proposed(request) | own, caller=caller)
    if request.method == "POST" and form.is_valid():
        with errors_on(form):
            service = catalog.create_service(
                caller, own | {name: one for name, one in form.cleaned_data.items() if one}
            )
            text = _("%(name)s was added. Now set its start, stop and check commands.")
            return added(
                request, service, service.name, text % {"name": service.name}, "service_settings", service.name
            )
    if in_dialog(request):
        return form_alone(request, form, _("Add a service"), _("Add service"))
    return render(
        request, "service/new.html", {"form": form, "title": _("Add a service")}, status=422 if form.errors else 200
    )


@page("admin", ("POST",), owners=True, back=("service_settings", "name"))
def delete_service(request: HttpRequest, caller: Caller, name: str) -> HttpResponse:
    """Delete a service with its versions and packages, if its name was typed to confirm."""
    service = services.service(caller, name)
    require_scope(caller, "admin", service)
    form = DeleteServiceForm(request.POST, service=service.name)
    try:
        if form.posted("name") != service.name:
            raise invalid("/name", "not_service_name")
        catalog.delete_service(caller, service)
    except Problem as problem:
        keep(request, form, problem)
        return redirect_to("service_settings", service.name)
    flash(request, _("%(name)s was deleted.") % {"name": service.name})
    return redirect_to("fleet")


@page("deploy", ("POST",), back=("instances", "name"))
def change_instances(request: HttpRequest, caller: Caller, name: str) -> HttpResponse:
    """Apply the chosen action to the selected instances."""
    service = services.service(caller, name)
    require_scope(caller, "deploy", service)
    selected, action = posted_ids(request, "instance"), request.POST.get("what", "")
    form = FORMS.get(action, ForgetInstancesForm)(request.POST)
    try:
        selected = chosen_instances(request, service, action, forced=action == "retry" and form.posted("force"))
        if not selected:
            raise invalid("/instance", "no_instance_selected")
        if action in ("retry", "delete"):
            fingerprint = f"{service.pk} {action} {sorted(selected)}"
            run = partial(actions.delete, caller, service, tuple(selected), note=form.posted("note"))
            if action == "retry":
                options = {"note": form.posted("note"), "force": form.posted("force")}
                run = partial(actions.retry_instances, caller, service, tuple(selected), **options)
            return redirect_to("deployment", once(caller, request.POST.get("key", ""), fingerprint, run))
        if action == "forget":
            n = len(actions.forget(caller, service, tuple(selected), form.posted("reason")))
            text = ngettext("%(n)s instance was forgotten.", "%(n)s instances were forgotten.", n)
            flash(request, text % {"n": n})
            return to_instances(request, service)
        if action not in ("maintain", "end_maintenance"):
            raise invalid("/what", "not_one_of", choices=INSTANCE_ACTIONS)
        maintain(request, caller, service, selected, begun=action == "maintain")
    except Problem as problem:
        keep(request, form, problem, ticked=[] if "all" in request.POST else selected)
    return to_instances(request, service)


@page("deploy", ("GET", "POST"))
def edit_instance(request: HttpRequest, caller: Caller, name: str, number: int) -> HttpResponse:
    """Change an instance's port, tag, weight and description; deployments change its version."""
    service = services.service(caller, name)
    instance = services.instance(service, number)
    form = InstanceForm(
        post_data(request), initial={field: getattr(instance, field) for field in InstanceForm.base_fields}
    )
    if request.method == "POST":
        require_scope(caller, "deploy", service)
        if form.is_valid():
            with errors_on(form):
                instances.change(caller, instance, form.cleaned_data)
                flash(request, _saved_text(instance, form.changed_data))
                return redirect_to("instances", service.name)
    context = {**service_context(caller, service, "instances"), "form": form, "instance": instance}
    return render(request, "service/instance.html", context, status=422 if form.errors else 200)


def _saved_text(instance: MicroServiceInstance, changed: list[str]) -> str:
    text = _("%(instance)s was saved.") % {"instance": instance}
    if instance.version_id and instances.LOCKED_FIELDS.intersection(changed):
        text += " " + _("The running process keeps the old values; the next operation uses the new ones.")
    return text


@page("deploy", ("POST",), back=("instances", "name"))
def unlock(request: HttpRequest, caller: Caller, name: str, number: int) -> HttpResponse:
    """Force-unlock one instance, with a reason."""
    service = services.service(caller, name)
    require_scope(caller, "deploy", service)
    form = UnlockForm(request.POST, instance=number)
    try:
        instance = services.instance(service, number)
        actions.break_lock(caller, instance, form.posted("reason"))
        flash(request, _("%(instance)s was unlocked.") % {"instance": instance})
    except Problem as problem:
        keep(request, form, problem)
    return redirect_to("instances", service.name)
