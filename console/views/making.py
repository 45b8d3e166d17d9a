"""Making a row in a dialog of another form, which stays as it is and gets the new one chosen (static/js/chooser.js).

The page that always makes such a row answers the dialog too: with its form alone and, once the row is made, its name.
"""

from typing import Any

from django import forms
from django.contrib import messages
from django.db.models import Model
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import render
from django.urls import reverse

from runtime.ids import parse_number

from ..forms.choosers import MAX_NAME
from ..forms.fields import without_nul

HEADER = "X-Dialog"


def in_dialog(request: HttpRequest) -> bool:
    return HEADER in request.headers


def proposed(request: HttpRequest, field: str = "name") -> dict[str, Any]:
    """Return the initial values of the form: what was typed in the chooser, as the value of `field`."""
    name = without_nul(request.GET.get("name", ""))[:MAX_NAME]
    return {field: name} if name else {}


def form_alone(request: HttpRequest, form: forms.Form, title: str, verb: str) -> HttpResponse:
    """Return the form for the dialog. `title`: its heading. `verb`: its button."""
    form.auto_id = f"new{_depth(request)}-%s"  # other than the ids of the page and of dialogs below this one
    context = {"form": form, "title": title, "verb": verb, "action": request.path, "depth": _depth(request)}
    return render(request, "making/form.html", context, status=422 if form.errors else 200)


def added(request: HttpRequest, row: Model, name: str, says: str, page: str, *args: Any) -> HttpResponse:
    """Return what follows when a row was made: a dialog gets its id and name; others go on to `page`."""
    if in_dialog(request):
        return JsonResponse({"id": row.pk, "name": name, "says": says}, status=201)
    messages.success(request, says)
    return HttpResponseRedirect(reverse(f"console:{page}", args=args))


def _depth(request: HttpRequest) -> int:
    """Return which dialog above each other this is, from 1."""
    return min(parse_number(request.headers.get(HEADER, "")) or 1, 9)
