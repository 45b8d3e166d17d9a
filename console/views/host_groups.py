"""Host groups: names for the hosts that have certain labels; and the labels that forms suggest."""

from functools import partial

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _

from access.callers import Caller
from access.problems import not_found
from asset import host_groups, labels
from asset.models import HostGroup

from .. import csv_lists, tables
from ..forms.fields import without_nul
from ..forms.host_groups import HostGroupForm
from ..queries import host_groups as queries
from .decorators import errors_on, flash, page, post_data, query, redirect_to, render_list


@page()
def known_labels(request: HttpRequest, caller: Caller) -> HttpResponse:
    """Return the options that complete what is typed into a field of labels."""
    typed = without_nul(request.GET.get("labels") or request.GET.get("label", ""))
    return render(request, "host/known_labels.html", {"labels": queries.completions(caller, typed)})


@page()
def group_list(request: HttpRequest, caller: Caller) -> HttpResponse:
    pages = partial(queries.groups, caller)
    if file := csv_lists.file(request, tables.HOST_GROUPS, pages, caller):
        return file
    context = {"page": pages(query(request, "after")["after"]), "may_admin": caller.may("admin")}
    return render_list(request, "host/groups.html", "host/group_rows.html", context)


@page("admin", ("GET", "POST"), look="admin")
def new(request: HttpRequest, caller: Caller) -> HttpResponse:
    form = HostGroupForm(post_data(request), initial=query(request, "labels"))
    if request.method == "POST" and form.is_valid():
        with errors_on(form):
            group = host_groups.create(caller, form.cleaned_data)
            flash(request, _("%(name)s was added.") % {"name": group.name})
            return redirect_to("host_groups")
    context = {"form": form, "title": _("Add a host group")}
    return render(request, "host/group.html", context, status=422 if form.errors else 200)


@page("admin", ("GET", "POST"), look="admin")
def edit(request: HttpRequest, caller: Caller, number: int) -> HttpResponse:
    group = _find(number)
    saved = host_groups.shown(group)
    form = HostGroupForm(post_data(request), initial=saved | {"labels": labels.as_text(group.labels)})
    if request.method == "POST" and form.is_valid():
        with errors_on(form):
            host_groups.change(caller, group, form.cleaned_data)
            flash(request, _("%(name)s was saved.") % {"name": group.name})
            return redirect_to("host_groups")
    context = {"form": form, "saved": group, "title": saved["name"]}
    return render(request, "host/group.html", context, status=422 if form.errors else 200)


@page("admin", ("POST",), back=("host_group", "number"))
def delete(request: HttpRequest, caller: Caller, number: int) -> HttpResponse:
    group = _find(number)
    host_groups.delete(caller, group)
    flash(request, _("%(name)s was deleted.") % {"name": group.name})
    return redirect_to("host_groups")


def _find(number: int) -> HostGroup:
    group = HostGroup.objects.filter(pk=number).first()
    if group is None:
        raise not_found("host_group")
    return group
