"""Integrations: configure, test as a whole, save when the test passes, and restore."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _

from access.callers import Caller
from access.problems import FieldError, Problem, invalid, invalid_fields, refused
from integrations import probes, registry, revisions
from messages.rendering import literal

from .. import csv_lists, tables
from ..forms.settings import IntegrationForm, add_problem_to_parts, integration_forms
from ..queries import integrations
from .decorators import flash, page, post_data, query, redirect_to, render_list


@page("admin", ("GET", "POST"))
def settings_page(request: HttpRequest, caller: Caller) -> HttpResponse:
    """Show the page. POST: test the submitted settings and, if asked for and the test passes, save them.

    The page's script does the same and shows only the findings of the response, so that the form keeps its input.
    """
    row = registry.newest()
    document = registry.document_of(row)
    forms = integration_forms(post_data(request), revisions.redacted(document), request.FILES or None)
    context: dict[str, Any] = {
        "row": row,
        "parts": forms,
        "missing": revisions.unconfigured(document),
        "tab": "integrations",
        "may_admin": caller.may("admin"),
        "seen": request.POST.get("seen", row.pk if row else ""),
    }
    if request.method == "POST":
        try:
            findings = _test_or_save(request, caller, forms)
            if findings is None:
                return _redirect_to_settings(request)
            context |= {"findings": probes.rendered(findings), "passed": all(finding["ok"] for finding in findings)}
        except Problem as refusal:
            add_problem_to_parts(forms, refusal)
            context |= {"problem": refusal, "findings": probes.rendered(getattr(refusal, "findings", []))}
    problem = context.get("problem")
    return render(request, "settings/integrations.html", context, status=problem.status if problem else 200)


def _test_or_save(request: HttpRequest, caller: Caller, forms: list[IntegrationForm]) -> list[dict[str, Any]] | None:
    """Return the findings of a test; None once the settings are saved. Raise Problem if they are invalid."""
    errors = [
        FieldError(f"/{form.name}/{key}", literal(str(reasons[0])))
        for form in forms
        if not form.is_valid() and form.cleaned_data.get("on")
        for key, reasons in form.errors.items()
    ]
    if errors:
        raise invalid_fields(errors)
    document = {form.name: form.value() for form in forms}
    if request.POST.get("do") == "test":
        return revisions.check(document)
    newest = registry.newest()
    if request.POST.get("seen", "") != str(newest.pk if newest else ""):
        raise refused("concurrent_update.settings")
    if request.POST.get("do") != "save":
        raise invalid("/do", "not_one_of", choices=["test", "save"])
    revisions.save(caller, document)
    flash(request, _("The settings passed the test and were saved."))
    return None


def _redirect_to_settings(request: HttpRequest) -> HttpResponse:
    if request.headers.get("HX-Request"):
        return HttpResponse(status=204, headers={"HX-Redirect": reverse("console:settings")})
    return redirect_to("settings")


@page(look="admin")
def settings_history(request: HttpRequest, caller: Caller) -> HttpResponse:
    if file := csv_lists.file(request, tables.REVISIONS, integrations.revisions, caller):
        return file
    return _history_page(request, caller)


@page("admin", ("POST",))
def settings_restore(request: HttpRequest, caller: Caller, number: int) -> HttpResponse:
    """Save an earlier revision as the current settings, if it passes the test now."""
    try:
        revisions.restore(caller, number)
    except Problem as problem:
        return _history_page(request, caller, problem, number)
    flash(request, _("Revision {number} passed the test and was restored.").format(number=number))
    return redirect_to("settings")


def _history_page(
    request: HttpRequest, caller: Caller, problem: Problem | None = None, refused: int = 0
) -> HttpResponse:
    after = query(request, "after")["after"]
    context = {
        "page": integrations.revisions(after),
        "tab": "integrations",
        "problem": problem,
        "refused": refused,
        "findings": probes.rendered(getattr(problem, "findings", [])),
        "holds": registry.newest(),
        "may_admin": True,
    }
    if problem:
        return render(request, "settings/revisions.html", context, status=problem.status)
    return render_list(request, "settings/revisions.html", "settings/revision_rows.html", context)
