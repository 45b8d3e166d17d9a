"""Writes a deployment's operations, however many there are, in one statement: the rows are the queue."""

from dataclasses import dataclass, field
from typing import Any

from django.db import connection
from django.db.models import Case, OuterRef, Subquery, Value, When

from asset.strategy import Strategy

from ..models import Deployment, MicroServiceInstance, Operation
from ..status import STATUS_DURING, Action, OperationStatus


@dataclass(frozen=True, slots=True)
class OperationSource:
    """Where each operation's action and versions come from: SQL about an instance `i`, with its parameters in order."""

    action: str
    from_version: str
    dest_version: str
    adopt: str = "%s"
    attempt: str = "1"
    origin: str = "NULL"
    join: str = ""
    actions_differ: bool = True  # not the same for all, so the instances' status is still to be set
    params: list[Any] = field(default_factory=list)  # of the expressions above
    join_params: list[Any] = field(default_factory=list)


_LAST = "JOIN operation o ON o.id = i.last_operation_id"
_IN_ORIGIN = (
    "JOIN operation o ON o.id = (SELECT MAX(q.id) FROM operation q WHERE q.deployment_id = %s AND q.instance_id = i.id)"
)


def from_request(deployment: Deployment, adopt: bool = False) -> OperationSource:
    """Take every instance from what it runs to the deployment's version."""
    return OperationSource(
        action="%s",
        from_version="i.version_id",
        dest_version="CAST(%s AS bigint)",
        actions_differ=False,
        params=[str(deployment.action), deployment.dest_version_id, adopt],
    )


def toward_version(deployment: Deployment) -> OperationSource:
    """Take every instance from what it runs to the deployment's version: by an upgrade, or a revert to an older one."""
    return OperationSource(
        action=f"CASE WHEN i.version_id < %s THEN '{Action.UPGRADE.value}' ELSE '{Action.REVERT.value}' END",
        from_version="i.version_id",
        dest_version="CAST(%s AS bigint)",
        params=[deployment.dest_version_id, deployment.dest_version_id, False],
    )


def from_previous(origin: Deployment | None) -> OperationSource:
    """Repeat for every instance its operation in `origin`; without one, its last operation."""
    return OperationSource(
        action="o.action",
        from_version="o.from_version_id",
        dest_version="o.dest_version_id",
        adopt="o.adopt",
        attempt="o.attempt + 1",
        origin="o.id",
        join=_IN_ORIGIN if origin else _LAST,
        join_params=[origin.pk] if origin else [],
    )


def reversed_from(origin: Deployment) -> OperationSource:
    """Take every instance back to the version that it came from in `origin`."""
    return OperationSource(
        action=f"CASE WHEN o.action = '{Action.UPGRADE.value}' THEN '{Action.REVERT.value}' "
        f"ELSE '{Action.UPGRADE.value}' END",
        from_version="o.dest_version_id",
        dest_version="o.from_version_id",
        join=_IN_ORIGIN,
        params=[False],
        join_params=[origin.pk],
    )


_INSERT = """
INSERT INTO operation (
    deployment_id, instance_id, instance_id_snapshot, host_id, action, from_version_id, dest_version_id, adopt, batch,
    status, undo_status, attempt, origin_id, error, error_step, owner, fence, poll_count, takeovers, cancel_requested,
    status_before, output_size, output_lines, bytes_sent, celery_task_id)
SELECT %s, i.id, i.id, i.host_id, {s.action}, {s.from_version}, {s.dest_version}, {s.adopt},
    CASE WHEN {place} < %s THEN 0 ELSE %s + ({place} - %s) / %s END,
    CASE WHEN {place} < %s THEN %s ELSE %s END,
    'none', {s.attempt}, {s.origin}, '', '', '', 0, 0, 0, %s, i.status_before, 0, 0, 0, ''
FROM micro_service_instance i {s.join}
WHERE i.lock_deployment_id = %s AND i.locked
ORDER BY {order}
"""


def enqueue(deployment: Deployment, targets: int, source: OperationSource, last_first: bool = False) -> int:
    """Create an operation for each of the `targets` instances that the deployment holds. Return how many are due."""
    strategy = Strategy.from_row(deployment.strategy)
    canary, length = min(strategy.canary, targets), strategy.batch_length(targets)
    first = canary or length
    order = "i.last_operation_id DESC, i.id DESC" if last_first else "i.id"
    sql = _INSERT.format(s=source, order=order, place=f"(ROW_NUMBER() OVER (ORDER BY {order}) - 1)")
    due, waiting = OperationStatus.QUEUED.value, OperationStatus.PENDING.value
    batch = [canary, 1 if canary else 0, canary, length]
    values = [deployment.pk, *source.params, *batch, first, due, waiting, False, *source.join_params, deployment.pk]
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        if cursor.rowcount != targets:
            raise RuntimeError(f"{targets} instances were locked, but {cursor.rowcount} operations written")
    if source.actions_differ:
        _set_instance_status(deployment)
    return min(first, targets)


def _set_instance_status(deployment: Deployment) -> None:
    """Set the status of each locked instance by its operation's action."""
    # As a value for each instance, by index; see advance.abandon_pending.
    own = Operation.objects.filter(deployment=deployment, instance_id=OuterRef("pk")).order_by()
    status = Case(*(When(action=action, then=Value(status.value)) for action, status in STATUS_DURING.items()))
    held = MicroServiceInstance.objects.filter(lock_deployment=deployment, locked=True)
    held.update(status=Subquery(own.values_list(status)[:1]))
