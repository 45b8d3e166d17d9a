"""The rules for creating, changing and deleting host groups."""

from collections.abc import Mapping
from typing import Any

from django.db import IntegrityError, transaction

from access.callers import Caller
from access.problems import FieldError, Problem, invalid_fields, refused
from access.rollback import rolls_back
from audit import history
from messages.invalid import InvalidValue

from . import labels, validation
from .models import HostGroup

FIELDS = ("name", "labels", "description")
MAX_GROUPS = 1000


def create(caller: Caller, values: Mapping[str, Any]) -> HostGroup:
    """Create a group. 422 names each invalid field, 409 a name that is taken."""
    missing = [FieldError(f"/{name}", "required") for name in ("name", "labels") if name not in values]
    group = HostGroup(created_by=caller.name, updated_by=caller.name)
    _assign(group, values, missing)
    with transaction.atomic():
        _save(group, force_insert=True)
        if HostGroup.objects.count() > MAX_GROUPS:  # after the write: of two at the same time, one sees the other's
            raise refused("too_many_groups", max=MAX_GROUPS)
        history.record(caller, "create", "host_group", group, after=shown(group))
    return group


@rolls_back
def change(caller: Caller, group: HostGroup, values: Mapping[str, Any]) -> HostGroup:
    """Change the named fields."""
    before = shown(group)
    _assign(group, values, [])
    changed = [name for name in FIELDS if shown(group)[name] != before[name]]
    if not changed:
        return group
    group.updated_by = caller.name
    with transaction.atomic():
        _save(group, update_fields=[*changed, "updated", "updated_by"])
        after = shown(group)
        history.record(
            caller,
            "change",
            "host_group",
            group,
            {name: before[name] for name in changed},
            {name: after[name] for name in changed},
        )
    return group


def delete(caller: Caller, group: HostGroup) -> None:
    with transaction.atomic():
        history.record(caller, "delete", "host_group", group, before=shown(group))
        group.delete()


def shown(group: HostGroup) -> dict[str, Any]:
    return {name: getattr(group, name) for name in FIELDS}


def _assign(group: HostGroup, values: Mapping[str, Any], errors: list[FieldError]) -> None:
    """Set the fields. Raise one 422 with everything that is wrong."""
    for name in [name for name in FIELDS if name in values]:
        try:
            setattr(group, name, _checked(name, values[name]))
        except InvalidValue as error:
            errors.append(FieldError(f"/{name}", error.reason))
        except Problem as problem:
            errors += problem.field_errors
    if errors:
        raise invalid_fields(errors)


def _checked(name: str, value: Any) -> Any:
    if name == "labels":
        return dict(labels.check(value))
    return validation.name(value, 64) if name == "name" else validation.text(value, 256)


def _save(group: HostGroup, **options: Any) -> None:
    try:
        with transaction.atomic():
            group.save(**options)
    except IntegrityError as error:
        if HostGroup.objects.filter(name=group.name).exclude(pk=group.pk).exists():
            taken = "already_exists.host_group"
            raise refused(taken, [FieldError("/name", taken, group=group.name)], group=group.name) from error
        raise
