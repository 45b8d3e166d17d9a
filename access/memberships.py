"""Who has which role in which team, for one person or for many, in one query."""

from collections import defaultdict
from collections.abc import Collection, Mapping

from django.db.models import FilteredRelation, Q, Subquery

from access.models import Team


def roles_of(people: Collection[int]) -> tuple[Mapping[int, dict[int, str]], bool]:
    """({user id: {team id: role}}, whether there is any team at all).

    Both in one query, because every request asks: beside the memberships it brings one team, whoever is in it.
    """
    one_team = Q(pk=Subquery(Team.objects.order_by("pk").values("pk")[:1]))
    theirs = FilteredRelation("memberships", condition=Q(memberships__user__in=people))
    rows = Team.objects.order_by().annotate(theirs=theirs).filter(one_team | Q(theirs__isnull=False))
    found: dict[int, dict[int, str]] = defaultdict(dict)
    any_team = False
    for team, user, role in rows.values_list("pk", "theirs__user", "theirs__role"):
        any_team = True
        if user is not None:
            found[user][team] = role
    return found, any_team
