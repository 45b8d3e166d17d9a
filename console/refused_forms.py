"""Forms that a page shows and another address takes: their refusals stand at their fields all the same.

The address that refuses a form leads back to its page, as every form does, so that a reload sends nothing again. In
between the session keeps what was typed and what is wrong with it, except for secrets, for the next page that shows
the form.
"""

import time
from collections.abc import Callable
from typing import Any, TypeVar

from django import forms
from django.forms.utils import ErrorDict, ErrorList
from django.http import HttpRequest
from django.utils.datastructures import MultiValueDict

from access.problems import FieldError, Problem
from access.security_log import REFUSALS

from . import refusals
from .forms.choosers import MORE
from .forms.fields import SecretText
from .forms.services import add_problem

KEY = "refused_form"
KEPT_FOR = 60  # seconds: the page comes at once, or not any more
SECRET = (forms.PasswordInput, SecretText, forms.FileInput)
AnyForm = TypeVar("AnyForm", bound=forms.Form)


def keep(
    request: HttpRequest,
    form: forms.Form,
    problem: Problem | None = None,
    place: Callable[[FieldError], str] | None = None,
    ticked: list[int] | None = None,
) -> None:
    """Keep a posted form that was refused. What concerns none of its fields is shown at its button.

    `problem`: why; without one, the form's own errors say it. `place`: the field that an error is about, where its
    pointer does not say it. `ticked`: the rows that the form was about. Raise a problem that says who may not do it:
    it has a page of its own, and a line in the log of refused access.
    """
    if problem is not None:
        if problem.status in REFUSALS:
            raise problem
        form.full_clean()
        form.errors.clear()  # the problem is what the rules say
        if place:
            for error in problem.field_errors:
                error.pointer = f"/{place(error)}"
        add_problem(form, problem)
        if form.non_field_errors():
            refusals.keep(request, problem)
    request.session[KEY] = {
        "form": _name(form),
        "time": time.time(),
        "data": _typed(form),
        "errors": {name: [str(reason) for reason in form.errors.get(name, ())] for name in form.fields},
        "ticked": ticked or [],
    }


def bring_back(request: HttpRequest, form: AnyForm) -> AnyForm:
    """Return the form for its page: as it was refused, if it was just refused; else as it is."""
    kept = _kept(request, form)
    if kept:
        del request.session[KEY]
        form.is_bound, form.data = True, MultiValueDict(kept["data"])
        errors = {name: ErrorList(reasons) for name, reasons in kept["errors"].items() if reasons}
        form._errors = ErrorDict(errors)  # type: ignore[attr-defined]
    return form


def ticked(request: HttpRequest, form: forms.Form) -> list[int]:
    """Return the rows that a form which was just refused was about. To be asked for before `bring_back`."""
    return _kept(request, form).get("ticked", [])


def _typed(form: forms.Form) -> dict[str, list[str]]:
    """Return what was posted, with what is half typed in a chooser; without secrets."""
    names = [form.add_prefix(name) for name, field in form.fields.items() if not isinstance(field.widget, SECRET)]
    sent = {one for name in names for one in (name, f"{name}{MORE}")}
    posted = (
        form.data if isinstance(form.data, MultiValueDict) else MultiValueDict({n: [v] for n, v in form.data.items()})
    )
    return {name: values for name, values in posted.lists() if name in sent}


def _kept(request: HttpRequest, form: forms.Form) -> dict[str, Any]:
    session = getattr(request, "session", None)  # a live fragment has none
    kept = session.get(KEY) if session is not None else None
    if not kept or kept["form"] != _name(form) or abs(time.time() - kept["time"]) > KEPT_FOR:
        return {}
    return kept


def _name(form: forms.Form) -> str:
    return f"{type(form).__name__} {form.auto_id}"
