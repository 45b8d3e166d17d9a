"""What people may change of an instance by hand: how it is known and reached, never what runs there."""

from collections.abc import Collection, Mapping
from typing import Any

from django.db import transaction
from django.utils import timezone

from access.callers import Caller
from access.problems import conflict, not_found
from access.rollback import rolls_back
from audit.history import record, record_alike

from .deployments.targets import owner_of
from .models import MicroService, MicroServiceInstance

FIELDS = ("port", "tag", "weight", "description", "is_maintain")
# The commands of an operation see these, so they stay as they are while one goes on. Notes and the maintenance flag
# concern the next request only, and somebody may want to set them just because something is stuck.
SEEN_BY_COMMANDS = frozenset({"port", "tag", "weight"})


@rolls_back
def change(caller: Caller, instance: MicroServiceInstance, values: Mapping[str, Any]) -> MicroServiceInstance:
    """Changes the named fields. 422 for a value that is wrong, 409 while an operation uses what would change."""
    changed = {name: value for name, value in values.items() if getattr(instance, name) != value}
    if not changed:
        return instance
    before = {name: getattr(instance, name) for name in changed}
    for name, value in changed.items():
        setattr(instance, name, value)
    instance.clean_fields(exclude=[field.name for field in instance._meta.fields if field.name not in FIELDS])
    free = MicroServiceInstance.objects.filter(pk=instance.pk)
    if SEEN_BY_COMMANDS & set(changed):
        free = free.filter(locked=False)
    with transaction.atomic():
        # One conditional UPDATE: between a look at the lock and a write somebody could take it.
        if not free.update(**changed, updated=timezone.now(), updated_by=caller.name):
            now = MicroServiceInstance.objects.select_related("host", "lock_deployment").filter(pk=instance.pk).first()
            owner = f" by {owner_of(now)}" if now is not None and now.locked else ""
            what = ", ".join(sorted(SEEN_BY_COMMANDS & set(changed)))
            raise conflict(
                "instance_locked",
                f"{instance.host} is locked{owner}; {what} cannot change meanwhile.",
                "Wait for the deployment's end. Description and maintenance can change at any time.",
            )
        record(caller, "change", "instance", instance, before, changed, service=instance.microservice)
    instance.refresh_from_db(fields=["updated", "updated_by"])
    return instance


def keep_out(caller: Caller, service: MicroService, numbers: Collection[int], out: bool) -> None:
    """Takes instances (ids) of the service into maintenance, or out of it: all of them or, with a Problem, none.

    404 where one is not this service's, 409 where somebody else was faster with one.
    """
    asked = MicroServiceInstance.objects.filter(microservice=service, pk__in=numbers)
    found = list(asked.select_related("microservice", "host"))
    if len(found) != len(set(numbers)):
        raise not_found("instance")
    rest = [row for row in found if row.is_maintain != out]
    with transaction.atomic():
        # One conditional UPDATE, whose row count says whether each is still what was looked at.
        changed = asked.filter(pk__in=[row.pk for row in rest], is_maintain=not out)
        if changed.update(is_maintain=out, updated=timezone.now(), updated_by=caller.name) != len(rest):
            raise conflict("concurrent_update", f"{service.name} was changed at the same moment.", "Look again.")
        record_alike(caller, "change", "instance", rest, {"is_maintain": not out}, {"is_maintain": out}, service)
