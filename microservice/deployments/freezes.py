"""Which freezes hold in an environment, and until when. What is in no environment is never frozen."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.db.models import Q, QuerySet

from runtime.sql import among
from runtime.zones import UTC_ZONE, known

from ..models import Freeze
from .recurrences import Times, parse, until


def of(environment: int) -> QuerySet[Freeze]:
    """Return the freezes of an environment (an id), whether or not they hold now."""
    return Freeze.objects.filter(
        Q(everywhere=True) | Q(pk__in=_links().filter(environment=environment).values("freeze"))
    )


def in_force(environment: int | None, now: datetime) -> list[Freeze]:
    """Return the freezes that hold in an environment (an id) now, by name. One query."""
    if environment is None:
        return []
    return [freeze for freeze in of(environment) & _begun(now) if freeze_until(freeze, now)]


def in_force_in(environments: Iterable[int], now: datetime) -> dict[int, list[Freeze]]:
    """Return the same for each of several environments (ids). Two queries, however many there are."""
    found: dict[int, list[Freeze]] = {number: [] for number in environments}
    freezes = [freeze for freeze in _begun(now) if freeze_until(freeze, now)] if found else []
    links: set[tuple[int, int]] = set()
    if freezes:
        rows = _links().filter(environment__in=among(list(found)), freeze__in=among([one.pk for one in freezes]))
        links = set(rows.values_list("environment", "freeze"))
    for number, holding in found.items():
        holding.extend(freeze for freeze in freezes if freeze.everywhere or (number, freeze.pk) in links)
    return found


def freeze_until(freeze: Freeze, now: datetime) -> datetime | None:
    """Return when a freeze that holds now ends; None if it does not hold. It asks no database."""
    return until(times_of(freeze), now)


def times_of(freeze: Freeze) -> Times:
    """Return when it holds. A zone that this machine no longer knows is read as UTC."""
    rule = parse(freeze.recurrence) if freeze.recurrence else None
    return Times(freeze.start, freeze.end, known(freeze.time_zone) or UTC_ZONE, rule)


def _begun(now: datetime) -> QuerySet[Freeze]:
    """Return the freezes that have begun at least once and are not over for good, as far as the database can tell."""
    return Freeze.objects.filter(start__lte=now).exclude(recurrence="", end__lte=now)


def _links() -> QuerySet[Any]:
    return Freeze.environments.through._default_manager.all()
