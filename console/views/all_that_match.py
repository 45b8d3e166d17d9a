"""Which rows of a list are changed together: the ticked ones, or all that its filter means, beyond the page."""

from collections.abc import Iterable
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponseRedirect
from django.urls import reverse

from access.problems import refused
from microservice.models import MicroService, MicroServiceInstance
from microservice.status import MAY_RETRY

from ..forms.filters import InstanceFilters
from ..queries import environments, host_groups, services
from ..queries.paging import fingerprint
from .decorators import posted_ids, texts

FILTERED_BY = ("q", "state", "version", "label", "group", "environment")


def chosen_instances(request: HttpRequest, service: MicroService, action: str, forced: bool = False) -> list[int]:
    """Return the ids of the instances that were chosen. Of all that match, a retry takes those that can be retried.

    `forced`: also those in maintenance. `matching` says which the list had: 409 where others match by now, so that
    nothing is done to what no one has seen.
    """
    if "all" not in request.POST:
        return posted_ids(request, "instance")
    values = texts(request.POST, *FILTERED_BY)
    selectors = InstanceFilters(values, host_groups.group_names(), environments.names()).selectors()
    every = MicroServiceInstance.objects.filter(microservice=service)
    matching = services.matching(every, service, values, selectors)
    found = list(matching.values_list("pk", "status", "locked", "is_maintain"))
    if fingerprint(pk for pk, *_state in found) != request.POST.get("matching"):
        raise refused("concurrent_update.matching", n=len(found))
    retries = action == "retry"
    return [
        pk
        for pk, status, locked, maintained in found
        if not retries or (status in MAY_RETRY and not locked and (forced or not maintained))
    ]


def to_instances(request: HttpRequest, service: MicroService) -> HttpResponseRedirect:
    """Redirect to the list of instances, filtered as it was."""
    return to_list(request, reverse("console:instances", args=[service.name]), FILTERED_BY)


def to_list(request: HttpRequest, address: str, filtered_by: Iterable[str]) -> HttpResponseRedirect:
    """Redirect to a list, by the filter that was posted with the change."""
    query = urlencode({name: value for name, value in texts(request.POST, *filtered_by).items() if value})
    return HttpResponseRedirect(f"{address}?{query}" if query else address)
