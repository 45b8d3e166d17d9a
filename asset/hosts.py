"""The rules for creating, changing and deleting hosts."""

from collections.abc import Iterable, Mapping
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Model, ProtectedError
from django.utils import timezone

from access.callers import Caller
from access.problems import FieldError, Problem, invalid, invalid_fields, refused
from access.rollback import rolls_back
from audit import history
from messages import Message

from . import environments, reachability, tenancy, validation
from .archiving import refuse_archived, unarchive
from .endpoints import MAX_JUMPS, PATH, endpoint_from, endpoint_of, with_paths
from .host_check import check, trust
from .models import Asset, Credential, Environment

__all__ = [
    "PATH",
    "change",
    "check",
    "create",
    "delete",
    "endpoint_from",
    "endpoint_of",
    "shown",
    "trust",
    "unarchive",
]


# When one of these changes, the result of the last contact was about another machine, user or folder.
CONNECTION_FIELDS = frozenset(
    {"ip", "port", "username", "credential_id", "host_key", "jump_host_id", "base_path", "sudo"}
)


def create(caller: Caller, values: Mapping[str, Any]) -> Asset:
    """Create a host from the fields of `validation.FIELDS`. 422 names each invalid field, 409 a name that is taken."""
    clean, reasons = validation.check(values, validation.REQUIRED)
    teams = tenancy.teams_of([clean])
    _refuse(reasons | missing_references([clean], teams)[0])
    check_jumps(None, clean.get("jump_host_id"))
    team_ids = [teams[team] for team in clean.pop("teams", ())]
    host = Asset(**clean, **since(clean), created_by=caller.name, updated_by=caller.name)
    with transaction.atomic():
        _save(host, force_insert=True)
        host.teams.set(team_ids)
        history.record(caller, "create", "host", host, after=shown(host))
    return host


@rolls_back
def change(caller: Caller, host: Asset, values: Mapping[str, Any]) -> Asset:
    """Change the named fields only. 409 where the base path would change while the host has instances, or the
    environment while something is deployed to it."""
    if set(values) - {"teams"}:  # an archived host may change its teams: it must not keep a team from being deleted
        refuse_archived(host)
    clean, reasons = validation.check(values)
    teams = tenancy.teams_of([clean])
    _refuse(reasons | missing_references([clean], teams)[0])
    if clean.get("base_path", host.base_path) != host.base_path and host.instances.exists():
        raise refused("host_in_use.base_path", host=host.hostname, path=host.base_path)
    if "jump_host_id" in clean:
        check_jumps(host, clean["jump_host_id"])
    before = shown(host)
    team_ids = [teams[team] for team in clean.pop("teams")] if "teams" in clean else None
    if team_ids is not None and set(team_ids) == set(host.teams.values_list("pk", flat=True)):
        team_ids = None
    clean = {name: value for name, value in clean.items() if before[name] != value}
    if team_ids is None and not clean:
        return host
    for name, value in clean.items():
        setattr(host, name, value)
    if host.host_key != before["host_key"]:
        host.offered_key = ""
    reset = {**(reachability.UNKNOWN if set(clean) & CONNECTION_FIELDS else {}), **since(clean)}
    for name, value in reset.items():
        setattr(host, name, value)
    host.updated_by = caller.name
    with transaction.atomic():
        if "environment_id" in clean:
            environments.refuse_under_way([host.pk])
        if team_ids is not None:
            tenancy.give(host, team_ids)
        _save(host, update_fields=[*clean, *reset, "offered_key", "updated", "updated_by"])
        after = shown(host)
        changed = [name for name in validation.FIELDS if before[name] != after[name]]
        if changed:
            history.record(
                caller,
                "change",
                "host",
                host,
                before={name: before[name] for name in changed},
                after={name: after[name] for name in changed},
            )
    return host


def delete(caller: Caller, host: Asset) -> None:
    """Delete the host. 409 with the rows that refer to it: instances, operations or other hosts; see `archive`."""
    try:
        with transaction.atomic():
            history.record(caller, "delete", "host", host, before=shown(host))
            host.delete()
    except ProtectedError as error:
        raise _in_use(host, sorted({_described(row) for row in error.protected_objects})[:5]) from error
    except IntegrityError as error:  # a row that refers to it was created after the check
        raise _in_use(host, []) from error


