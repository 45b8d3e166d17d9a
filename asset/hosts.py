"""Hosts: created, changed and deleted by rule; asked what they are, and trusted by name of their key."""

from collections.abc import Iterable, Mapping
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import ProtectedError

from access.callers import Caller
from access.problems import Problem, conflict, invalid
from access.rollback import rolls_back
from audit import history

from . import reachability, tenancy, validation
from .archiving import refuse_archived, unarchive
from .endpoints import MOST_JUMPS, WAY, endpoint_from, endpoint_of, with_ways
from .host_check import check, trust
from .models import Asset, Credential

__all__ = [
    "WAY",
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


# Where one of these changes, what the last contact showed was said of another machine, user or folder.
OF_THE_WAY = frozenset({"ip", "port", "username", "credential_id", "host_key", "jump_host_id", "base_path", "sudo"})


def create(caller: Caller, values: Mapping[str, Any]) -> Asset:
    """A new host from the fields of `rules.FIELDS`. 422 names each field that is wrong, 409 a name that is taken."""
    clean, wrong = validation.check(values, validation.REQUIRED)
    teams = tenancy.teams_of([clean])
    _refuse({f"/{name}": reason for name, reason in (wrong | missing_references([clean], teams)[0]).items()})
    check_jumps(None, clean.get("jump_host_id"))
    given = [teams[which] for which in clean.pop("teams", ())]
    host = Asset(**clean, created_by=caller.name, updated_by=caller.name)
    with transaction.atomic():
        _save(host, force_insert=True)
        host.teams.set(given)
        history.record(caller, "create", "host", host, after=shown(host))
    return host


@rolls_back
def change(caller: Caller, host: Asset, values: Mapping[str, Any]) -> Asset:
    """Changes the fields that are named and leaves the others. A base path stays while something lives below it."""
    if set(values) - {"teams"}:  # whose an archived host is may change: a team is not kept because of it
        refuse_archived(host)
    clean, wrong = validation.check(values)
    teams = tenancy.teams_of([clean])
    _refuse({f"/{name}": reason for name, reason in (wrong | missing_references([clean], teams)[0]).items()})
    if clean.get("base_path", host.base_path) != host.base_path and host.instances.exists():
        raise conflict(
            "host_in_use",
            f"Services run below {host.base_path} on {host.hostname}; its base path cannot change while they do.",
            "Delete the host's instances first, or add the machine as another host.",
        )
    if "jump_host_id" in clean:
        check_jumps(host, clean["jump_host_id"])
    before = shown(host)
    given = [teams[which] for which in clean.pop("teams")] if "teams" in clean else None
    if given is not None and set(given) == set(host.teams.values_list("pk", flat=True)):
        given = None
    clean = {name: value for name, value in clean.items() if before[name] != value}
    if given is None and not clean:
        return host
    for name, value in clean.items():
        setattr(host, name, value)
    if host.host_key != before["host_key"]:
        host.offered_key = ""
    anew = reachability.UNKNOWN if set(clean) & OF_THE_WAY else {}
    for name, value in anew.items():
        setattr(host, name, value)
    host.updated_by = caller.name
    with transaction.atomic():
        if given is not None:
            tenancy.give(host, given)
        _save(host, update_fields=[*clean, *anew, "offered_key", "updated", "updated_by"])
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
    """409, naming what is in the way, while instances, operations or other hosts refer to it: see `archive`."""
    try:
        with transaction.atomic():
            history.record(caller, "delete", "host", host, before=shown(host))
            host.delete()
    except ProtectedError as error:
        raise _in_use(host, sorted({_described(row) for row in error.protected_objects})[:5]) from error
    except IntegrityError as error:  # somebody referred to it between our look and our delete
        raise _in_use(host, []) from error


def shown(host: Asset) -> dict[str, Any]:
    """The fields that people set, as they are now; teams by their names."""
    own = {name: getattr(host, name) for name in validation.FIELDS if name != "teams"}
    return own | {"teams": sorted(host.teams.order_by().values_list("name", flat=True))}


def check_jumps(host: Asset | None, jump_id: int | None) -> None:
    """422 where the jump host would make a circle, or a way of more than MOST_JUMPS, for it or for those behind it."""
    above, at = 0, jump_id
    while at is not None:
        if host is not None and at == host.pk:
            raise invalid("/jump_host_id", "would make a circle: that host is reached through this one")
        above += 1
        if above > MOST_JUMPS:
            raise invalid("/jump_host_id", f"would put more than {MOST_JUMPS} jump hosts in the way")
        at = Asset.every.values_list("jump_host_id", flat=True).get(pk=at)  # also where one on the way is archived
    behind, below = ([host.pk] if host else []), 0
    while above and (behind := list(Asset.objects.filter(jump_host__in=behind).values_list("pk", flat=True))):
        below += 1
        if above + below > MOST_JUMPS:
            raise invalid("/jump_host_id", f"would put more than {MOST_JUMPS} jump hosts before a host behind this one")


def check_new_jumps(jumps: Iterable[int]) -> None:
    """The same for new hosts behind these: a query for each level, however many there are."""
    known = with_ways(jumps)
    for number in jumps:
        above, at = 0, known.get(number)
        while at is not None and above <= MOST_JUMPS:
            above, at = above + 1, at.jump_host
        if above > MOST_JUMPS:
            raise invalid("/jump_host_id", f"would put more than {MOST_JUMPS} jump hosts in the way")


def missing_references(rows: Iterable[Mapping[str, Any]], teams: Mapping[int | str, int]) -> list[dict[str, str]]:
    """For each row, which of its references point at nothing; `teams` are those that are there, by id and by name
    (`tenancy.teams_of`). Two queries, however many rows."""
    rows = list(rows)
    wanted = {name: {row[name] for row in rows if row.get(name)} for name in ("credential_id", "jump_host_id")}
    there = {
        "credential_id": set(Credential.objects.filter(pk__in=wanted["credential_id"]).values_list("pk", flat=True)),
        "jump_host_id": set(Asset.objects.filter(pk__in=wanted["jump_host_id"]).values_list("pk", flat=True)),
    }
    what = {"credential_id": "there is no such credential", "jump_host_id": "there is no such host"}
    return [
        {name: what[name] for name in there if row.get(name) and row[name] not in there[name]}
        | ({"teams": "there is no such team"} if set(row.get("teams") or ()) - set(teams) else {})
        for row in rows
    ]


def _save(host: Asset, **how: Any) -> None:
    try:
        with transaction.atomic():
            host.save(**how)
    except IntegrityError as error:
        if Asset.objects.filter(hostname=host.hostname).exclude(pk=host.pk).exists():
            raise name_taken(host.hostname) from error
        raise


def name_taken(hostname: str) -> Problem:
    return conflict("already_exists", f"There is a host named {hostname} already.", "Change that one, or rename it.")


def _refuse(errors: dict[str, str]) -> None:
    """422 with every reason at once; keys are JSON pointers."""
    if errors:
        first = next(iter(errors))
        problem = invalid(first, errors[first])
        problem.field_errors = [{"pointer": pointer, "reason": reason} for pointer, reason in errors.items()]
        raise problem


def _in_use(host: Asset, what: list[str]) -> Problem:
    names = f": {', '.join(what)}" if what else ""
    return conflict(
        "host_in_use",
        f"{host.hostname} cannot be deleted while something refers to it{names}.",
        "Delete its instances first. A host that has a history of operations is archived instead.",
    )


def _described(row: Any) -> str:
    return f"{row._meta.verbose_name} {row}"
