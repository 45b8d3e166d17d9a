"""Which rows a caller may see, and which of their values: the one rule for the console's pages and the API's lists."""

from collections.abc import Iterable
from typing import Any

from django.db.models import Q, QuerySet

from access import url_userinfo
from access.callers import Caller
from asset import tenancy
from asset.models import Asset
from audit.models import History

from ..models import MicroService

# Rows of the history that others than administrators see besides those of services. The rest (users, tokens,
# credentials, settings, and deleted services, which have no team any more) is for administrators only.
HOST_ROWS = Q(microservice=None, subject="host")
TEAM_ROWS = Q(microservice=None, subject="team")


def visible(caller: Caller, path: str = "") -> Q:
    """Return the condition for rows of services that the caller may see. `path`: from the row to its service.

    Members see the services of their teams; callers with the default role also see those without a team. A token for
    named services sees only those among them.
    """
    to = f"{path}__" if path else ""
    seen = Q()
    if caller.teams is not None:
        seen &= Q(**{f"{to}team__in": sorted(caller.teams)})
        if caller.sees_unowned:
            # Not `team=None` alone: that is also true of a row without a service.
            seen |= Q(**{f"{to}team": None, f"{path or 'pk'}__isnull": False})
    if caller.services:
        seen &= Q(**{f"{path or 'pk'}__in": sorted(caller.services)})
    return seen


def operations(caller: Caller) -> Q:
    """Return the condition for operations that the caller may see: none on a host that now belongs to another team."""
    return visible(caller, "deployment__microservice") & tenancy.visible(caller, "host")


def history(caller: Caller) -> QuerySet[History]:
    """Return the rows of the history that the caller may see."""
    if caller.may("admin"):
        return History.objects.all()
    seen = visible(caller, "microservice") & Q(microservice__isnull=False)
    if caller.sees_hosts and not caller.services:
        # Only hosts that still exist: the teams of a deleted host are not known any more.
        hosts = Asset.every.filter(tenancy.visible(caller)).order_by().values("pk")
        seen |= HOST_ROWS & Q(subject_id__in=hosts)
    if caller.teams and not caller.services:
        seen |= TEAM_ROWS & Q(subject_id__in=sorted(caller.teams))
    return History.objects.filter(seen)


def sees_values(caller: Caller, service_id: int | None) -> bool:
    """Return whether the caller sees the values of a service's environment, as those who deploy it do.

    `service_id` is None where the service was deleted: only administrators see it then.
    """
    return caller.may("admin") if service_id is None else caller.may("deploy", service_id)


def environment(caller: Caller, service: MicroService) -> dict[str, Any]:
    """Return the service's environment as the caller sees it, with None for each hidden value."""
    values = service.environment if isinstance(service.environment, dict) else {}
    return values if sees_values(caller, service.pk) else dict.fromkeys(values)


def with_hidden_values(environment: Any, before: Any) -> Any:
    """Return an environment from a request, with the values of `before` where it has None: those were hidden."""
    if not isinstance(environment, dict) or not isinstance(before, dict):
        return environment
    return {name: before.get(name) if value is None else value for name, value in environment.items()}


def redact(caller: Caller, rows: Iterable[History]) -> list[History]:
    """Return rows of the history without the values that the caller may not see. Do not save them.

    The chain cannot be edited, so values that must not be read are hidden here, also in old rows.
    """
    redacted = list(rows)
    for row in redacted:
        row.before, row.after = (_redacted(caller, row, values) for values in (row.before, row.after))
        row.reason = url_userinfo.hidden(row.reason)
    return redacted


def _redacted(caller: Caller, row: History, values: Any) -> Any:
    if not isinstance(values, dict):
        return values
    visible = {name: url_userinfo.hidden(value) if isinstance(value, str) else value for name, value in values.items()}
    if isinstance(visible.get("environment"), dict) and not sees_values(caller, row.microservice_id):
        visible["environment"] = dict.fromkeys(visible["environment"])
    return visible


def owners(service_id: int | None = None) -> dict[int, int | None]:
    """Return {service: team}. See access.permissions.Owners."""
    services = MicroService.objects.order_by()
    if service_id is not None:
        services = services.filter(pk=service_id)
    return dict(services.values_list("pk", "team_id"))
