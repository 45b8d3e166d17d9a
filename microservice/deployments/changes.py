"""Upgrades, reverts and deploys: what a VersionChange is looked up to."""

from collections.abc import Callable, Mapping
from typing import Any

from django.db.models import Q

from access.callers import Caller
from access.problems import Problem, invalid

from .. import catalog
from ..models import Deployment
from ..status import MAY_CHANGE_VERSION, STATUS_DURING, Action
from . import enqueue, environments, notes, placement, promotion
from .create import check_right
from .default_strategy import default_strategy
from .destinations import find_destination
from .holds import hold
from .plan import Plan
from .prepared import OnInstances
from .selection import find_targets
from .start import start
from .target_rows import Move, TargetRow
from .targets import TargetSelection
from .version_change import OnLocked, VersionChange


def change_version(caller: Caller, change: VersionChange) -> Deployment:
    """Upgrade or revert the instances that a change selects."""
    deployment = start(caller, change, prepare(caller, change))
    assert deployment is not None, "only a deploy may find its targets there"
    return deployment


def deploy(
    caller: Caller, change: VersionChange, *, joins: bool = True, shown: Mapping[str, Any] | None = None
) -> Deployment | None:
    """Take every selected instance to one version, each by its own action; None where all of them run it already.

    Where one deployment takes all of them there already, return that one: a job that is run again waits for it. Not
    without `joins`: then they are locked, and what waits for the same is another one. `shown`: as start.start.
    """
    try:
        return start(caller, change, prepare(caller, change), joins, shown)
    except Problem as problem:
        if not joins or problem.code not in ("nothing_to_do", "instance_locked"):
            raise
        under_way = _under_way(caller, change)
        if under_way is None:
            raise
        return under_way


def preview(caller: Caller, change: VersionChange) -> Plan:
    """Return the plan of an upgrade, a revert or a deploy. Raise the same Problems as the request itself would."""
    return hold.preview(caller, change, prepare(caller, change))


def _under_way(caller: Caller, change: VersionChange) -> Deployment | None:
    selection, deployment = look_up(caller, change)
    rows = selection.selected().exclude(version=deployment.dest_version)
    holders = set(rows.values_list("lock_deployment", flat=True)[:1000])
    if len(holders) != 1 or rows.filter(locked=False).exists():
        return None
    held_by = Deployment.objects.filter(pk__in=holders, dest_version=deployment.dest_version)
    return held_by.select_related("microservice", "from_version", "dest_version").first()


def prepare(caller: Caller, change: VersionChange) -> OnInstances:
    """Look up a change. Raise the Problems known before any lock."""
    check_right(caller, change.service)
    selection, deployment = look_up(caller, change)
    deploys = change.action == Action.DEPLOY

    def mark_bad(who: Caller) -> None:
        if change.mark_bad and change.version:
            catalog.mark_bad(who, change.version, change.reason)

    return OnInstances(
        deployment=deployment,
        selection=selection,
        source=lambda: enqueue.toward_version(deployment) if deploys else enqueue.from_request(deployment),
        own_moves=(lambda: _toward(deployment)) if deploys else None,
        conclude=mark_bad,
    )


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
    )
    older = Q(version__lt=destination.pk) if change.upgrades_only else Q()
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
        scope=Q() if where.is_named else older,  # of all, only those are meant
        condition=older,
        closed=placement.on_closed_host(service),
        destination=destination if change.action == Action.DEPLOY else None,
        new_status=STATUS_DURING.get(change.action),
    )
    selection, deployment.environment = environments.stay_within(selection, change.environment)
    deployment.strategy = (change.strategy or default_strategy(service, deployment.environment)).to_json()
    return promotion.hold_up(selection, change.action, deployment.environment, destination), deployment


def _toward(deployment: Deployment) -> Callable[[TargetRow], Move]:
    """Return each target's move in a deploy: as enqueue.toward_version."""
    dest = deployment.dest_version_id

    def move(row: TargetRow) -> Move:
        assert row.version_id is not None and dest is not None, "what runs no version is no target of a deploy"
        return Action.UPGRADE if row.version_id < dest else Action.REVERT, row.version_id, dest

    return move
