"""Which rows a caller may see, and what of them: the one rule that the console's pages and the API's lists go by."""

from collections.abc import Iterable
from typing import Any

from django.db.models import Q, QuerySet

from access import url_userinfo
from access.callers import Caller
from asset import tenancy
from asset.models import Asset
from audit.models import History

from ..models import MicroService

# What is told of besides services, and to whom. About everything else (people, tokens, credentials, settings, services
# that are gone and have no team left to ask) only administrators are told.
OF_HOSTS = Q(microservice=None, subject="host")
OF_TEAMS = Q(microservice=None, subject="team")


def visible(caller: Caller, path: str = "") -> Q:
    """The rows about services that the caller may see; `path` leads from the row to its service ("": it is one).

    Members see what their teams own, and who has the default role what no team owns; a token for named services sees
    only those of them.
    """
    to = f"{path}__" if path else ""
    seen = Q()
    if caller.teams is not None:
        seen &= Q(**{f"{to}team__in": sorted(caller.teams)})
        if caller.sees_unowned:
            # Not `team=None` alone: that is also true of a row that is about no service.
            seen |= Q(**{f"{to}team": None, f"{path or 'pk'}__isnull": False})
    if caller.services:
        seen &= Q(**{f"{path or 'pk'}__in": sorted(caller.services)})
    return seen


def operations(caller: Caller) -> Q:
    """The operations that the caller may see: without those on a host that is another team's by now."""
    return visible(caller, "deployment__microservice") & tenancy.visible(caller, "host")


def history(caller: Caller) -> QuerySet[History]:
    """What was done to what the caller may see."""
    if caller.may("admin"):
        return History.objects.all()
    seen = visible(caller, "microservice") & Q(microservice__isnull=False)
    if caller.sees_hosts and not caller.services:
        # Whose a host was that is gone, nobody can tell any more.
        hosts = Asset.every.filter(tenancy.visible(caller)).order_by().values("pk")
        seen |= OF_HOSTS & Q(subject_id__in=hosts)
    if caller.teams and not caller.services:
        seen |= OF_TEAMS & Q(subject_id__in=sorted(caller.teams))
    return History.objects.filter(seen)


def sees_values(caller: Caller, service_id: int | None) -> bool:
    """Whether the caller sees the values of a service's environment: who deploys it does. Others see the names.

    `service_id` is None where the service is gone: administrators alone remember it.
    """
    return caller.may("admin") if service_id is None else caller.may("deploy", service_id)


def environment(caller: Caller, service: MicroService) -> dict[str, Any]:
    """The service's environment as the caller sees it: with None for each value that is hidden."""
    values = service.environment if isinstance(service.environment, dict) else {}
    return values if sees_values(caller, service.pk) else dict.fromkeys(values)


def restored(given: Any, before: Any) -> Any:
    """An environment that was given, with the values of `before` where it has None: those were hidden."""
    if not isinstance(given, dict) or not isinstance(before, dict):
        return given
    return {name: before.get(name) if value is None else value for name, value in given.items()}


def shown(caller: Caller, rows: Iterable[History]) -> list[History]:
    """Rows of the history with what they tell cut down to what the caller sees. The rows are not to be saved.

    The chain holds what was written; it cannot be edited, so what must not be read is hidden here, for old rows too.
    """
    cut = list(rows)
    for row in cut:
        row.before, row.after = (_cut(caller, row, values) for values in (row.before, row.after))
        row.reason = url_userinfo.hidden(row.reason)
    return cut


def _cut(caller: Caller, row: History, values: Any) -> Any:
    if not isinstance(values, dict):
        return values
    told = {name: url_userinfo.hidden(value) if isinstance(value, str) else value for name, value in values.items()}
    if isinstance(told.get("environment"), dict) and not sees_values(caller, row.microservice_id):
        told["environment"] = dict.fromkeys(told["environment"])
    return told


def owners(service_id: int | None = None) -> dict[int, int | None]:
    """See access.permissions.Owners."""
    services = MicroService.objects.order_by()
    if service_id is not None:
        services = services.filter(pk=service_id)
    return dict(services.values_list("pk", "team_id"))
