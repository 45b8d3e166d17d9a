"""Which team a service belongs to: who may create it there, assign it, and change what its builds run."""

from collections.abc import Collection, Mapping
from typing import Any

from access.callers import Caller
from access.models import Team
from access.problems import FieldError, refused
from asset import tenancy
from asset.models import Environment

from ..models import MicroService
from .secrets import BUILD_SECRET_FIELDS


def check_create(caller: Caller, team: Team | None) -> None:
    """Let administrators create services of any team or none, owners those of their own teams. Raise 403."""
    if caller.services:
        raise refused("forbidden.create_service_by_token")
    if not (caller.owns(team.pk) if team else caller.may("admin")):
        raise refused("forbidden.create_service")


def check_assign(caller: Caller, team: Team | None) -> None:
    """Let owners assign a service to another team of theirs, and only administrators take it out of all teams."""
    if not (caller.owns(team.pk) if team else caller.may("admin")):
        raise refused("forbidden.assign_service")


def check_hosts(service: MicroService, team: Team | None) -> None:
    """Raise 409 `team_in_the_way` where the service runs on hosts that are closed to the team. In a transaction.

    The row is locked first, as for new instances: one that is created meanwhile is seen here, or sees the team.
    """
    MicroService.objects.select_for_update().filter(pk=service.pk).first()
    cut_off = service.instances.filter(host__in=tenancy.closed_to([team.pk] if team else []))
    names = list(cut_off.order_by("host__hostname").values_list("host__hostname", flat=True))
    tenancy.refuse_cutting_off(service.name, names, "/team")


# Fields that decide which commands run on the build machines, where the builds of all services run.
BUILD_FIELDS = frozenset({"build_orig", "build_url", "build_command", "build_refs", "recipe", *BUILD_SECRET_FIELDS})


def check_build(caller: Caller, changed: Collection[str], may_build: bool) -> None:
    """Raise 403 where a field that decides what builds run is changed without the right `build`."""
    wanted = sorted(BUILD_FIELDS.intersection(changed))
    if not wanted or may_build:
        return
    raise refused(
        "forbidden.build_fields_by_token" if caller.services else "forbidden.build_fields",
        [FieldError(f"/{name}", "needs_build_right") for name in wanted],
        fields=wanted,
    )


def as_json(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields as JSON values for the history: a team and an environment by their names."""
    named = (Team, Environment)
    return {name: value.name if isinstance(value, named) else value for name, value in fields.items()}


def only_team(caller: Caller) -> dict[str, Team]:
    """Return {"team": …} where the caller can create services of one team only; else {}."""
    own = [] if caller.may("admin") else [pk for pk in sorted(caller.teams or ()) if caller.owns(pk)]
    return {"team": Team.objects.get(pk=own[0])} if len(own) == 1 else {}
