"""Carries out what rollout.py decides, inside the transaction of the event that made it necessary."""

from collections.abc import Iterable
from typing import Any, NamedTuple

from django.db import connection
from django.db.models import OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.utils import timezone

from access.sealed import SealedMap
from asset.strategy import Strategy
from audit import events
from audit.models import Event
from messages import Message
from runtime.sql import fetch_all, literals, placeholders

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
from . import ended
from .reverts import auto_revert
from .rollout import NOTHING, Decision, Snapshot, decide

_NOT_STARTED = (OperationStatus.PENDING, OperationStatus.QUEUED)


def advance(ids: Iterable[int], resumed: bool = False) -> list[Event]:
    """Move these deployments on as far as their rows allow. Return the events to write last, and wake the workers.

    Two workers may end the last two operations of a deployment at the same time; the row lock puts one behind the
    other, so that the second sees what the first did. (SQLite has a single writer anyway.)
    """
    wanted = sorted(set(ids))
    if not wanted:
        return []
    # The whole definition is not needed here, and may be long.
    rows = Deployment.objects.select_for_update(no_key=True).filter(pk__in=wanted).order_by("pk")
    deployments = list(rows.defer("spec", "secrets"))
    counts = _count_operations(wanted)
    changes: list[Event] = []
    for deployment in deployments:
        changes += _advance_one(deployment, counts.get(deployment.pk, []), resumed)
    return changes


def lock(ids: Iterable[int], skip_held: bool = False) -> list[int]:
    """Lock deployments before the rows below them, in one order, so that no two transactions wait for each other.

    Return which were locked: all of them, or with `skip_held` those that no other transaction holds. SQLite has a
    single writer anyway.
    """
    wanted = sorted(ids)
    if not wanted or not connection.features.has_select_for_update:
        return wanted
    rows = Deployment.objects.select_for_update(no_key=True, skip_locked=skip_held).filter(pk__in=wanted)
    return list(rows.order_by("pk").values_list("pk", flat=True))


def referenceable(ids: Iterable[int]) -> set[int]:
    """Return those of these deployments that rows can refer to without waiting for another transaction."""
    wanted = set(ids)
    if not wanted or not connection.features.has_select_for_update_skip_locked:
        return wanted
    rows = f"SELECT id FROM deployment WHERE id IN ({placeholders(wanted)}) FOR KEY SHARE SKIP LOCKED"  # noqa: S608
    return {number for (number,) in fetch_all(rows, *wanted)}


class StatusCount(NamedTuple):
    """A deployment's operations of one status: how many, their first batch, how many could not be undone."""

    status: OperationStatus
    operations: int
    first_batch: int
    undo_failed: int


_COUNT = f"""
SELECT deployment_id, status, COUNT(*), MIN(batch),
    SUM(CASE WHEN undo_status = {literals(UndoStatus.FAILED)} THEN 1 ELSE 0 END)
FROM operation WHERE deployment_id IN ({{places}}) GROUP BY deployment_id, status
"""  # noqa: S608


def _count_operations(ids: list[int]) -> dict[int, list[StatusCount]]:
    counts: dict[int, list[StatusCount]] = {}
    for number, status, *numbers in fetch_all(_COUNT.format(places=placeholders(ids)), *ids):
        counts.setdefault(number, []).append(StatusCount(OperationStatus(status), *numbers))
    return counts


def snapshot(deployment: Deployment, counts: list[StatusCount]) -> Snapshot:
    """Summarize a deployment's rows from the grouped counts of its operations."""
    return Snapshot(
        status=DeploymentStatus(deployment.status),
        strategy=Strategy.from_row(deployment.strategy),
        counts={row.status: row.operations for row in counts},
        next_batch=next((row.first_batch for row in counts if row.status == OperationStatus.PENDING), None),
        undo_failed=any(row.undo_failed for row in counts),
    )


def _advance_one(deployment: Deployment, counts: list[StatusCount], resumed: bool) -> list[Event]:
    changes: list[Event] = []
    while True:
        now = snapshot(deployment, counts)
        decision = decide(now, resumed)
        if decision == NOTHING:
            return changes
        changes += _carry_out(deployment, decision)
        if decision.release_batch is not None:
            wake.workers(now.waiting)
            resumed = False
        counts = _count_operations([deployment.pk]).get(deployment.pk, [])


def _carry_out(deployment: Deployment, decision: Decision) -> list[Event]:
    changes: list[Event] = []
    if decision.release_batch is not None:
        Operation.objects.filter(
            deployment=deployment, batch=decision.release_batch, status=OperationStatus.PENDING
        ).update(status=OperationStatus.QUEUED)
    if decision.abandon_pending:
        abandon_pending(deployment)
    if decision.status is not None:
        changes.append(set_status(deployment, decision.status, decision.reason))
    if decision.revert is not None:
        auto_revert(deployment, decision.revert)
    return changes


def set_status(deployment: Deployment, status: DeploymentStatus, reason: Message | None = None) -> Event:
    """Change a deployment's status along the table of transitions. Return the event that reports it."""
    if not may_become(DEPLOYMENT_TRANSITIONS, deployment.status, status):
        raise ValueError(f"deployment {deployment.pk} cannot go from {deployment.status} to {status}")
    deployment.status, deployment.reason = status, reason
    fields = ["status", "status_reason", "status_message", "finished", "started"]
    if status in DEPLOYMENT_ENDED:
        deployment.finished = timezone.now()
        deployment.secrets = SealedMap()  # no longer needed; a retry takes the service's own
        fields.append("secrets")
        ended.announce(deployment.pk)
    if status == DeploymentStatus.RUNNING and deployment.started is None:
        deployment.started = timezone.now()
    deployment.save(update_fields=fields)
    return events.of_deployment(deployment)


def abandon_pending(deployment: Deployment) -> None:
    """End the operations that have not started, and unlock their instances as they were before."""
    cancelling = deployment.status == DeploymentStatus.CANCELLING
    waiting = Operation.objects.filter(deployment=deployment, status__in=_NOT_STARTED)
    abandoned = waiting.filter(instance_id=OuterRef("pk")).order_by()
    # Instances first: the second statement changes what the first one matches. Each instance's own operation is
    # looked up as a value, by index: of a list (IN, EXISTS) of ten thousand rows that it has not counted yet,
    # PostgreSQL reads all rows for each instance.
    held = MicroServiceInstance.objects.alias(own=Subquery(abandoned.values("pk")[:1]))
    release_locks(
        held.filter(lock_deployment=deployment, locked=True, own__isnull=False),
        status=Subquery(abandoned.values("status_before")[:1]),
        # An install that never started is still what a retry of its instance repeats.
        last_operation=Coalesce("last_operation", Subquery(abandoned.values("pk")[:1])),
    )
    waiting.update(
        status=OperationStatus.CANCELLED if cancelling else OperationStatus.NOT_STARTED, finished=timezone.now()
    )


def release_locks(instances: QuerySet[MicroServiceInstance], **changes: Any) -> int:
    """Unlock instances, together with what else changes in them. The only place that sets `locked` to false."""
    return instances.update(locked=False, lock_deployment=None, locked_since=None, **changes)