def since(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return when a host came into its environment, where these values set one; {} where they do not."""
    if "environment_id" not in values:
        return {}
    return {"environment_since": timezone.now() if values["environment_id"] else None}


def shown(host: Asset) -> dict[str, Any]:
    """Return the current values of the fields that people set, with teams by name."""
    own = {name: getattr(host, name) for name in validation.FIELDS if name != "teams"}
    return own | {"teams": sorted(host.teams.order_by().values_list("name", flat=True))}


def check_jumps(host: Asset | None, jump_id: int | None) -> None:
    """Raise 422 where the jump host would make a circle, or a path of more than MAX_JUMPS to a host."""
    above, at = 0, jump_id
    while at is not None:
        if host is not None and at == host.pk:
            raise invalid("/jump_host_id", "jump_circle")
        above += 1
        if above > MAX_JUMPS:
            raise invalid("/jump_host_id", "too_many_jumps_before", max=MAX_JUMPS)
        at = Asset.every.values_list("jump_host_id", flat=True).get(pk=at)  # `every`: one of them may be archived
    behind, below = ([host.pk] if host else []), 0
    while above and (behind := list(Asset.objects.filter(jump_host__in=behind).values_list("pk", flat=True))):
        below += 1
        if above + below > MAX_JUMPS:
            raise invalid("/jump_host_id", "too_many_jumps_behind", max=MAX_JUMPS)


def check_new_jumps(jumps: Iterable[int]) -> None:
    """Check the same for new hosts behind these: one query a level, however many hosts there are."""
    known = with_paths(jumps)
    for number in jumps:
        above, at = 0, known.get(number)
        while at is not None and above <= MAX_JUMPS:
            above, at = above + 1, at.jump_host
        if above > MAX_JUMPS:
            raise invalid("/jump_host_id", "too_many_jumps_before", max=MAX_JUMPS)


def missing_references(rows: Iterable[Mapping[str, Any]], teams: Mapping[int | str, int]) -> list[dict[str, Message]]:
    """Return, for each row, the reason for each field that refers to a missing row. Three queries, however many rows.

    `teams`: the existing teams by id and by name, from `tenancy.teams_of`.
    """
    rows = list(rows)
    reasons: dict[str, Message] = {}
    existing: dict[str, set[int]] = {}
    models: tuple[tuple[str, type[Model], str], ...] = (
        ("credential_id", Credential, "no_such_credential"),
        ("jump_host_id", Asset, "no_such_host"),
        ("environment_id", Environment, "no_such_environment"),
    )
    for name, model, code in models:
        wanted = {row[name] for row in rows if row.get(name)}
        existing[name] = set(model._default_manager.filter(pk__in=wanted).values_list("pk", flat=True))
        reasons[name] = Message(code)
    return [
        {name: reasons[name] for name in existing if row.get(name) and row[name] not in existing[name]}
        | ({"teams": Message("no_such_team")} if set(row.get("teams") or ()) - set(teams) else {})
        for row in rows
    ]


def _save(host: Asset, **options: Any) -> None:
    try:
        with transaction.atomic():
            host.save(**options)
    except IntegrityError as error:
        if Asset.objects.filter(hostname=host.hostname).exclude(pk=host.pk).exists():
            raise name_taken(host.hostname) from error
        raise


def name_taken(hostname: str) -> Problem:
    return refused("already_exists.host", host=hostname)


def _refuse(reasons: Mapping[str, Message]) -> None:
    """Raise 422 with every reason at once, by field."""
    if reasons:
        raise invalid_fields([FieldError(f"/{name}", reason) for name, reason in reasons.items()])


def _in_use(host: Asset, rows: list[str]) -> Problem:
    if not rows:
        return refused("host_in_use.somewhere", host=host.hostname)
    return refused("host_in_use", host=host.hostname, rows=rows)


def _described(row: Any) -> str:
    return f"{row._meta.verbose_name} {row}"
