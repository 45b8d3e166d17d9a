"""The rules for creating, changing and deleting freezes."""

import re
from collections.abc import Callable, Iterable, Mapping
from copy import copy
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Any
from zoneinfo import ZoneInfo

from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone

from access.callers import Caller
from access.problems import FieldError, invalid_fields, refused
from access.rollback import rolls_back
from asset import environments, validation
from asset.environments import MAX_ENVIRONMENTS
from asset.models import Environment
from audit import history
from messages.invalid import InvalidValue
from runtime.sql import among
from runtime.zones import UTC_ZONE, known

from ..models import DeploymentRequest, Freeze
from .freezes import times_of
from .recurrences import YEARS, Times, moment, never_ends, parse, spans
from .waiting.look import MAX_A_SWEEP, look_again

MAX_FREEZES = 200
MAX_DAYS = 366  # of a freeze that recurs
_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?(Z|[+-]\d\d:\d\d)?", re.ASCII)


def _recurrence(value: Any) -> str:
    """Check a rule of RFC 5545, or "" for none. Return it in capitals."""
    text = validation.text(value, 255).strip().upper().removeprefix("RRULE:")
    if text:
        parse(text)
    return text


def _zone(value: Any) -> str:
    if known(name := validation.text(value, 64)) is None:
        raise InvalidValue("unknown_zone")
    return name


_CHECKS: dict[str, Callable[[Any], Any]] = {
    "name": lambda value: validation.name(value, 64),
    "reason": lambda value: validation.name(value, 500),
    "everywhere": validation.flag,
    "allow_reverts": validation.flag,
    "recurrence": _recurrence,
    "time_zone": _zone,
}
TIMES = ("start", "end", "recurrence", "time_zone")
FIELDS = ("name", "reason", "everywhere", "environments", *TIMES, "allow_reverts")
REQUIRED = ("name", "reason", "start", "end")


def create(caller: Caller, values: Mapping[str, Any]) -> Freeze:
    """Create a freeze. 422 names each invalid field, 409 a name that is taken.

    `start`, `end`: texts as in RFC 3339, or without an offset: clock times in `time_zone`. `environments`: ids or
    names.
    """
    freeze = Freeze(created_by=caller.name, updated_by=caller.name)
    missing = [FieldError(f"/{name}", "required") for name in REQUIRED if name not in values]
    with transaction.atomic():
        places = _assign(freeze, {"environments": [], **values}, missing) or []
        _save(freeze, force_insert=True)
        freeze.environments.set(places)
        if Freeze.objects.count() > MAX_FREEZES:  # after the write: of two at once, one sees the other's
            raise refused("too_many_freezes", max=MAX_FREEZES)
        history.record(caller, "create", "freeze", freeze, after=shown(freeze))
        _look_at_what_waits([freeze.everywhere], places)
    return freeze


@rolls_back
def change(caller: Caller, freeze: Freeze, values: Mapping[str, Any]) -> Freeze:
    """Change the named fields. Where only the zone changes, the clock times stay."""
    with transaction.atomic():
        before, was = shown(freeze), list(freeze.environments.all())
        places = _assign(freeze, values, [])
        after = shown(freeze, places)
        changed = [name for name in FIELDS if after[name] != before[name]]
        if not changed:
            return freeze
        freeze.updated_by = caller.name
        _save(freeze)
        if places is not None:
            freeze.environments.set(places)
        history.record(
            caller,
            "change",
            "freeze",
            freeze,
            {name: before[name] for name in changed},
            {name: after[name] for name in changed},
        )
        _look_at_what_waits([before["everywhere"], freeze.everywhere], [*was, *(places or ())])
    return freeze


def delete(caller: Caller, freeze: Freeze) -> None:
    with transaction.atomic():
        history.record(caller, "delete", "freeze", freeze, before=shown(freeze))
        _look_at_what_waits([freeze.everywhere], list(freeze.environments.all()))
        freeze.delete()


def _look_at_what_waits(everywhere: Iterable[bool], places: Iterable[Environment]) -> None:
    """Have the sweep look at what waits in these environments, or in all; look at it after the commit already."""
    where = Q(deployment__environment__isnull=False)
    if not any(everywhere):
        where = Q(deployment__environment__in=among([place.pk for place in places]))
    waiting = DeploymentRequest.objects.filter(where, look_at__isnull=False)
    # Locked in one order: another change of a freeze takes the same rows.
    numbers = list(waiting.order_by("pk").select_for_update(no_key=True).values_list("deployment", flat=True))
    if numbers:
        DeploymentRequest.objects.filter(deployment__in=among(numbers)).update(look_at=timezone.now())
        transaction.on_commit(lambda: look_again(numbers[:MAX_A_SWEEP]), robust=True)


def times_with(freeze: Freeze | None, values: Mapping[str, Any]) -> Times:
    """Return when a freeze would hold with these values. Nothing is saved. Raise Problem as `change` does."""
    row = copy(freeze) if freeze else Freeze()
    missing = [FieldError(f"/{name}", "required") for name in REQUIRED if name not in values and not freeze]
    _assign(row, values, missing)
    return times_of(row)


