"""Which rows a caller may see: the one rule that the console's pages and the API's lists go by."""
from django.db.models import Q, QuerySet

from access.callers import Caller
from asset import tenancy
from asset.models import Asset

from ..models import History

# About people and secrets only administrators are told; the history of a service that is gone has no team left to ask.
FOR_ADMINS = ("token", "credential", "user", "settings", "callback")
OF_A_SERVICE = ("service", "version", "instance", "deployment", "build")


def visible(caller: Caller, path: str = "") -> Q:
    """The rows about services that the caller may see; `path` leads from the row to its service ("": it is one).

    Everybody sees what no team owns and what their own teams own, a token for named services only those of them.
    """
    to = f"{path}__" if path else ""
    seen = Q()
    if caller.teams is not None:
        seen &= Q(**{f"{to}team": None}) | Q(**{f"{to}team__in": sorted(caller.teams)})
    if caller.services:
        seen &= Q(**{f"{path or 'pk'}__in": sorted(caller.services)})
    return seen


def operations(caller: Caller) -> Q:
    """The operations that the caller may see: without those on a host that is another team's by now."""
    return visible(caller, "deployment__microservice") & tenancy.visible(caller, "host")


def history(caller: Caller) -> QuerySet[History]:
    """What was done to what the caller may see."""
    rows = History.objects.filter(visible(caller, "microservice"))
    if not caller.may("admin"):
        rows = rows.exclude(subject__in=FOR_ADMINS).exclude(microservice=None, subject__in=OF_A_SERVICE)
        # Whose a host was that is gone, nobody can tell any more.
        hosts = Asset.objects.filter(tenancy.visible(caller)).order_by().values("pk")
        rows = rows.filter(~Q(subject="host") | Q(subject_id__in=hosts))
    return rows
