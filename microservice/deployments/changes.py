"""Upgrades and reverts: what a VersionChange is looked up to, and what it starts."""

from django.db import transaction

from access.callers import Caller
from access.problems import invalid

from .. import catalog
from ..models import Deployment, MicroServiceInstance
from ..status import MAY_CHANGE_VERSION, STATUS_DURING, Action
from . import enqueue, placement, plan_token
from .create import check_right, lock_or_refuse, queue, save_request
from .destinations import find_destination
from .selection import find_targets
from .targets import TargetSelection
from .version_change import OnLocked, VersionChange


def change_version(caller: Caller, change: VersionChange) -> Deployment:
    """Upgrade or revert the instances that a change selects."""
    version = change.version
    check_right(caller, version.microservice)
    selection, deployment = look_up(caller, change)
    with transaction.atomic():
        save_request(caller, deployment)
        targets = lock_or_refuse(selection, deployment)
        if change.plan_token is not None:
            locked = MicroServiceInstance.objects.filter(lock_deployment=deployment, locked=True)
            plan_token.check(change.plan_token, deployment, locked.select_related(*plan_token.NEEDED))
        if change.mark_bad:
            catalog.mark_bad(caller, version, change.reason)
        return queue(caller, deployment, targets, enqueue.from_request(deployment))


def look_up(caller: Caller, change: VersionChange) -> tuple[TargetSelection, Deployment]:
    """Return the targets of a change and its deployment, not saved. Raise the Problems known before any lock."""
    if change.mark_bad and change.action != Action.REVERT:
        raise invalid("/mark_bad", "revert_only")
    service = change.version.microservice
    deployment = Deployment(
        microservice=service,
        action=change.action,
        from_version=change.version,
        dest_version=find_destination(caller, change),
        strategy=change.strategy.to_json(),
    )
    where = find_targets(change.host, change.instances, change.version)
    skip = change.on_locked == OnLocked.SKIP or (change.on_locked is None and not where.is_named)
    selection = TargetSelection(
        service,
        MAY_CHANGE_VERSION,
        change.version,
        where.instances,
        where.hosts,
        where.pointer,
        change.force,
        skip,
        closed=placement.on_closed_host(service),
        new_status=STATUS_DURING[change.action],
    )
    return selection, deployment
