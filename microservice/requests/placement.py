"""Which hosts a service may come to, as conditions of requests. Whose a host is, and the rule, are asset/tenancy.py's.

Whose the service is is asked by each statement anew, and not taken from a row that was read before.
"""
from collections.abc import Sequence

from django.db.models import Q

from asset import tenancy
from asset.models import Asset

from ..models import MicroService, MicroServiceInstance


def kept_out(service: MicroService) -> Q:
    """The instances or operations of the service whose host is closed to it: only a delete may still go there."""
    return Q(host__in=tenancy.closed_to(MicroService.objects.filter(pk=service.pk).values("team")))


def closed_hosts(service: MicroService) -> Q:
    """The hosts that are closed to the service."""
    return Q(pk__in=tenancy.closed_to(MicroService.objects.filter(pk=service.pk).values("team")))


def refuse_closed(service: MicroService, hosts: Sequence[Asset]) -> None:
    """Raises Problem 409 `host_of_another_team` that names those of these hosts which are closed to the service."""
    closed = Asset.objects.filter(closed_hosts(service), pk__in=[host.pk for host in hosts]).order_by("hostname")
    if names := list(closed.values_list("hostname", flat=True)):
        raise tenancy.refusal(service.name, names)


def refuse_misplaced(service: MicroService, instances: Sequence[MicroServiceInstance]) -> None:
    """The same for instances that this transaction has just made: their host and service cannot be given away any more
    before it ends, because that locks the rows that these refer to."""
    made = MicroServiceInstance.objects.filter(kept_out(service), pk__in=[row.pk for row in instances])
    if names := list(made.order_by("host__hostname").values_list("host__hostname", flat=True)):
        raise tenancy.refusal(service.name, names)
