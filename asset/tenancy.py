"""Whose a host is: who sees it, and the services of which teams may come there. The rule is here, and nowhere else.

A host of no team is everybody's. One with teams is theirs alone: others do not learn that it exists, and no service of
another team, or of none, comes there. What a host runs is taken away from it by anybody who may delete the service.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from django.db.models import Q, QuerySet

from access.callers import Caller
from access.models import Team
from access.problems import Problem, conflict

from .models import Asset, HostTeam

MOST_NAMED = 20  # in one refusal
# The same rule as `closed_to`, for plain SQL about an operation `o` of a deployment `d`.
CLOSED = """EXISTS (SELECT 1 FROM asset_team ht WHERE ht.host_id = o.host_id) AND NOT EXISTS (
SELECT 1 FROM asset_team ht JOIN micro_service s ON s.team_id = ht.team_id
WHERE ht.host_id = o.host_id AND s.id = d.microservice_id)"""


def is_open(teams: Collection[int], to: Collection[int | None]) -> bool:
    """Whether a host of these teams (ids) is open to one of the teams in `to`. Pure."""
    return not teams or any(team in to for team in teams)


def closed_to(teams: Collection[int] | QuerySet) -> QuerySet:
    """The same as a condition: the ids of hosts that are closed to all of these teams. A subquery that is run once."""
    return HostTeam.objects.exclude(host__in=HostTeam.objects.filter(team__in=teams).values("host")).values("host")


def visible(caller: Caller, path: str = "") -> Q:
    """The rows whose host the caller may see; `path` leads from the row to its host ("": it is one)."""
    return Q() if caller.teams is None else ~Q(**{f"{path or 'pk'}__in": closed_to(sorted(caller.teams))})


def hidden(caller: Caller, numbers: Iterable[int | None]) -> set[int]:
    """Those of these hosts (ids) that the caller may not see. One query at most."""
    wanted = {number for number in numbers if number is not None}
    if caller.teams is None or not wanted:
        return set()
    return wanted - set(Asset.every.filter(visible(caller), pk__in=wanted).values_list("pk", flat=True))


def teams_of(rows: Iterable[Mapping[str, Any]]) -> dict[int | str, int]:
    """{as it was named: id}, of every team that the rows' `teams` name by id or name. Two queries, however many."""
    wanted = {which for row in rows for which in row.get("teams") or ()}
    if not wanted:
        return {}
    names = {which for which in wanted if isinstance(which, str)}
    found: dict[int | str, int] = dict(Team.objects.filter(name__in=names).values_list("name", "pk"))
    numbers = {int(which) for which in wanted - set(found) if str(which).isdigit()}
    there = set(Team.objects.filter(pk__in=numbers).values_list("pk", flat=True))
    return found | {which: int(which) for which in wanted - set(found) if str(which).isdigit() and int(which) in there}


def refusal(service: str, hosts: Collection[str]) -> Problem:
    """409 `host_of_another_team`, naming each host that the service may not come to."""
    errors = [{"pointer": "/host", "reason": f"{host} {REASON}"} for host in list(hosts)[:MOST_NAMED]]
    more = f" (and {len(hosts) - 1} more)" if len(hosts) > 1 else ""
    return conflict(
        "host_of_another_team",
        f"{service} may not come to {next(iter(hosts))}{more}: the host belongs to other teams.",
        HINT,
        errors,
    )


REASON = "belongs to other teams than the service"
HINT = "Choose a host of the service's team or of no team, or ask an administrator to share this one."


def give(host: Asset, teams: Collection[int]) -> None:
    """The host belongs to these teams (ids) from now on, none: to everybody. Inside the caller's transaction.

    409 `team_in_the_way` where that would cut off instances. The rows are locked first, as whoever makes instances does
    (deployments/placement.py): one that is made at the same time is seen here, or sees the new teams; and a service
    that is given away meanwhile waits. Services before hosts, as there.
    """
    list(host.instances.select_related("microservice").select_for_update(of=("microservice",)).order_by("microservice"))
    Asset.every.select_for_update().filter(pk=host.pk).first()
    if teams:
        others = host.instances.exclude(microservice__team__in=teams).order_by("microservice__name")
        refuse_cutting_off(host.hostname, list(others.values_list("microservice__name", flat=True)), "/teams")
    host.teams.set(teams)


def refuse_cutting_off(whom: str, what: Collection[str], pointer: str) -> None:
    """409 `team_in_the_way` where there is anything that a change of teams would separate; names it."""
    if not what:
        return
    named = ", ".join(list(what)[:MOST_NAMED]) + (f" and {len(what) - MOST_NAMED} more" * (len(what) > MOST_NAMED))
    raise conflict(
        "team_in_the_way",
        f"This would separate {whom} from what it is deployed with: {named}.",
        "Delete those instances first, or share the hosts with both teams.",
        [{"pointer": pointer, "reason": f"{one} would be cut off"} for one in list(what)[:MOST_NAMED]],
    )
