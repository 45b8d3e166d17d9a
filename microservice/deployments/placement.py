"""Which hosts a service may come to, as conditions of requests. Whose a host is, and the rule, are asset/tenancy.py's.

Whose the service is is asked by each statement anew, and not taken from a row that was read before.
"""

from collections.abc import Sequence

from django.db import connection
from django.db.models import Q

from asset import tenancy
from asset.archiving import refuse_archived
from asset.models import Asset
from runtime.sql import ask, places

from ..models import MicroService


def kept_out(service: MicroService) -> Q:
    """The instances or operations of the service whose host is closed to it: only a delete may still go there."""
    return Q(host__in=tenancy.closed_to(MicroService.objects.filter(pk=service.pk).values("team")))


def closed_hosts(service: MicroService) -> Q:
    """The hosts that are closed to the service."""
    return Q(pk__in=tenancy.closed_to(MicroService.objects.filter(pk=service.pk).values("team")))


def refuse_closed(service: MicroService, hosts: Sequence[Asset]) -> None:
    """Raises Problem 409 where the service may not come to one of these hosts: `host_of_another_team` names those which
    are closed to it, `host_archived` one that was archived meanwhile."""
    wrong = Asset.every.filter(closed_hosts(service) | Q(archived__isnull=False), pk__in=[host.pk for host in hosts])
    found = list(wrong.order_by("hostname"))
    for host in found:
        refuse_archived(host)
    if found:
        raise tenancy.refusal(service.name, [host.hostname for host in found])


def hold(service: MicroService, hosts: Sequence[Asset]) -> None:
    """Neither the service nor the hosts are given away before this transaction ends, or that was done before.

    Whoever gives them away locks their rows. The new instance's foreign keys would meet that lock, but only at the
    commit, when the look has long been had. On SQLite there is one writer anyway.
    """
    if connection.features.has_select_for_update:
        numbers = [host.pk for host in hosts]
        ask("SELECT id FROM micro_service WHERE id = %s FOR KEY SHARE", service.pk)
        ask(f"SELECT id FROM asset WHERE id IN ({places(numbers)}) ORDER BY id FOR KEY SHARE", *numbers)  # noqa: S608
