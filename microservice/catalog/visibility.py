"""Which rows a caller may see: the one rule that the console's pages and the API's lists go by."""
from django.db.models import Q, QuerySet

from access.callers import Caller

from ..models import History

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


def history(caller: Caller) -> QuerySet[History]:
    """What was done to what the caller may see."""
    if caller.may("admin"):
        return History.objects.all()
    seen = visible(caller, "microservice") & Q(microservice__isnull=False)
    if caller.sees_hosts and not caller.services:
        seen |= OF_HOSTS
    if caller.teams and not caller.services:
        seen |= OF_TEAMS & Q(subject_id__in=sorted(caller.teams))
    return History.objects.filter(seen)
