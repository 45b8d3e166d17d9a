"""Hosts and credentials."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from access.callers import Caller
from access.problems import Problem, not_found
from asset import credential_test, credentials, host_check, host_keys, imports
from asset import hosts as host_changes
from asset.models import Asset, Credential
from messages.rendering import with_hint
from microservice.deployments import actions

from ..forms.credentials import CredentialChangeForm, CredentialForm
from ..forms.hosts import HostForm
from ..forms.imports import HostImportForm
from ..queries import hosts as found
from ..queries.paging import MOST, PAGE
from .decorators import errors_on, flash, flash_problem, page, page_size, post_data, query, redirect_to, render_list

FINDING = "host_finding"  # in the session: [the host's id, what a check has found]
NAMED = "host_key_named"  # in the session: [the host's id, a pasted fingerprint that could not be compared yet]


@page(live=True)
def hosts(request: HttpRequest, caller: Caller) -> HttpResponse:
    asked = query(request, "q", "state", "team", "after")
    context = {
        **asked,
        "page": found.hosts(caller, **asked, size=page_size(request, PAGE, MOST)),
        "teams": found.teams(caller),
        "filtered": bool(asked["q"] or asked["state"] or asked["team"]),
        "may_admin": caller.may("admin"),
    }
    return render_list(request, "host/list.html", "host/list_rows.html", context, "host/list_live.html")


@page("admin", ("GET", "POST"))
def new(request: HttpRequest, caller: Caller) -> HttpResponse:
    form = HostForm(post_data(request))
    if request.method == "POST" and form.is_valid():
        with errors_on(form):
            host = host_changes.create(caller, form.values())
            flash(request, _("%(name)s was added.") % {"name": host.hostname})
            return _asked_at_once(request, caller, host, form.fingerprint)
    return render(request, "host/edit.html", {"form": form}, status=422 if form.errors else 200)


@page("admin", ("GET", "POST"))
def edit(request: HttpRequest, caller: Caller, number: int) -> HttpResponse:
    host = found.host(caller, number)
    before = host_changes.shown(host)
    form = HostForm(post_data(request), initial=before | {"teams": [team.pk for team in host.teams.all()]})
    if request.method == "POST" and form.is_valid():
        with errors_on(form):
            host_changes.change(caller, host, form.values())
            flash(request, _("%(name)s was saved.") % {"name": host.hostname})
            moved = any(before[name] != getattr(host, name) for name in host_changes.CONNECTION_FIELDS)
            if form.fingerprint or moved:
                return _asked_at_once(request, caller, host, form.fingerprint)
            return redirect_to("host", host.pk)
    return render(request, "host/edit.html", {"form": form, "host": host}, status=422 if form.errors else 200)


@page("admin", ("GET", "POST"), look="admin")
def import_hosts(request: HttpRequest, caller: Caller) -> HttpResponse:
    """Many hosts from a file: what is in it is checked and shown first, by line, and imported then."""
    form = HostImportForm(post_data(request), request.FILES or None)
    context: dict = {"checked": None, "problem": None, "fields": ", ".join(imports.FIELDS)}
    if request.method == "POST" and form.is_valid():
        try:
            checked = imports.check_many(form.rows())
            if request.POST.get("then") == "import":
                n = len(imports.create(caller, checked))
                flash(request, ngettext("%(n)s host was added.", "%(n)s hosts were added.", n) % {"n": n})
                return redirect_to("hosts")
            context["checked"] = checked
        except Problem as problem:
            context["problem"] = problem
        form = HostImportForm(initial={"text": form.cleaned_data["text"]})  # a browser sends no file a second time
    status = 422 if form.errors else context["problem"].status if context["problem"] else 200
    return render(request, "host/import.html", context | {"form": form}, status=status)


@page(live=True)
def host(request: HttpRequest, caller: Caller, number: int) -> HttpResponse:
    of, finding = request.session.pop(FINDING, (0, None)) if "HX-Request" not in request.headers else (0, None)
    return _page(request, caller, found.host(caller, number), finding if of == number else None)


@page("deploy", ("POST",))
def check(request: HttpRequest, caller: Caller, number: int) -> HttpResponse:
    """Asks the host now and shows what was found on its page; at most 10 s."""
    finding = host_check.check(found.host(caller, number), caller)
    return _page(request, caller, found.host(caller, number), finding)


@page("admin", ("POST",))
def trust(request: HttpRequest, caller: Caller, number: int) -> HttpResponse:
    """Pins the key whose fingerprint somebody has compared and given, and looks at the host with it."""
    host = found.host(caller, number)
    fingerprint = request.POST.get("fingerprint", "")
    try:
        host_check.trust(host, fingerprint, caller)
    except Problem as problem:
        return _page(request, caller, found.host(caller, number), problem=problem, fingerprint=fingerprint)
    flash(request, _("The key of %(name)s is trusted from now on.") % {"name": host.hostname})
    return _asked_at_once(request, caller, host)


@page("admin", ("POST",))
def delete(request: HttpRequest, caller: Caller, number: int) -> HttpResponse:
    host = found.host(caller, number)
    try:
        host_changes.delete(caller, host)
    except Problem as problem:
        flash_problem(request, problem)
        return redirect_to("host", number)
    flash(request, _("%(name)s was deleted.") % {"name": host.hostname})
    return redirect_to("hosts")


@page("admin", ("POST",))
def archive(request: HttpRequest, caller: Caller, number: int) -> HttpResponse:
    """Takes a host out of every list, with what is installed there where that was ticked."""
    host = found.host(caller, number)
    try:
        actions.archive_host(caller, host, request.POST.get("reason", ""), request.POST.get("forget") == "on")
        flash(request, _("%(name)s was archived.") % {"name": host.hostname})
    except Problem as problem:
        flash_problem(request, problem)
    return redirect_to("host", number)


@page("admin", ("POST",))
def unarchive(request: HttpRequest, caller: Caller, number: int) -> HttpResponse:
    host = found.host(caller, number)
    try:
        host_changes.unarchive(caller, host)
        flash(request, _("%(name)s is back.") % {"name": host.hostname})
    except Problem as problem:
        flash_problem(request, problem)
    return redirect_to("host", number)


@page("admin", ("GET", "POST"))
def credential_list(request: HttpRequest, caller: Caller) -> HttpResponse:
    """Every credential, and a form for another. Nothing of a secret ever comes back."""
    form = CredentialForm(post_data(request), request.FILES if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        values = {name: value for name, value in form.cleaned_data.items() if value or name != "passphrase"}
        with errors_on(form):
            made = credentials.create(caller, values)
            flash(request, _("%(name)s was added.") % {"name": made.name})
            return redirect_to("credentials")
    context = {"form": form, "credentials": found.credentials(), "may_admin": caller.may("admin")}
    return render(request, "host/credentials.html", context, status=422 if form.errors else 200)


@page("admin", ("GET", "POST"), look="admin")
def credential(request: HttpRequest, caller: Caller, number: int) -> HttpResponse:
    """Its name, and another secret in its place: tried on hosts that use it first, where that is ticked."""
    found_one = found.credential(number)
    saved = {"name": found_one.name, "kind": found_one.kind, "test": True}
    form = CredentialChangeForm(post_data(request), request.FILES or None, initial=saved)
    tried: list[dict] = []
    if request.method == "POST" and form.is_valid():
        with errors_on(form):
            if form.replaces and form.cleaned_data["test"]:
                tried = credential_test.trial(caller, found_one, form.secrets())
                credential_test.refuse_unaccepted(tried)
            credentials.change(caller, found_one, form.values())
            accepted = sum(bool(one["accepted"]) for one in tried)
            flash(
                request,
                _("%(name)s was saved.") % {"name": found_one.name}
                + (
                    " " + ngettext("%(n)s host let it in.", "%(n)s hosts let it in.", accepted) % {"n": accepted}
                    if tried
                    else ""
                ),
            )
            return redirect_to("credentials")
    context = {
        "form": form,
        "credential": found_one,
        "tried": [one | {"error": with_hint(one["error"]) if one["error"] else ""} for one in tried],
        "users": found.uses_of(caller, found_one),
    }
    return render(request, "host/credential.html", context, status=422 if form.errors else 200)


@page("admin", ("POST",))
def credential_delete(request: HttpRequest, caller: Caller, number: int) -> HttpResponse:
    credential = Credential.objects.defer("secret", "passphrase").filter(pk=number).first()
    if credential is None:
        raise not_found("credential")
    try:
        credentials.delete(caller, credential)
        flash(request, _("%(name)s was deleted.") % {"name": credential.name})
    except Problem as problem:
        flash_problem(request, problem)
    return redirect_to("credentials")


def _asked_at_once(request: HttpRequest, caller: Caller, host: Asset, fingerprint: str = "") -> HttpResponse:
    """To the host's page, with what a check has found just now; before it, the key of the given fingerprint is pinned.

    The finding goes with the session for one look, so that loading the page again sends nothing again.
    """
    if fingerprint:
        try:
            host_check.trust(host, fingerprint, caller)
            request.session.pop(NAMED, None)
            flash(request, _("The key of %(name)s is trusted from now on.") % {"name": host.hostname})
        except Problem as problem:
            flash_problem(request, problem)
            if problem.code == "host_unreachable":  # which stands on its page by now
                request.session[NAMED] = [host.pk, fingerprint]  # so that nobody pastes it again once it is up
                return redirect_to("host", host.pk)
    finding = host_check.check(host, caller) | {"checked": ""}
    request.session[FINDING] = [host.pk, finding]
    return redirect_to("host", host.pk)


def _page(request: HttpRequest, caller: Caller, host: Asset, finding: dict | None = None, **more) -> HttpResponse:
    problem = more.get("problem")
    is_part = "HX-Request" in request.headers  # the same for all who watch, so nothing of a session is in it
    whose, named = (0, "") if is_part else request.session.get(NAMED, (0, ""))
    context = {
        "fingerprint": named if whose == host.pk else "",
        "host": host,
        "runs": found.runs_on(host, caller),
        "installed": host.instances.count(),
        "ran_once": host.operations.exists(),
        "finding": finding,
        "pinned": _fingerprint(host.host_key),
        "offered": _fingerprint((finding or {}).get("offered_key") or host.offered_key),
        "show_trust": not host.host_key
        or bool(finding and finding["key_changed"])
        or bool(host.offered_key or problem),
        "may_admin": caller.may("admin"),
        "may_deploy": caller.might("deploy"),
        **more,
    }
    part = "host/page_live.html" if is_part else "host/page.html"
    return render(request, part, context, status=problem.status if problem else 200)


def _fingerprint(key: str) -> str:
    """A key's fingerprint, or "" where there is none or nothing can be made of what the host offered."""
    try:
        return host_keys.fingerprint(key) if key else ""
    except ValueError:
        return ""
