"""Carries out what rollout.py decides, inside the transaction of whatever made it necessary."""

from collections.abc import Iterable
from typing import NamedTuple

from django.db import connection
from django.db.models import OuterRef, Subquery
from django.db.models.functions import Coalesce
from django.utils import timezone

from access.sealed import SealedMap
from audit import events
from audit.models import Event
from runtime.sql import ask, places, words

from .. import wake
from ..models import Deployment, MicroServiceInstance, Operation
from ..status import (
    DEPLOYMENT_ENDED,
    DEPLOYMENT_TRANSITIONS,
    DeploymentStatus,
    OperationStatus,
    UndoStatus,
    may_become,
)
from .reverts import fleet_revert
from .rollout import NOTHING, Move, Snapshot, Strategy, decide

_NOT_BEGUN = (OperationStatus.PENDING, OperationStatus.QUEUED)


def advance(ids: Iterable[int], resumed: bool = False) -> list[Event]:
    """Moves these deployments on as far as their rows allow. Returns the events to write last, and wakes the workers.

    Two workers may end the last two operations of a deployment at the same time; the row lock puts one behind the
    other, so that the second one sees what the first one did. (On SQLite there is one writer anyway.)
    """
    wanted = sorted(set(ids))
    if not wanted:
        return []
    # What was asked for as a whole is of no concern here, and may be long.
    rows = Deployment.objects.select_for_update(no_key=True).filter(pk__in=wanted).order_by("pk")
    deployments = list(rows.defer("spec", "secrets"))
    counted = _counted(wanted)
    told: list[Event] = []
    for deployment in deployments:
        told += _move(deployment, counted.get(deployment.pk, []), resumed)
    return told


def lock(ids: Iterable[int], around: bool = False) -> list[int]:
    """Locks deployments before anything below them, in one order, so that no two transactions wait for each other.
    Answers which were locked: all of them, or with `around` those that nobody else holds. On SQLite there is one writer
    anyway."""
    wanted = sorted(ids)
    if not wanted or not connection.features.has_select_for_update:
        return wanted
    rows = Deployment.objects.select_for_update(no_key=True, skip_locked=around).filter(pk__in=wanted).order_by("pk")
    return list(rows.values_list("pk", flat=True))


def unheld(ids: Iterable[int]) -> set[int]:
    """Those of these deployments that rows may point at: whoever holds one against that is not waited for."""
    wanted = set(ids)
    if not wanted or not connection.features.has_select_for_update_skip_locked:
        return wanted
    rows = f"SELECT id FROM deployment WHERE id IN ({places(wanted)}) FOR KEY SHARE SKIP LOCKED"  # noqa: S608
    return {number for (number,) in ask(rows, *wanted)}


class Counted(NamedTuple):
    """A deployment's operations of one status: how many, the first batch of them, how many could not be undone."""

    status: OperationStatus
    n: int
    first: int
    stuck: int


_COUNT = f"""
SELECT deployment_id, status, COUNT(*), MIN(batch),
    SUM(CASE WHEN undo_status = {words(UndoStatus.FAILED)} THEN 1 ELSE 0 END)
FROM operation WHERE deployment_id IN ({{places}}) GROUP BY deployment_id, status
"""  # noqa: S608


def _counted(ids: list[int]) -> dict[int, list[Counted]]:
    found: dict[int, list[Counted]] = {}
    for number, status, *counts in ask(_COUNT.format(places=places(ids)), *ids):
        found.setdefault(number, []).append(Counted(OperationStatus(status), *counts))
    return found


def snapshot(deployment: Deployment, counted: list[Counted]) -> Snapshot:
    """A deployment's rows in short, from the grouped counts of its operations."""
    return Snapshot(
        status=DeploymentStatus(deployment.status),
        strategy=Strategy.parse(deployment.strategy or None),
        counts={one.status: one.n for one in counted},
        next_batch=next((one.first for one in counted if one.status == OperationStatus.PENDING), None),
        undo_failed=any(one.stuck for one in counted),
    )


def _move(deployment: Deployment, counted: list[Counted], resumed: bool) -> list[Event]:
    told: list[Event] = []
    while True:
        now = snapshot(deployment, counted)
        move = decide(now, resumed)
        if move == NOTHING:
            return told
        told += _carry_out(deployment, move)
        if move.release is not None:
            wake.workers(now.waiting)
            resumed = False
        counted = _counted([deployment.pk]).get(deployment.pk, [])


def _carry_out(deployment: Deployment, move: Move) -> list[Event]:
    told: list[Event] = []
    if move.release is not None:
        Operation.objects.filter(deployment=deployment, batch=move.release, status=OperationStatus.PENDING).update(
            status=OperationStatus.QUEUED
        )
    if move.drop:
        drop(deployment)
    if move.become is not None:
        told.append(become(deployment, move.become, move.reason))
    if move.revert is not None:
        fleet_revert(deployment, move.revert)
    return told


def become(deployment: Deployment, status: DeploymentStatus, reason: str = "") -> Event:
    """Changes a deployment's status along the table, and answers with the event that tells of it."""
    if not may_become(DEPLOYMENT_TRANSITIONS, deployment.status, status):
        raise ValueError(f"deployment {deployment.pk} cannot go from {deployment.status} to {status}")
    deployment.status, deployment.status_reason = status, reason
    written = ["status", "status_reason", "finished", "started"]
    if status in DEPLOYMENT_ENDED:
        deployment.finished = timezone.now()
        deployment.secrets = SealedMap()  # nothing of it is carried out any more, and a retry takes the service's own
        written.append("secrets")
    if status == DeploymentStatus.RUNNING and deployment.started is None:
        deployment.started = timezone.now()
    deployment.save(update_fields=written)
    return events.of_deployment(deployment)


def drop(deployment: Deployment) -> None:
    """What has not begun never will: its instances are what they were before, and free."""
    cancelling = deployment.status == DeploymentStatus.CANCELLING
    waiting = Operation.objects.filter(deployment=deployment, status__in=_NOT_BEGUN)
    dropped = waiting.filter(instance_id=OuterRef("pk")).order_by()
    # Instances first: the second statement takes away what the first one looks for. Each instance's own operation is
    # asked for as a value, by index: of a list (IN, EXISTS) with ten thousand rows that it has not counted yet,
    # PostgreSQL reads all for each.
    held = MicroServiceInstance.objects.alias(own=Subquery(dropped.values("pk")[:1]))
    release_locks(
        held.filter(lock_deployment=deployment, locked=True, own__isnull=False),
        status=Subquery(dropped.values("status_before")[:1]),
        # An install that never began is still what a retry of its instance repeats.
        last_operation=Coalesce("last_operation", Subquery(dropped.values("pk")[:1])),
    )
    waiting.update(
        status=OperationStatus.CANCELLED if cancelling else OperationStatus.NOT_STARTED, finished=timezone.now()
    )


def release_locks(instances, **changes) -> int:
    """Unlocks instances, together with what else changes in them. The one place that sets `locked` to false."""
    return instances.update(locked=False, lock_deployment=None, locked_since=None, **changes)
