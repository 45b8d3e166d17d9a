"""The list of all builds, newest first: which ones a caller sees, and its filters. Each filter has an index."""

from collections.abc import Mapping
from datetime import datetime

from django.db.models import Min, QuerySet

from access.callers import Caller
from microservice.catalog.visibility import visible
from microservice.models import MicroService
from microservice.status import BuildStatus

from .models import OPEN, Build

OPEN_FILTER = "open"
STATUSES = (OPEN_FILTER, *(str(status.label) for status in BuildStatus))
ORIGINS = tuple(MicroService.Origin.values)
_BY_LABEL = {str(status.label): status for status in BuildStatus}


def builds(caller: Caller, filters: Mapping[str, str], since: datetime | None = None) -> QuerySet[Build]:
    """Return the builds of the services that the caller may see, without their output and Dockerfile.

    `filters`: status (one of STATUSES), origin, requested_by, service (a name); "" and unknown words filter nothing.
    """
    rows = (
        Build.objects.filter(microservice__isnull=False)
        .select_related("version", "microservice")
        .defer("log", "dockerfile", "version__recipe")
    )
    services = MicroService.objects.filter(visible(caller))
    if name := filters.get("service"):
        rows = rows.filter(microservice__in=list(services.filter(name=name).values_list("pk", flat=True)))
    elif caller.teams is not None or caller.services:
        rows = rows.filter(microservice__in=services.values("pk"))
    status = filters.get("status", "")
    if status == OPEN_FILTER:
        rows = rows.filter(status__in=OPEN)
    elif status in _BY_LABEL:
        rows = rows.filter(status=_BY_LABEL[status])
    if filters.get("origin") in ORIGINS:
        rows = rows.filter(origin=filters["origin"])
    if who := filters.get("requested_by"):
        rows = rows.filter(requested_by=who)
    if since is not None:
        # As an id, so that the newest rows of the other indexes are enough: ids grow as the times do.
        first = Build.objects.filter(created__gte=since).aggregate(first=Min("pk"))["first"]
        rows = rows.filter(pk__gte=first, created__gte=since) if first is not None else rows.none()
    return rows
