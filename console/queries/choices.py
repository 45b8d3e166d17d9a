"""What a form lets its user choose by name: which rows of a kind, and those that a few typed letters find."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import User
from django.db.models import Case, Q, QuerySet, Value, When

from access.callers import Caller
from access.teams import visible_teams
from asset import tenancy
from asset.models import Asset, Credential
from messages.rendering import term
from microservice.catalog.visibility import visible
from microservice.models import MicroService

FOUND = 20  # rows shown at once
SIMILAR = 3  # names that the refusal of an unknown one proposes


@dataclass(frozen=True, slots=True)
class Kind:
    """Rows that are chosen by their unique name. `also`: other columns that are searched."""

    rows: Callable[[Caller], QuerySet[Any]]
    column: str
    detail: Callable[[Any], str]  # said beside the name
    also: tuple[str, ...] = ()

    def name_of(self, row: Any) -> str:
        return str(getattr(row, self.column))


@dataclass(frozen=True, slots=True)
class Choice:
    name: str
    detail: str


def _hosts(caller: Caller) -> QuerySet[Asset]:
    return Asset.objects.filter(tenancy.visible(caller)) if caller.sees_hosts else Asset.objects.none()


def _credentials(caller: Caller) -> QuerySet[Credential]:
    return Credential.objects.defer("secret", "passphrase") if caller.may("admin") else Credential.objects.none()


def _persons(caller: Caller) -> QuerySet[User]:
    """Return all accounts to administrators, and to others those of their teams: names of accounts are not public."""
    active = User.objects.filter(is_active=True)
    if caller.may("admin"):
        return active
    return active.filter(pk__in=User.objects.filter(memberships__team__in=sorted(caller.teams or ())).values("pk"))


def _unowned(caller: Caller) -> QuerySet[MicroService]:
    return MicroService.objects.filter(team=None) if caller.may("admin") else MicroService.objects.none()


KINDS = {
    "credential": Kind(_credentials, "name", lambda row: term(row.get_kind_display())),
    "host": Kind(_hosts, "hostname", lambda row: row.ip, ("ip",)),
    "person": Kind(_persons, "username", User.get_full_name, ("first_name", "last_name")),
    "service": Kind(
        lambda caller: MicroService.objects.filter(visible(caller)),
        "name",
        lambda row: row.description,
        ("description",),
    ),
    "team": Kind(
        lambda caller: visible_teams(caller).prefetch_related(None),
        "name",
        lambda row: row.description,
        ("description",),
    ),
    "unowned": Kind(_unowned, "name", lambda row: row.description, ("description",)),
}


def find(caller: Caller, kind: str, q: str, limit: int = FOUND) -> tuple[list[Choice], bool]:
    """Return what the user may choose and `q` finds, names that begin with it first; and whether more is found.

    One query.
    """
    of = KINDS[kind]
    rows = of.rows(caller)
    order = [of.column]
    if q:
        match = Q(**{f"{of.column}__icontains": q})
        for column in of.also:
            match |= Q(**{f"{column}__icontains": q})
        begins = Case(When(**{f"{of.column}__istartswith": q}, then=Value(0)), default=Value(1))
        rows = rows.filter(match).annotate(begins=begins)
        order = ["begins", of.column]
    found = list(rows.order_by(*order)[: limit + 1])
    return [Choice(of.name_of(row), of.detail(row)) for row in found[:limit]], len(found) > limit


def chosen(caller: Caller, kind: str, name: str) -> Any | None:
    """Return the row of this name that the user may choose; without one, the only one that differs in capitals."""
    of = KINDS[kind]
    alike = list(of.rows(caller).filter(**{f"{of.column}__iexact": name})[:2])
    exact = of.rows(caller).filter(**{of.column: name}).first() if len(alike) != 1 else None
    return exact or (alike[0] if len(alike) == 1 else None)


def unknown(caller: Caller, kind: str, names: Iterable[str]) -> list[str]:
    """Return those of the names that the user may not choose. One query."""
    of, names = KINDS[kind], list(names)
    known = (
        set(of.rows(caller).filter(**{f"{of.column}__in": names}).values_list(of.column, flat=True)) if names else ()
    )
    return [name for name in names if name not in known]


def similar(caller: Caller, kind: str, name: str) -> list[str]:
    """Return a few names that resemble one that does not exist: those that it is part of, or that begin alike."""
    for part in (name, name[: max(3, len(name) // 2)]):
        if part and (found := find(caller, kind, part, SIMILAR)[0]):
            return [one.name for one in found]
    return []
