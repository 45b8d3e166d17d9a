"""What the system needs from outside: set, tested as a whole, saved when the test passes, and brought back."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _

from access.callers import Caller
from access.problems import Problem, conflict, invalid
from integrations import probes, registry, revisions

from ..forms.settings import PartForm, add_problem_to_parts, forms_of
from ..queries import integrations as past
from .decorators import flash, page, post_data, query, redirect_to, render_list


@page("admin", ("GET", "POST"))
def settings(request: HttpRequest, caller: Caller) -> HttpResponse:
    """The page; and, by POST, the test of what is in its form, which is saved where that is asked and it passes.

    The page's script asks for the same and takes the findings out of the answer, so that what was typed stays typed.
    """
    row = registry.newest()
    document = registry.document_of(row)
    found = forms_of(post_data(request), revisions.redacted(document))
    context: dict = {
        "row": row,
        "parts": found,
        "missing": revisions.unconfigured(document),
        "tab": "outside",
        "may_admin": caller.may("admin"),
        "seen": request.POST.get("seen", row.pk if row else ""),
    }
    if request.method == "POST":
        try:
            findings = _tried(request, caller, found)
            if findings is None:
                return _done(request)
            context |= {"findings": probes.rendered(findings), "passed": all(one["ok"] for one in findings)}
        except Problem as refusal:
            add_problem_to_parts(found, refusal)
            context |= {"problem": refusal, "findings": probes.rendered(getattr(refusal, "findings", []))}
    problem = context.get("problem")
    return render(request, "settings/outside.html", context, status=problem.status if problem else 200)


def _tried(request: HttpRequest, caller: Caller, found: list[PartForm]) -> list[dict] | None:
    """The findings of a test that was asked for; None where what was tested is saved. Raises a Problem."""
    wrong = [form for form in found if not form.is_valid() and form.cleaned_data.get("on")]
    errors = [
        {"pointer": f"/{form.name}/{key}", "reason": str(reasons[0])}
        for form in wrong
        for key, reasons in form.errors.items()
    ]
    if errors:
        raise Problem(422, "invalid", errors[0]["reason"], errors=errors)
    given = {form.name: form.value() for form in found}
    if request.POST.get("do") == "test":
        return revisions.check(given)
    newest = registry.newest()
    if request.POST.get("seen", "") != str(newest.pk if newest else ""):
        raise conflict(
            "concurrent_update",
            "The settings were changed by somebody else since this page was loaded.",
            "Load the page again, then decide.",
        )
    if request.POST.get("do") != "save":
        raise invalid("/do", "is neither test nor save")
    revisions.save(caller, given)
    flash(request, _("Everything passed its test and was saved."))
    return None


def _done(request: HttpRequest) -> HttpResponse:
    if request.headers.get("HX-Request"):
        return HttpResponse(status=204, headers={"HX-Redirect": reverse("console:settings")})
    return redirect_to("settings")


@page(look="admin")
def settings_history(request: HttpRequest, caller: Caller) -> HttpResponse:
    return _past(request, caller)


@page("admin", ("POST",))
def settings_restore(request: HttpRequest, caller: Caller, number: int) -> HttpResponse:
    """Brings past settings back, as new ones, where they pass the test today."""
    try:
        revisions.restore(caller, number)
    except Problem as problem:
        return _past(request, caller, problem)
    flash(request, _("Settings {number} passed their test and hold again.").format(number=number))
    return redirect_to("settings")


def _past(request: HttpRequest, caller: Caller, problem: Problem | None = None) -> HttpResponse:
    after = query(request, "after")["after"]
    context = {
        "page": past.past(after),
        "tab": "outside",
        "problem": problem,
        "findings": probes.rendered(getattr(problem, "findings", [])),
        "holds": registry.newest(),
        "may_admin": True,
    }
    if problem:
        return render(request, "settings/past.html", context, status=problem.status)
    return render_list(request, "settings/past.html", "settings/past_rows.html", context)
