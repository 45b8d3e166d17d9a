"""Hosts: add, see, check, trust, change, archive, import."""

from functools import partial
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

import asset.hosts
from access.callers import Caller
from access.problems import Problem
from asset import host_check, host_keys, imports
from asset.models import Asset
from microservice.deployments import actions

from .. import csv_lists, tables
from ..forms.confirmations import ArchiveHostForm, EnvironmentChangeForm, LabelChangeForm, TrustKeyForm
from ..forms.filters import HostFilters
from ..forms.hosts import HostForm
from ..forms.imports import HostImportForm
from ..forms.services import add_problem
from ..queries import environments, host_groups, hosts
from ..queries.paging import MAX_COUNTED, MAX_ROWS, PAGE
from ..refused_forms import bring_back, keep, ticked
from .decorators import (
    errors_on,
    flash,
    page,
    page_size,
    post_data,
    query,
    redirect_to,
    render_list,
    wants_next_rows,
)
from .host_labels import FILTERED_BY
from .making import added, form_alone, in_dialog, proposed

FINDING = "host_finding"  # session key: [host id, result of a check]
PASTED_FINGERPRINT = "host_key_named"  # session key: [host id, fingerprint that could not be compared yet]


@page(live=True)
def host_list(request: HttpRequest, caller: Caller) -> HttpResponse:
    params = query(request, *FILTERED_BY, "after")
    after = params.pop("after")
    names = environments.names()
    filters = HostFilters(params, host_groups.group_names(), names, hosts.teams(caller))
    pages = partial(hosts.hosts, caller, params, filters.selectors())
    if file := csv_lists.file(request, tables.HOSTS, pages, caller):
        return file
    label_form, environment_form = LabelChangeForm(), EnvironmentChangeForm(names=names)
    context = {
        **params,
        "page": pages(after, page_size(request, PAGE, MAX_ROWS)),
        "filters": filters,
        "filtered_by": {name: value for name, value in params.items() if value},
        "most_at_once": MAX_COUNTED,
        "ticked": ticked(request, label_form) or ticked(request, environment_form),
        "label_form": bring_back(request, label_form),
        "environment_form": bring_back(request, environment_form) if names else None,
        "filtered": any(params.values()),
        "archived": params["state"] == hosts.ARCHIVED,
        "may_admin": caller.may("admin"),
    }
    return render_list(request, "host/list.html", "host/list_rows.html", context, "host/list_live.html")


@page("admin", ("GET", "POST"), look="admin")
def new(request: HttpRequest, caller: Caller) -> HttpResponse:
    form = HostForm(post_data(request), initial=proposed(request, "hostname"), caller=caller)
    if request.method == "POST" and form.is_valid():
        with errors_on(form):
            host = asset.hosts.create(caller, form.values())
            _check(request, caller, host, form.fingerprint)
            says = _("%(name)s was added.") % {"name": host.hostname}
            return added(request, host, host.hostname, says, "host", host.pk)
    if in_dialog(request):
        return form_alone(request, form, _("Add a host"), _("Add host"))
    context = {"form": form, "title": _("Add a host")}
    return render(request, "host/edit.html", context, status=422 if form.errors else 200)


@page("admin", ("GET", "POST"))
def edit(request: HttpRequest, caller: Caller, number: int) -> HttpResponse:
    host = hosts.host(caller, number)
    before = asset.hosts.shown(host)
    chosen = {"credential_id": host.credential, "jump_host_id": host.jump_host}
    form = HostForm(post_data(request), initial=before | chosen, caller=caller)
    if request.method == "POST" and form.is_valid():
        with errors_on(form):
            asset.hosts.change(caller, host, form.values())
            flash(request, _("%(name)s was saved.") % {"name": host.hostname})
            moved = any(before[name] != getattr(host, name) for name in asset.hosts.CONNECTION_FIELDS)
            if form.fingerprint or moved:
                _check(request, caller, host, form.fingerprint)
            return redirect_to("host", host.pk)
    context = {"form": form, "saved": host, "title": _("Edit %(host)s") % {"host": host.hostname}}
    return render(request, "host/edit.html", context, status=422 if form.errors else 200)


@page("admin", ("GET", "POST"), look="admin")
def import_hosts(request: HttpRequest, caller: Caller) -> HttpResponse:
    """Import many hosts from a file. Its rows are checked and shown first, and imported on the next submit."""
    form = HostImportForm(post_data(request), request.FILES or None)
    context: dict[str, Any] = {"checked": None, "problem": None, "fields": ", ".join(imports.FIELDS)}
    if request.method == "POST" and form.is_valid():
        sent, text = form, {"text": form.cleaned_data["text"]}
        form = HostImportForm(initial=text)  # browsers do not send a file twice
        try:
            checked = imports.check_many(sent.rows())
            if request.POST.get("then") == "import":
                n = len(imports.create(caller, checked))
                flash(request, ngettext("%(n)s host was added.", "%(n)s hosts were added.", n) % {"n": n})
                return redirect_to("hosts")
            context["checked"] = checked
        except Problem as problem:
            if [error.pointer for error in problem.field_errors] == ["/text"]:
                form = HostImportForm(text)
                add_problem(form, problem)
            else:
                context["problem"] = problem
    status = 422 if form.errors else context["problem"].status if context["problem"] else 200
    return render(request, "host/import.html", context | {"form": form}, status=status)