def shown(freeze: Freeze, places: Iterable[Environment] | None = None) -> dict[str, Any]:
    """Return its fields as the API shows them. Times are in its zone, with their offsets.

    `places`: the environments that it is to have; by default those that it has.
    """
    zone = known(freeze.time_zone) or UTC_ZONE
    if places is None:
        places = freeze.environments.all()
    return {
        **{name: getattr(freeze, name) for name in FIELDS if name != "environments"},
        "environments": [one.name for one in sorted(places or (), key=attrgetter("position", "name"))],
        "start": freeze.start.astimezone(zone).isoformat(),
        "end": freeze.end.astimezone(zone).isoformat(),
    }


def _assign(freeze: Freeze, values: Mapping[str, Any], errors: list[FieldError]) -> list[Environment] | None:
    """Set the fields. Return the environments where they are to change. Raise one 422 with everything that is wrong."""
    before = times_of(freeze) if freeze.pk else None
    for name in [name for name in _CHECKS if name in values]:
        try:
            setattr(freeze, name, _CHECKS[name](values[name]))
        except InvalidValue as error:
            errors.append(FieldError(f"/{name}", error.reason))
    places = _places(freeze, values, errors)
    if any(name in values for name in TIMES):
        _assign_times(freeze, values, before, errors)
    errors += [FieldError(f"/{name}", "unknown_field") for name in values if name not in FIELDS]
    if errors:
        raise invalid_fields(errors)
    return places


def _places(freeze: Freeze, values: Mapping[str, Any], errors: list[FieldError]) -> list[Environment] | None:
    """Return the environments of the freeze, or None where they stay. One that holds everywhere names none."""
    if not {"environments", "everywhere"} & values.keys():
        return None
    named = values.get("environments")
    if named is None:
        named = [] if freeze.everywhere or not freeze.pk else list(freeze.environments.values_list("pk", flat=True))
    if not isinstance(named, list) or len(named) > MAX_ENVIRONMENTS:
        errors.append(FieldError("/environments", "not_environments", max=MAX_ENVIRONMENTS))
        return None
    places: dict[int, Environment] = {}
    by_name = environments.by_name_or_id()
    for place, one in enumerate(named):
        is_name = isinstance(one, int | str) and not isinstance(one, bool)
        environment = by_name.get(str(one)) if is_name else None
        if environment is None:
            errors.append(FieldError(f"/environments/{place}", "no_such_environment"))
        else:
            places[environment.pk] = environment
    if named and freeze.everywhere:
        errors.append(FieldError("/environments", "freeze_everywhere"))
    elif not named and not freeze.everywhere:
        errors.append(FieldError("/environments", "freeze_nowhere"))
    return list(places.values())


def _assign_times(freeze: Freeze, values: Mapping[str, Any], before: Times | None, errors: list[FieldError]) -> None:
    if any(error.pointer in ("/recurrence", "/time_zone") for error in errors):
        return
    zone = known(freeze.time_zone) or UTC_ZONE
    read = True
    for name in ("start", "end"):
        if name in values:
            try:
                setattr(freeze, name, _moment(values[name], zone, latest=name == "end"))
            except InvalidValue as error:
                errors.append(FieldError(f"/{name}", error.reason))
                read = False
        elif before is None:
            read = False
        elif zone != before.zone:
            clock = getattr(before, name).astimezone(before.zone).replace(tzinfo=None)
            setattr(freeze, name, moment(clock, zone, latest=name == "end"))
    if read:
        errors += _wrong_times(times_of(freeze), timezone.now())


def _wrong_times(times: Times, now: datetime) -> list[FieldError]:
    """Return what is wrong with the times of a freeze. Pure."""
    if times.start >= times.end or (times.rule and times.length <= timedelta()):
        return [FieldError("/end", "freeze_ends_before_start")]
    if times.rule is None:
        return [FieldError("/end", "freeze_over")] if times.end <= now else []
    if times.length > timedelta(days=MAX_DAYS):
        return [FieldError("/end", "freeze_too_long", max=MAX_DAYS)]
    first = next(spans(times, times.start), None)
    if first is None:
        return [FieldError("/recurrence", "recurrence_never")]
    if next(spans(times, now), None) is None:
        return [FieldError("/recurrence", "freeze_over")]
    return [FieldError("/end", "freeze_never_ends")] if never_ends(times, first.start) else []


def _moment(value: Any, zone: ZoneInfo, latest: bool) -> datetime:
    """Read a time with an offset, or a clock time of the zone."""
    try:
        if not isinstance(value, str) or not _TIME.fullmatch(value):
            raise ValueError
        found = datetime.fromisoformat(value)
    except ValueError:
        raise InvalidValue("clock_time_syntax") from None
    if not YEARS[0] <= found.year < YEARS[1]:
        raise InvalidValue("year_range", min=YEARS[0], max=YEARS[1] - 1)
    return found.astimezone(UTC_ZONE) if found.tzinfo else moment(found, zone, latest)


def _save(freeze: Freeze, **options: Any) -> None:
    try:
        with transaction.atomic():
            freeze.save(**options)
    except IntegrityError as error:
        if Freeze.objects.filter(name=freeze.name).exclude(pk=freeze.pk).exists():
            taken = "already_exists.freeze"
            raise refused(taken, [FieldError("/name", taken, freeze=freeze.name)], freeze=freeze.name) from error
        raise
