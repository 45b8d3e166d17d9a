"""What people may change of an instance by hand: how it is known and reached, never what runs there."""
from collections.abc import Mapping
from typing import Any

from django.db import transaction
from django.utils import timezone

from access.callers import Caller
from access.problems import conflict

from .history import record
from .models import MicroServiceInstance
from .requests.targets import owner_of

FIELDS = ("port", "tag", "weight", "description", "is_maintain")
# The commands of an operation see these, so they stay as they are while one goes on. Notes and the maintenance flag
# concern the next request only, and somebody may want to set them just because something is stuck.
SEEN_BY_COMMANDS = frozenset({"port", "tag", "weight"})


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
            raise conflict("instance_locked", f"{instance.host} is locked{owner}; {what} cannot change meanwhile.",
                           "Wait for the deployment's end. Description and maintenance can change at any time.")
        record(caller, "change", "instance", instance, before, changed, service=instance.microservice)
    instance.refresh_from_db(fields=["updated", "updated_by"])
    return instance