@page(live=True)
def host_detail(request: HttpRequest, caller: Caller, number: int) -> HttpResponse:
    host = hosts.host(caller, number)
    pages = partial(hosts.instances_on, host, caller)
    if file := csv_lists.file(request, tables.INSTANCES, pages, caller, host.hostname):
        return file
    if wants_next_rows(request):
        return render(request, "host/instance_rows.html", {"page": pages(query(request, "after")["after"])})
    checked, finding = request.session.pop(FINDING, (0, None)) if "HX-Request" not in request.headers else (0, None)
    return _page(request, caller, host, finding if checked == number else None)


@page("deploy", ("POST",), back=("host", "number"))
def check(request: HttpRequest, caller: Caller, number: int) -> HttpResponse:
    """Check the host now and show the result on its page; at most 10 s."""
    finding = host_check.check(hosts.host(caller, number), caller)
    return _page(request, caller, hosts.host(caller, number), finding)


@page("admin", ("POST",), back=("host", "number"))
def trust(request: HttpRequest, caller: Caller, number: int) -> HttpResponse:
    """Pin the key with the submitted fingerprint, which the user has compared, and check the host with it."""
    host = hosts.host(caller, number)
    form = TrustKeyForm(request.POST)
    try:
        host_check.trust(host, form.posted("fingerprint"), caller)
    except Problem as problem:
        keep(request, form, problem)
        return redirect_to("host", host.pk)
    flash(request, _("The host key of %(name)s is now trusted.") % {"name": host.hostname})
    _check(request, caller, host)
    return redirect_to("host", host.pk)


@page("admin", ("POST",), back=("host", "number"))
def delete(request: HttpRequest, caller: Caller, number: int) -> HttpResponse:
    host = hosts.host(caller, number)
    asset.hosts.delete(caller, host)
    flash(request, _("%(name)s was deleted.") % {"name": host.hostname})
    return redirect_to("hosts")


@page("admin", ("POST",), back=("host", "number"))
def archive(request: HttpRequest, caller: Caller, number: int) -> HttpResponse:
    """Hide a host from every list; `forget` also forgets the instances installed on it."""
    host, form = hosts.host(caller, number), ArchiveHostForm(request.POST)
    try:
        actions.archive_host(caller, host, form.posted("reason"), form.posted("forget"))
        flash(request, _("%(name)s was archived.") % {"name": host.hostname})
    except Problem as problem:
        keep(request, form, problem)
    return redirect_to("host", number)


@page("admin", ("POST",), back=("host", "number"))
def unarchive(request: HttpRequest, caller: Caller, number: int) -> HttpResponse:
    host = hosts.host(caller, number)
    asset.hosts.unarchive(caller, host)
    flash(request, _("%(name)s was unarchived.") % {"name": host.hostname})
    return redirect_to("host", number)


def _check(request: HttpRequest, caller: Caller, host: Asset, fingerprint: str = "") -> None:
    """Check the host, after pinning the key with the given fingerprint. Its page shows the result.

    The result is kept in the session for one view, so that a reload submits nothing again.
    """
    if fingerprint:
        try:
            host_check.trust(host, fingerprint, caller)
            request.session.pop(PASTED_FINGERPRINT, None)
            flash(request, _("The host key of %(name)s is now trusted.") % {"name": host.hostname})
        except Problem as problem:
            keep(request, TrustKeyForm({"fingerprint": fingerprint}), problem)
            if problem.code == "host_unreachable":  # its page says so by now
                # It need not be pasted again once the host is up.
                request.session[PASTED_FINGERPRINT] = [host.pk, fingerprint]
                return
    finding = host_check.check(host, caller) | {"checked": ""}
    request.session[FINDING] = [host.pk, finding]


def _page(request: HttpRequest, caller: Caller, host: Asset, finding: dict[str, Any] | None = None) -> HttpResponse:
    is_part = "HX-Request" in request.headers  # shared by all viewers: nothing from a session
    pasted_for, fingerprint = (0, "") if is_part else request.session.get(PASTED_FINGERPRINT, (0, ""))
    trust_form = TrustKeyForm(initial={"fingerprint": fingerprint if pasted_for == host.pk else ""})
    context = {
        "trust_form": bring_back(request, trust_form),
        "archive_form": bring_back(request, ArchiveHostForm()),
        "host": host,
        "groups": host_groups.groups_of(host),
        "page": hosts.instances_on(host, caller, size=page_size(request, PAGE, MAX_ROWS)),
        "installed": host.instances.count(),
        "ran_once": host.operations.exists(),
        "finding": finding,
        "pinned": _fingerprint(host.host_key),
        "offered": _fingerprint((finding or {}).get("offered_key") or host.offered_key),
        "show_trust": not host.host_key
        or bool(finding and finding["key_changed"])
        or bool(host.offered_key or trust_form.is_bound),
        "may_admin": caller.may("admin"),
        "may_deploy": caller.may_anywhere("deploy"),
    }
    part = "host/page_live.html" if is_part else "host/page.html"
    return render(request, part, context)


def _fingerprint(key: str) -> str:
    """Return a key's fingerprint, or "" if there is no key or the host offered something unreadable."""
    try:
        return host_keys.fingerprint(key) if key else ""
    except ValueError:
        return ""
