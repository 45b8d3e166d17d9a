"""Saves and removes a person's filters of lists."""

from django.forms import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _

from access.callers import Caller
from runtime.ids import parse_id

from .. import saved_filters
from ..forms.saved_filters import SavedFilterForm
from ..returning import go_back
from .decorators import flash, page


@page("", ("POST",))
def saved_filter(request: HttpRequest, caller: Caller) -> HttpResponse:
    """Save a filter under its name, or remove one, and return to the list."""
    if "remove" in request.POST:
        saved_filters.remove(caller.user_id or 0, parse_id(request.POST["remove"]) or 0)
        flash(request, _("The filter was removed."))
        return go_back(request)
    form = SavedFilterForm(request.POST)
    if form.is_valid():
        data = form.cleaned_data
        try:
            saved_filters.save(caller.user_id or 0, data["page"], data["name"], data["query"])
            flash(request, _("%(name)s was saved.") % {"name": data["name"]})
            return go_back(request)
        except ValidationError as error:
            form.add_error(None, error)
    return render(request, "saved_filter.html", {"form": form, "next": request.POST.get("next", "/")}, status=422)
