"""The rules for creating, changing and deleting environments, and for a host that comes into another one."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Max, Q
from django.utils import timezone

from access.callers import Caller
from access.problems import FieldError, invalid, invalid_fields, refused
from access.rollback import rolls_back
from audit import history
from messages import Message
from messages.invalid import InvalidValue
from runtime.ids import parse_id
from runtime.sql import among

from . import tenancy, validation
from .models import Asset, Environment
from .strategy import InvalidStrategy, Strategy

MAX_ENVIRONMENTS = 100
MAX_POSITION = 1_000_000
MAX_NAMED = 20  # hosts in one refusal
MAX_SOAK = 60 * 24 * 365  # minutes
MAX_APPROVALS = 5
MAX_WAIT = 24 * 30  # hours
NONE = "0"  # in filters, addresses and requests: no environment


def _name(value: Any) -> str:
    text = validation.name(value, 64)
    if text.isdigit():  # requests name an environment by its name or its id
        raise InvalidValue("all_digits")
    return text


def _colour(value: Any) -> str:
    if value not in Environment.Colour.values:
        raise InvalidValue("not_one_of", choices=list(Environment.Colour.values))
    return str(value)


def _approvers(value: Any) -> int | None:
    """Check a team by its id or name; None for none. Return its id."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise InvalidValue("no_such_team")
    found = tenancy.teams_of([{"teams": [value]}])
    if value not in found:
        raise InvalidValue("no_such_team")
    return found[value]


def _strategy(value: Any) -> dict[str, Any]:
    """Return a strategy as it is kept: {} for none, whatever else it says."""
    return Strategy.parse(value).to_json() if value not in (None, {}) else {}


_CHECKS: dict[str, Callable[[Any], Any]] = {
    "name": _name,
    "position": lambda value: validation.number(value, 0, MAX_POSITION),
    "colour": _colour,
    "description": lambda value: validation.text(value, 256),
    "requires_id": validation.reference,
    "soak_minutes": lambda value: validation.number(value, 0, MAX_SOAK),
    "approvals": lambda value: validation.number(value, 0, MAX_APPROVALS),
    "approvers": _approvers,
    "approve_reverts": validation.flag,
    "tokens_deploy": validation.flag,
    "wait_hours": lambda value: validation.number(value, 1, MAX_WAIT),
    "default_strategy": _strategy,
}
FIELDS = tuple(_CHECKS)
_ATTRIBUTES = {"approvers": "approvers_id"}


def create(caller: Caller, values: Mapping[str, Any]) -> Environment:
    """Create an environment, by default as the last in the order. 422 names each invalid field, 409 a name that is
    taken."""
    environment = Environment(created_by=caller.name, updated_by=caller.name)
    missing = [] if "name" in values else [FieldError("/name", "required")]
    with transaction.atomic():
        _assign(environment, values, missing)
        if "position" not in values:
            last = Environment.objects.aggregate(last=Max("position"))["last"]
            environment.position = 1 if last is None else min(last + 1, MAX_POSITION)
        _save(environment, force_insert=True)
        if Environment.objects.count() > MAX_ENVIRONMENTS:  # after the write: of two at once, one sees the other's
            raise refused("too_many_environments", max=MAX_ENVIRONMENTS)
        history.record(caller, "create", "environment", environment, after=shown(environment))
    return environment


@rolls_back
def change(caller: Caller, environment: Environment, values: Mapping[str, Any]) -> Environment:
    """Change the named fields. 422 where one environment would, by way of others, require itself."""
    with transaction.atomic():
        before = shown(environment)
        _assign(environment, values, [])
        after = shown(environment)
        changed = [name for name in FIELDS if after[name] != before[name]]
        if not changed:
            return environment
        environment.updated_by = caller.name
        _save(environment, update_fields=[*changed, "updated", "updated_by"])
        history.record(
            caller,
            "change",
            "environment",
            environment,
            {name: before[name] for name in changed},
            {name: after[name] for name in changed},
        )
    return environment


def delete(caller: Caller, environment: Environment) -> None:
    """Delete an environment. 409 while hosts are in it, another one requires it, or builds go there by themselves;
    archived hosts leave it."""
    hosts = environment.hosts.filter(archived=None)
    in_use = refused("environment_in_use", environment=environment.name)
    try:
        with transaction.atomic():
            if count := hosts.count():
                raise refused("environment_in_use.hosts", environment=environment.name, n=count)
            others = list(environment.required_by.values_list("name", flat=True))
            if others:
                raise refused("environment_in_use.required", environment=environment.name, names=others)
            # The services of an app above this one.
            services = list(environment.followed_by.order_by("name").values_list("name", flat=True)[:MAX_NAMED])
            if services:
                raise refused("environment_in_use.auto_deploy", environment=environment.name, names=services)
            Asset.every.filter(environment=environment).exclude(archived=None).update(environment=None)
            history.record(caller, "delete", "environment", environment, before=shown(environment))
            environment.delete()
    except IntegrityError as error:  # a host came into it after the check
        raise in_use from error


def shown(environment: Environment) -> dict[str, Any]:
    """Return the fields; the team of the approvers by its name."""
    team = environment.approvers
    return {name: getattr(environment, name) for name in FIELDS} | {"approvers": team.name if team else None}


def by_name_or_id() -> dict[str, Environment]:
    """Return all environments by what may name them; a name is never all digits. One query."""
    rows = list(Environment.objects.all())
    return {str(row.pk): row for row in rows} | {row.name: row for row in rows}


