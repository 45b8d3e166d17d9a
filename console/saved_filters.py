"""The filters that a person keeps for lists: what each list keeps of its address, and how many there may be."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode

from django import forms
from django.db import transaction
from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from .models import SavedFilter

MAX_SAVED = 50  # of a list
# What of each list's address is kept. A version in the filter of instances is of one service, and is not.
PARAMETERS = {
    "fleet": ("q", "state", "environment"),
    "hosts": ("q", "label", "group", "environment", "state", "team"),
    "versions": ("q", "status"),
    "instances": ("q", "label", "group", "environment", "state"),
    "deployments": ("service", "environment", "status", "action"),
    "builds": ("service", "status", "origin", "requested_by", "since"),
    "history": ("since", "since_at", "until", "until_at", "service", "actor", "action", "q"),
}
TITLES = {
    "fleet": _("Fleet"),
    "hosts": _("Hosts"),
    "versions": _("Versions"),
    "instances": _("Instances"),
    "deployments": _("Deployments"),
    "builds": _("Builds"),
    "history": _("History"),
}
OF_A_SERVICE = ("versions", "instances")  # lists of which each service has one


def query_of(page: str, values: Mapping[str, str]) -> str:
    """Return what is filtered by as the query of an address, alike for alike filters; "" where nothing is."""
    return urlencode([(name, values[name]) for name in PARAMETERS[page] if values.get(name)])


def read(page: str, query: str) -> str:
    """Return a query as it is kept: only what its list filters by."""
    return query_of(page, dict(parse_qsl(query)))


def shown(request: HttpRequest, page: str) -> dict[str, Any] | None:
    """Return a person's filters for a list, and which of them this address is; None in a fragment, which is everyone's.

    One query.
    """
    user = getattr(request, "user", None)
    if user is None or not user.is_authenticated:
        return None
    query = query_of(page, request.GET)
    saved = list(SavedFilter.objects.filter(user=user.pk, page=page))
    return {"saved": saved, "query": query, "current": next((one for one in saved if one.query == query), None)}


def of(user: int) -> list[SavedFilter]:
    """Return all that a person has saved, by list and name, each with `address`: "" where it is of any service."""
    rows = list(SavedFilter.objects.filter(user=user).order_by("page", "name"))
    for row in rows:
        row.address = f"{reverse(f'console:{row.page}')}?{row.query}" if row.page not in OF_A_SERVICE else ""  # type: ignore[attr-defined]
        row.title = TITLES[row.page]  # type: ignore[attr-defined]
        row.words = ", ".join(f"{name}={value}" for name, value in parse_qsl(row.query))  # type: ignore[attr-defined]
    return rows


def save(user: int, page: str, name: str, query: str) -> None:
    """Keep a filter, in the place of one with the same name. Raise ValidationError where there are too many."""
    with transaction.atomic():
        SavedFilter.objects.update_or_create(user_id=user, page=page, name=name, defaults={"query": query})
        if SavedFilter.objects.filter(user=user, page=page).count() > MAX_SAVED:
            text = gettext("At most %(max)s filters can be saved for a list. Remove one first.")
            raise forms.ValidationError({"name": text % {"max": MAX_SAVED}})


def remove(user: int, number: int) -> None:
    SavedFilter.objects.filter(user=user, pk=number).delete()
