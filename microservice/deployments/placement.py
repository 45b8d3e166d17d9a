"""Which hosts a service may be deployed to, as conditions of requests. The rule itself is in asset/tenancy.py.

Each statement reads the service's team anew, and does not take it from a row that was read before.
"""

from collections.abc import Sequence

from django.db import connection
from django.db.models import Q

from asset import tenancy
from asset.archiving import refuse_archived
from asset.models import Asset
from runtime.sql import fetch_all, placeholders

from ..models import MicroService


def on_closed_host(service: MicroService) -> Q:
    """Match the service's instances or operations whose host is closed to it: only a delete may still go there."""
    return Q(host__in=tenancy.closed_to(MicroService.objects.filter(pk=service.pk).values("team")))


def closed_hosts(service: MicroService) -> Q:
    """Match the hosts that are closed to the service."""
    return Q(pk__in=tenancy.closed_to(MicroService.objects.filter(pk=service.pk).values("team")))


def refuse_closed(service: MicroService, hosts: Sequence[int]) -> None:
    """Raise Problem 409 where the service may not be deployed to one of these hosts (ids).

    `host_of_another_team` names those that are closed to it, `host_archived` one that was archived meanwhile.
    """
    closed = Asset.every.filter(closed_hosts(service) | Q(archived__isnull=False), pk__in=hosts)
    rows = list(closed.order_by("hostname"))
    for host in rows:
        refuse_archived(host)
    if rows:
        raise tenancy.refusal(service.name, [host.hostname for host in rows])


def hold(service: MicroService, hosts: Sequence[int]) -> None:
    """Keep the service and the hosts (ids) from changing teams, and the hosts their environment, until this transaction
    ends.

    Such a change locks their rows. The foreign keys of a new instance would meet that lock too, but only at the
    commit, after the check. SQLite has a single writer anyway.
    """
    if connection.features.has_select_for_update:
        fetch_all("SELECT id FROM micro_service WHERE id = %s FOR KEY SHARE", service.pk)
        fetch_all(f"SELECT id FROM asset WHERE id IN ({placeholders(hosts)}) ORDER BY id FOR SHARE", *hosts)  # noqa: S608