def find(named: int | str) -> Environment | None:
    """Return an environment by its id (a number, or digits) or its name."""
    if isinstance(named, int) or named.isdigit():
        number = parse_id(named)
        return Environment.objects.filter(pk=number).first() if number else None
    return Environment.objects.filter(name=named).first() if named and "\0" not in named else None


def meant(text: str, path: str = "environment") -> Q:
    """Return the condition of a filter: an environment by its name or id, NONE for what is in none, "" for all.
    `path`: from the row to the environment."""
    if not text:
        return Q()
    if text == NONE:
        return Q(**{path: None})
    return Q(**{path: parse_id(text) or 0}) if text.isdigit() else Q(**{f"{path}__name": text})


def lookup(named: int | str | None, pointer: str) -> Environment | None:
    """Return an environment by its id or name; None for None. Raise 422 where there is none."""
    environment = None if named is None else find(named)
    if environment is None and named is not None:
        raise invalid(pointer, "no_such_environment")
    return environment


def goes_in_a_circle(number: int, requires: int | None, links: Mapping[int, int | None]) -> bool:
    """Return whether an environment would, by way of others, require itself. `links`: what each requires now. Pure."""
    seen = {number}
    while requires is not None and requires not in seen:
        seen.add(requires)
        requires = links.get(requires)
    return requires is not None


def place(caller: Caller, environment: Environment | None, hosts: Iterable[int]) -> int:
    """Bring hosts (ids) into an environment, or out of theirs for None. Return how many were not there before.

    All of them, or none: 409 names those to which something is being deployed.
    """
    with transaction.atomic():
        rows = Asset.objects.filter(pk__in=among(list(hosts))).exclude(environment=environment)
        numbers = list(rows.order_by("pk").values_list("pk", flat=True))
        refuse_under_way(numbers)
        moved = list(rows.filter(pk__in=among(numbers)).order_by("pk").only("pk", "hostname", "ip", "environment"))
        new = environment.pk if environment else None
        records = [
            history.row_of(
                caller, "change", "host", row, {"environment_id": row.environment_id}, {"environment_id": new}
            )
            for row in moved
        ]
        now = timezone.now()
        Asset.objects.filter(pk__in=among([row.pk for row in moved])).update(
            environment=environment,
            environment_since=now if environment else None,
            updated=now,
            updated_by=caller.name,
        )
        history.record_rows(records)
    return len(moved)


def refuse_under_way(hosts: Sequence[int]) -> None:
    """Raise 409 while something is deployed to one of these hosts (ids): that belongs to the environment in which it
    began.

    Call in the transaction that changes their environment. The rows are locked first: a request that locks an instance
    at the same time is seen here, or sees the new environment (microservice/deployments/environments.py). Not their
    keys: such a request refers to both rows when it commits, while this waits for it.
    """
    list(Asset.every.select_for_update(no_key=True).filter(pk__in=among(hosts)).order_by("pk").values_list("pk"))
    instances = Asset._meta.get_field("instances").related_model._default_manager  # of an app above this one
    rows = instances.filter(host__in=among(hosts)).select_for_update(no_key=True).order_by("pk")
    busy = list(dict.fromkeys(host for host, locked in rows.values_list("host", "locked") if locked))
    if not busy:
        return
    names = list(Asset.every.filter(pk__in=busy[:MAX_NAMED]).order_by("hostname").values_list("hostname", flat=True))
    code = "host_in_use.environment"
    errors = [FieldError("/environment_id", code, host=name) for name in names]
    if len(busy) == 1:
        raise refused(code, errors, host=names[0])
    raise refused("host_in_use.environments", errors, host=names[0], more=len(busy) - 1)


def _assign(environment: Environment, values: Mapping[str, Any], errors: list[FieldError]) -> None:
    """Set the fields. Raise one 422 with everything that is wrong. Call in the transaction that saves them."""
    for name in [name for name in FIELDS if name in values]:
        try:
            setattr(environment, _ATTRIBUTES.get(name, name), _CHECKS[name](values[name]))
        except InvalidValue as error:
            errors.append(FieldError(f"/{name}", error.reason))
        except InvalidStrategy as error:
            errors.append(FieldError(f"/{name}{error.path}", error.reason))
    if values.get("requires_id") is not None and not any(error.pointer == "/requires_id" for error in errors):
        # All rows are locked, so that two changes at once do not make a circle between them.
        rows = Environment.objects.select_for_update().order_by("pk")
        links = dict(rows.values_list("pk", "requires"))
        if environment.requires_id not in links:
            errors.append(FieldError("/requires_id", "no_such_environment"))
        elif environment.pk and goes_in_a_circle(environment.pk, environment.requires_id, links):
            own = environment.requires_id == environment.pk
            errors.append(FieldError("/requires_id", "requires_itself" if own else "requires_circle"))
    unknown = [FieldError(f"/{name}", Message("unknown_field")) for name in values if name not in FIELDS]
    if errors or unknown:
        raise invalid_fields([*errors, *unknown])


def _save(environment: Environment, **options: Any) -> None:
    try:
        with transaction.atomic():
            environment.save(**options)
    except IntegrityError as error:
        if Environment.objects.filter(name=environment.name).exclude(pk=environment.pk).exists():
            taken = "already_exists.environment"
            errors = [FieldError("/name", taken, environment=environment.name)]
            raise refused(taken, errors, environment=environment.name) from error
        raise
