"""Changes instances by hand: how they are described and reached, never what runs there."""

from collections.abc import Collection, Mapping
from typing import Any

from django.db import transaction
from django.utils import timezone

from access.callers import Caller
from access.problems import Problem, not_found, refused
from access.rollback import rolls_back
from audit.history import record, record_alike

from .deployments.skipped import lock_holder
from .models import MicroService, MicroServiceInstance

FIELDS = ("port", "tag", "weight", "description", "is_maintain")
# The commands of an operation see these, so they cannot change while one is open. Description and maintenance concern
# the next request only, and may have to be set just because something is stuck.
LOCKED_FIELDS = frozenset({"port", "tag", "weight"})


@rolls_back
def change(caller: Caller, instance: MicroServiceInstance, values: Mapping[str, Any]) -> MicroServiceInstance:
    """Change the named fields. Raise 422 for an invalid value, 409 while an operation uses what would change."""
    changed = {name: value for name, value in values.items() if getattr(instance, name) != value}
    if not changed:
        return instance
    before = {name: getattr(instance, name) for name in changed}
    for name, value in changed.items():
        setattr(instance, name, value)
    instance.clean_fields(exclude=[field.name for field in instance._meta.fields if field.name not in FIELDS])
    free = MicroServiceInstance.objects.filter(pk=instance.pk)
    locked_fields = sorted(LOCKED_FIELDS & set(changed))
    if locked_fields:
        free = free.filter(locked=False)
    with transaction.atomic():
        # One conditional UPDATE: between reading the lock and a write, a deployment could take it.
        if not free.update(**changed, updated=timezone.now(), updated_by=caller.name):
            raise _locked(instance, locked_fields)
        record(caller, "change", "instance", instance, before, changed, service=instance.microservice)
    instance.refresh_from_db(fields=["updated", "updated_by"])
    return instance


def _locked(instance: MicroServiceInstance, fields: list[str]) -> Problem:
    row = MicroServiceInstance.objects.select_related("host", "lock_deployment").filter(pk=instance.pk).first()
    host = str(instance.host)
    if row is None or not row.locked:
        return refused("instance_locked.fields_meanwhile", host=host, fields=fields)
    return refused("instance_locked.fields", host=host, fields=fields, holder=lock_holder(row))


def set_maintenance(caller: Caller, service: MicroService, numbers: Collection[int], in_maintenance: bool) -> None:
    """Start or end maintenance of instances (ids) of the service: of all of them or, with a Problem, of none.

    Raise 404 where one is not of this service, 409 where another request changed one at the same time.
    """
    instances = MicroServiceInstance.objects.filter(microservice=service, pk__in=numbers)
    rows = list(instances.select_related("microservice", "host"))
    if len(rows) != len(set(numbers)):
        raise not_found("instance")
    rows = [row for row in rows if row.is_maintain != in_maintenance]
    with transaction.atomic():
        # One conditional UPDATE, whose row count says whether each row is still as it was read.
        unchanged = instances.filter(pk__in=[row.pk for row in rows], is_maintain=not in_maintenance)
        count = unchanged.update(is_maintain=in_maintenance, updated=timezone.now(), updated_by=caller.name)
        if count != len(rows):
            raise refused("concurrent_update.instances", service=service.name)
        before, after = {"is_maintain": not in_maintenance}, {"is_maintain": in_maintenance}
        record_alike(caller, "change", "instance", rows, before, after, service)
