"""Upgrades, reverts and deploys: what a VersionChange is looked up to, and what it starts."""

from django.db import transaction
from django.db.models import Q

from access.callers import Caller
from access.problems import Problem, invalid
from asset.strategy import Strategy

from .. import catalog
from ..models import Deployment, MicroServiceInstance
from ..status import MAY_CHANGE_VERSION, STATUS_DURING, Action
from . import enqueue, environments, notes, placement, plan_token, promotion, target_rows
from .create import check_right, lock_or_refuse, queue, save_request
from .destinations import find_destination
from .selection import find_targets
from .targets import TargetSelection
from .version_change import OnLocked, VersionChange


def change_version(caller: Caller, change: VersionChange) -> Deployment:
    """Upgrade or revert the instances that a change selects."""
    deployment = _request(caller, change)
    assert deployment is not None, "only a deploy may find its targets there"
    return deployment


def deploy(caller: Caller, change: VersionChange) -> Deployment | None:
    """Take every selected instance to one version, each by its own action; None where all of them run it already.

    Where one deployment takes all of them there already, return that one: a job that is run again waits for it.
    """
    try:
        return _request(caller, change)
    except Problem as problem:
        if problem.code not in ("nothing_to_do", "instance_locked"):
            raise
        under_way = _under_way(caller, change)
        if under_way is None:
            raise
        return under_way


def _under_way(caller: Caller, change: VersionChange) -> Deployment | None:
    selection, deployment = look_up(caller, change)
    rows = selection.selected().exclude(version=deployment.dest_version)
    holders = set(rows.values_list("lock_deployment", flat=True)[:1000])
    if len(holders) != 1 or rows.filter(locked=False).exists():
        return None
    held_by = Deployment.objects.filter(pk__in=holders, dest_version=deployment.dest_version)
    return held_by.select_related("microservice", "from_version", "dest_version").first()


def _request(caller: Caller, change: VersionChange) -> Deployment | None:
    check_right(caller, change.service)
    selection, deployment = look_up(caller, change)
    with transaction.atomic():
        save_request(caller, deployment)
        targets = lock_or_refuse(selection, deployment)
        if not targets:
            transaction.set_rollback(True)
            return None
        environments.refuse_moved(deployment)
        if change.plan_token is not None:
            locked = MicroServiceInstance.objects.filter(lock_deployment=deployment, locked=True)
            plan_token.check(change.plan_token, deployment, target_rows.load(locked))
        if change.mark_bad and change.version:
            catalog.mark_bad(caller, change.version, change.reason)
        deploys = change.action == Action.DEPLOY
        source = enqueue.toward_version(deployment) if deploys else enqueue.from_request(deployment)
        return queue(caller, deployment, targets, source)


def look_up(caller: Caller, change: VersionChange) -> tuple[TargetSelection, Deployment]:
    """Return the targets of a change and its deployment, not saved. Raise the Problems known before any lock."""
    if change.mark_bad and change.action != Action.REVERT:
        raise invalid("/mark_bad", "revert_only")
    service, destination = change.service, find_destination(caller, change)
    deployment = Deployment(
        microservice=service,
        action=change.action,
        from_version=change.version,
        dest_version=destination,
        note=notes.clean(change.note),
        strategy=(change.strategy or Strategy.from_row(service.default_strategy)).to_json(),
    )
    where = find_targets(change.host, change.instances, service, change.version, change.labels)
    skip = change.on_locked == OnLocked.SKIP or (change.on_locked is None and not where.is_named)
    selection = TargetSelection(
        service,
        MAY_CHANGE_VERSION,
        change.version,
        where.instances,
        where.hosts,
        where.by_label,
        where.pointer,
        change.force,
        skip,
        change.on_locked == OnLocked.REFUSE,
        condition=Q(version__lt=destination.pk) if change.upgrades_only else Q(),
        closed=placement.on_closed_host(service),
        destination=destination if change.action == Action.DEPLOY else None,
        new_status=STATUS_DURING.get(change.action),
    )
    selection, deployment.environment = environments.stay_within(selection, change.environment)
    return promotion.hold_up(selection, change.action, deployment.environment, destination), deployment
