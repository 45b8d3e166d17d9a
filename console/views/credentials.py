"""The SSH credentials of hosts: add, replace after a trial, delete. Their secrets are write-only."""

from functools import partial
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from access.callers import Caller
from asset import credential_check, credentials
from messages.rendering import with_hint

from .. import csv_lists, tables
from ..forms.credentials import CredentialChangeForm, CredentialForm
from ..queries import hosts
from ..queries.paging import Page
from .decorators import errors_on, flash, page, post_data, query, redirect_to, render_list
from .making import added, form_alone, in_dialog, proposed


@page("admin", ("GET", "POST"))
def credential_list(request: HttpRequest, caller: Caller) -> HttpResponse:
    """List all credentials. POST: add one. Secrets are write-only."""
    files = request.FILES if request.method == "POST" else None
    form = CredentialForm(post_data(request), files, initial=proposed(request))
    if request.method == "POST" and form.is_valid():
        values = {name: value for name, value in form.cleaned_data.items() if value or name != "passphrase"}
        with errors_on(form):
            made = credentials.create(caller, values)
            return added(request, made, made.name, _("%(name)s was added.") % {"name": made.name}, "credentials")
    if in_dialog(request):
        return form_alone(request, form, _("Add a credential"), _("Add credential"))
    rows = hosts.credentials()
    if file := csv_lists.file(request, tables.CREDENTIALS, lambda **_: Page(rows), caller):
        return file
    context = {"form": form, "credentials": rows, "may_admin": caller.may("admin")}
    return render(request, "host/credentials.html", context, status=422 if form.errors else 200)


@page("admin", ("GET", "POST"), look="admin")
def credential_detail(request: HttpRequest, caller: Caller, number: int) -> HttpResponse:
    """Rename a credential or replace its secret, optionally after a test on hosts that use it."""
    saved_credential = hosts.credential(number)
    uses = partial(hosts.uses_of, caller, saved_credential)
    if file := csv_lists.file(request, tables.HOSTS, uses, caller, saved_credential.name):
        return file
    saved = {"name": saved_credential.name, "kind": saved_credential.kind, "test": True}
    form = CredentialChangeForm(post_data(request), request.FILES or None, initial=saved)
    trials: list[dict[str, Any]] = []
    if request.method == "POST" and form.is_valid():
        with errors_on(form):
            if form.replaces and form.cleaned_data["test"]:
                trials = credential_check.trial(caller, saved_credential, form.secrets())
                credential_check.refuse_unaccepted(trials)
            credentials.change(caller, saved_credential, form.values())
            accepted = sum(bool(trial["accepted"]) for trial in trials)
            flash(
                request,
                _("%(name)s was saved.") % {"name": saved_credential.name}
                + (
                    " " + ngettext("%(n)s host accepted it.", "%(n)s hosts accepted it.", accepted) % {"n": accepted}
                    if trials
                    else ""
                ),
            )
            return redirect_to("credentials")
    context = {
        "form": form,
        "credential": saved_credential,
        "tried": [trial | {"error": with_hint(trial["error"]) if trial["error"] else ""} for trial in trials],
        "page": uses(query(request, "after")["after"]),
    }
    if form.errors:
        return render(request, "host/credential.html", context, status=422)
    return render_list(request, "host/credential.html", "host/use_rows.html", context)


@page("admin", ("POST",), back=("credentials",))
def delete(request: HttpRequest, caller: Caller, number: int) -> HttpResponse:
    credential = hosts.credential(number)
    credentials.delete(caller, credential)
    flash(request, _("%(name)s was deleted.") % {"name": credential.name})
    return redirect_to("credentials")
