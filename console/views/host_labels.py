"""Labels of many hosts: of the ticked ones, or of all that the list's filter means, beyond the page."""

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import ngettext

from access.callers import Caller
from access.problems import Problem, invalid, not_found, refused
from asset import label_changes
from asset.models import Asset
from runtime.sql import among

from ..forms.confirmations import LabelChangeForm
from ..forms.filters import HostFilters
from ..queries import environments, host_groups, hosts
from ..queries.paging import fingerprint
from ..refused_forms import keep
from .all_that_match import to_list
from .decorators import flash, page, posted_ids, texts

FILTERED_BY = ("q", "state", "team", "label", "group", "environment")


@page("admin", ("POST",))
def change_labels(request: HttpRequest, caller: Caller) -> HttpResponse:
    """Add labels to the chosen hosts, and remove labels from them."""
    form = LabelChangeForm(request.POST)
    ticked = [] if "all" in request.POST else posted_ids(request, "host")
    if not form.is_valid():
        keep(request, form, ticked=ticked)
        return to_hosts(request)
    try:
        add, remove = form.cleaned_data["add_labels"], form.cleaned_data["remove_labels"]
        n = label_changes.change(caller, chosen_hosts(request, caller, ticked), add, remove)
        text = ngettext("The labels of %(n)s host were changed.", "The labels of %(n)s hosts were changed.", n)
        flash(request, text % {"n": n})
    except Problem as problem:
        keep(request, form, problem, ticked=ticked)
    return to_hosts(request)


def chosen_hosts(request: HttpRequest, caller: Caller, ticked: list[int]) -> QuerySet[Asset]:
    """Return the chosen hosts. 409 where others match the filter by now: nothing is done to what no one has seen."""
    if "all" in request.POST:
        values = texts(request.POST, *FILTERED_BY)
        filters = HostFilters(values, host_groups.group_names(), environments.names(), hosts.teams(caller))
        ticked = list(hosts.matching(caller, values, filters.selectors()).values_list("pk", flat=True))
        if fingerprint(ticked) != request.POST.get("matching"):
            raise refused("concurrent_update.matching_hosts", n=len(ticked))
    if not ticked:
        raise invalid("/host", "no_host_selected")
    found = hosts.matching(caller, {}, ()).filter(pk__in=among(ticked))
    if found.count() < len(ticked):
        raise not_found("host")
    return found


def to_hosts(request: HttpRequest) -> HttpResponseRedirect:
    return to_list(request, reverse("console:hosts"), FILTERED_BY)
