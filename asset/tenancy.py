"""Which teams a host belongs to, who sees it, and which services may be deployed there. The only place of the rule.

A host without a team is open to everyone. One with teams is theirs alone: others do not learn that it exists, and no
service of another team, or of none, is deployed there. Anyone who may delete a service may remove it from a host.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from django.db.models import Q, QuerySet

from access.callers import Caller
from access.models import Team
from access.problems import FieldError, Problem, refused
from runtime.ids import parse_id

from .models import Asset, HostTeam

MAX_NAMED = 20  # errors in one refusal
# The rule of `closed_to` as SQL, about an operation `o` of a deployment `d`.
CLOSED = """EXISTS (SELECT 1 FROM asset_team ht WHERE ht.host_id = o.host_id) AND NOT EXISTS (
SELECT 1 FROM asset_team ht JOIN micro_service s ON s.team_id = ht.team_id
WHERE ht.host_id = o.host_id AND s.id = d.microservice_id)"""


def is_open(teams: Collection[int], to: Collection[int | None]) -> bool:
    """Return whether a host of these teams (ids) is open to one of the teams in `to`. Pure."""
    return not teams or any(team in to for team in teams)


def closed_to(teams: Collection[int] | QuerySet) -> QuerySet:
    """Return a subquery with the ids of hosts that are closed to all of these teams. It runs once."""
    return HostTeam.objects.exclude(host__in=HostTeam.objects.filter(team__in=teams).values("host")).values("host")


def visible(caller: Caller, path: str = "") -> Q:
    """Return the condition for rows whose host the caller may see. `path`: from the row to its host; "" for hosts."""
    return Q() if caller.teams is None else ~Q(**{f"{path or 'pk'}__in": closed_to(sorted(caller.teams))})


def hidden(caller: Caller, numbers: Iterable[int | None]) -> set[int]:
    """Return those of these hosts (ids) that the caller may not see. One query at most."""
    wanted = {number for number in numbers if number is not None}
    if caller.teams is None or not wanted:
        return set()
    return wanted - set(Asset.every.filter(visible(caller), pk__in=wanted).values_list("pk", flat=True))


def teams_of(rows: Iterable[Mapping[str, Any]]) -> dict[int | str, int]:
    """Return {id or name, as in the rows: id} of the existing teams in the rows' `teams`. Two queries at most."""
    wanted = {team for row in rows for team in row.get("teams") or ()}
    if not wanted:
        return {}
    names = {team for team in wanted if isinstance(team, str)}
    by_name: dict[int | str, int] = dict(Team.objects.filter(name__in=names).values_list("name", "pk"))
    ids = {team: number for team in wanted - set(by_name) if (number := parse_id(team)) is not None}
    existing = set(Team.objects.filter(pk__in=ids.values()).values_list("pk", flat=True))
    return by_name | {team: number for team, number in ids.items() if number in existing}


def refusal(service: str, hosts: Collection[str]) -> Problem:
    """Return 409 `host_of_another_team`, with each host to which the service may not be deployed."""
    errors = [FieldError("/host", "host_of_another_team.at", host=host) for host in list(hosts)[:MAX_NAMED]]
    first, more = next(iter(hosts)), len(hosts) - 1
    if not more:
        return refused("host_of_another_team", errors, service=service, host=first)
    return refused("host_of_another_team.several", errors, service=service, host=first, more=more)


def give(host: Asset, teams: Collection[int]) -> None:
    """Set the host's teams (ids); none opens it to everyone. Runs inside the caller's transaction.

    409 `team_in_the_way` where that would separate instances from their service. The rows are locked first, as
    deployments/placement.py does: an instance created at the same time is seen here, or sees the new teams; a change
    of a service's team waits. Services are locked before hosts, as there.
    """
    list(host.instances.select_related("microservice").select_for_update(of=("microservice",)).order_by("microservice"))
    Asset.every.select_for_update().filter(pk=host.pk).first()
    if teams:
        others = host.instances.exclude(microservice__team__in=teams).order_by("microservice__name")
        refuse_cutting_off(host.hostname, list(others.values_list("microservice__name", flat=True)), "/teams")
    host.teams.set(teams)


def refuse_cutting_off(whom: str, names: Collection[str], pointer: str) -> None:
    """Raise 409 `team_in_the_way`, with the names of what a change of teams would separate; nothing for no names."""
    if names:
        errors = [FieldError(pointer, "team_in_the_way.at", name=name) for name in list(names)[:MAX_NAMED]]
        raise refused("team_in_the_way", errors, whom=whom, names=list(names))
