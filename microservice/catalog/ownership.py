"""Whose a service is: who may give it to a team, and how the history tells of it."""

from collections.abc import Collection, Mapping
from typing import Any

from access.callers import Caller
from access.models import Team
from access.problems import forbidden
from asset import tenancy

from ..models import MicroService
from .secrets import OF_BUILDS


def check_making(caller: Caller, team: Team | None) -> None:
    """Admins make services of any team or none; an owner makes them for the own team."""
    if caller.services:
        raise forbidden("This token is for named services only; it cannot make another.")
    if not (caller.owns(team.pk) if team else caller.may("admin")):
        raise forbidden("This needs the right admin, or a team that you own.", "Name your team in `team`.")


def check_giving(caller: Caller, team: Team | None) -> None:
    """An owner may hand a service on to another team that they own; only admins make it everybody's."""
    if not (caller.owns(team.pk) if team else caller.may("admin")):
        raise forbidden("This needs the right admin, or ownership of the team that is to have it.")


def check_hosts(service: MicroService, team: Team | None) -> None:
    """409 `team_in_the_way` where the service runs on hosts that are closed to the team. Inside the transaction.

    The row is locked first, as whoever makes instances does: one that is made meanwhile is seen here, or sees the team.
    """
    MicroService.objects.select_for_update().filter(pk=service.pk).first()
    cut_off = service.instances.filter(host__in=tenancy.closed_to([team.pk] if team else []))
    names = list(cut_off.order_by("host__hostname").values_list("host__hostname", flat=True))
    tenancy.refuse_cutting_off(service.name, names, "/team")


# What decides which commands run on the build machines. More than the service's own matter: the builds of all services
# run there.
BUILD_FIELDS = frozenset({"build_orig", "build_url", "build_command", "build_refs", *OF_BUILDS})


def check_build(caller: Caller, changed: Collection[str], may_build: bool) -> None:
    """403 where a field that decides what builds run is changed without the right `build`."""
    wanted = sorted(BUILD_FIELDS.intersection(changed))
    if not wanted or may_build:
        return
    hint = "A token for named services needs the scope `build` by name." if caller.services else "Ask an administrator."
    problem = forbidden(f"This needs the right build: {', '.join(wanted)} decide what runs on build machines.", hint)
    problem.field_errors = [{"pointer": f"/{name}", "reason": "needs the right build"} for name in wanted]
    raise problem


def told(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields as JSON values for the history: a team by its name."""
    return {name: value.name if isinstance(value, Team) else value for name, value in fields.items()}


def team_for(caller: Caller) -> dict[str, Team]:
    """{"team": …} where a new service can only be of one team, because the caller owns that one and is no admin."""
    own = [] if caller.may("admin") else [pk for pk in sorted(caller.teams or ()) if caller.owns(pk)]
    return {"team": Team.objects.get(pk=own[0])} if len(own) == 1 else {}
