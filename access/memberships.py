"""Look up the roles of users in teams, for one user or for many, in one query."""

from collections import defaultdict
from collections.abc import Collection, Mapping

from django.db.models import FilteredRelation, Q, Subquery

from access.models import Team


def roles_of(user_ids: Collection[int]) -> tuple[Mapping[int, dict[int, str]], bool]:
    """Return ({user id: {team id: role}}, whether there is any team at all).

    Both in one query, because every request needs them: beside the memberships it selects one team, whatever its
    members.
    """
    one_team = Q(pk=Subquery(Team.objects.order_by("pk").values("pk")[:1]))
    theirs = FilteredRelation("memberships", condition=Q(memberships__user__in=user_ids))
    rows = Team.objects.order_by().annotate(theirs=theirs).filter(one_team | Q(theirs__isnull=False))
    roles: dict[int, dict[int, str]] = defaultdict(dict)
    any_team = False
    for team, user, role in rows.values_list("pk", "theirs__user", "theirs__role"):
        any_team = True
        if user is not None:
            roles[user][team] = role
    return roles, any_team
