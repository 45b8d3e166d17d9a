"""Environments: the places where services run, and which hosts are in them."""

from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from access.callers import Caller
from access.problems import not_found
from asset import environments, labels, tenancy
from asset.models import Asset, Environment

from .. import csv_lists, tables
from ..forms.environments import EnvironmentForm, EnvironmentHostsForm
from ..forms.strategy import DefaultStrategyForm
from ..queries import environments as queries
from ..queries.paging import Page
from .decorators import errors_on, flash, page, post_data, redirect_to


@page()
def environment_list(request: HttpRequest, caller: Caller) -> HttpResponse:
    rows = queries.environments(caller)
    if file := csv_lists.file(request, tables.ENVIRONMENTS, lambda **_: Page(rows), caller):
        return file
    context = {"environments": rows, "tab": "environments", "may_admin": caller.may("admin")}
    return render(request, "environments/list.html", context)


@page("admin", ("GET", "POST"), look="admin")
def new(request: HttpRequest, caller: Caller) -> HttpResponse:
    form, strategy = EnvironmentForm(post_data(request), caller=caller), DefaultStrategyForm(post_data(request), {})
    if request.method == "POST" and form.is_valid() & strategy.is_valid():
        with errors_on(form):
            made = environments.create(caller, form.values() | {"default_strategy": strategy.value})
            flash(request, _("%(name)s was added. Now choose its hosts.") % {"name": made.name})
            return redirect_to("environment", made.pk)
    context = {"title": _("Add an environment"), "form": form, "strategy": strategy}
    return render(request, "environments/page.html", context, status=422 if form.errors or strategy.errors else 200)


@page("admin", ("GET", "POST"), look="admin")
def edit(request: HttpRequest, caller: Caller, number: int) -> HttpResponse:
    environment = _find(number)
    form, strategy = _forms(caller, environment, post_data(request))
    if request.method == "POST" and form.is_valid() & strategy.is_valid():
        with errors_on(form):
            environments.change(caller, environment, form.values() | {"default_strategy": strategy.value})
            flash(request, _("%(name)s was saved.") % {"name": environment.name})
            return redirect_to("environments")
    status = 422 if form.errors or strategy.errors else 200
    return _page(request, number, (form, strategy), EnvironmentHostsForm(auto_id="hosts-%s"), status)


@page("admin", ("POST",))
def place_hosts(request: HttpRequest, caller: Caller, number: int) -> HttpResponse:
    """Bring the hosts with certain labels, or those of a group, into the environment."""
    environment = _find(number)
    form = EnvironmentHostsForm(request.POST, auto_id="hosts-%s")
    if form.is_valid():
        with errors_on(form):
            hosts = labels.find(form.selector, Asset.objects.filter(tenancy.visible(caller)))
            n = environments.place(caller, environment, hosts)
            says = ngettext(
                "%(n)s host came into %(name)s; %(all)s are there that have these labels.",
                "%(n)s hosts came into %(name)s; %(all)s are there that have these labels.",
                n,
            )
            flash(request, says % {"n": n, "name": environment.name, "all": len(hosts)})
            return redirect_to("environment", number)
    return _page(request, number, _forms(caller, environment), form, 422)


@page("admin", ("POST",), back=("environment", "number"))
def delete(request: HttpRequest, caller: Caller, number: int) -> HttpResponse:
    environment = _find(number)
    environments.delete(caller, environment)
    flash(request, _("%(name)s was deleted.") % {"name": environment.name})
    return redirect_to("environments")


def _forms(
    caller: Caller, environment: Environment, data: QueryDict | None = None
) -> tuple[EnvironmentForm, DefaultStrategyForm]:
    saved = environments.shown(environment)
    form = EnvironmentForm(data, initial=saved, environment=environment, caller=caller)
    return form, DefaultStrategyForm(data, environment.default_strategy)


def _page(
    request: HttpRequest,
    number: int,
    forms: tuple[EnvironmentForm, DefaultStrategyForm],
    hosts_form: EnvironmentHostsForm,
    status: int,
) -> HttpResponse:
    environment = _find(number)  # as it is saved
    form, strategy = forms
    context = {
        "environment": environment,
        "title": environment.name,
        "form": form,
        "strategy": strategy,
        "hosts_form": hosts_form,
        "hosts": environment.hosts.count(),
        "required_by": list(environment.required_by.values_list("name", flat=True)),
    }
    return render(request, "environments/page.html", context, status=status)


def _find(number: int) -> Environment:
    environment = Environment.objects.select_related("approvers").filter(pk=number).first()
    if environment is None:
        raise not_found("environment")
    return environment
