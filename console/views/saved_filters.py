"""Saves and removes a person's filters of lists."""

from django.forms import ValidationError
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _

from access.callers import Caller
from access.problems import invalid
from runtime.ids import parse_id

from .. import saved_filters
from ..forms.saved_filters import SavedFilterForm
from ..refused_forms import keep
from ..returning import go_back
from .decorators import flash, page


@page("", ("POST",), back=("fleet",))
def saved_filter(request: HttpRequest, caller: Caller) -> HttpResponse:
    """Save a filter under its name, or remove one, and return to the list."""
    if "remove" in request.POST:
        saved_filters.remove(caller.user_id or 0, parse_id(request.POST["remove"]) or 0)
        flash(request, _("The filter was removed."))
        return go_back(request)
    form = SavedFilterForm(request.POST, auto_id="filter-%s")
    if not form.is_valid():
        if form.errors.keys() - {"name"}:  # its list shows only the name
            raise invalid("/query", "not_a_filter")
        keep(request, form)
        return go_back(request)
    data = form.cleaned_data
    try:
        saved_filters.save(caller.user_id or 0, data["page"], data["name"], data["query"])
        flash(request, _("%(name)s was saved.") % {"name": data["name"]})
    except ValidationError as error:
        form.add_error(None, error)
        keep(request, form)
    return go_back(request)
