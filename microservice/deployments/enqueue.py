"""Writes a deployment's operations, however many they are, in one statement: the rows are the queue."""

from dataclasses import dataclass, field

from django.db import connection
from django.db.models import Case, OuterRef, Subquery, Value, When

from ..models import Deployment, MicroServiceInstance, MicroServiceVersion, Operation
from ..status import WHILE, Action, OperationStatus
from .rollout import Strategy


@dataclass(frozen=True, slots=True)
class Source:
    """Where each operation's action and versions come from, as SQL about an instance `i`; its parameters in order.

    `differ`: actions are not the same for all, so what the instances do now is still to be said.
    """

    action: str
    from_version: str
    dest_version: str
    adopt: str = "%s"
    attempt: str = "1"
    origin: str = "NULL"
    join: str = ""
    differ: bool = True
    chosen: list = field(default_factory=list)  # parameters of the expressions above
    joined: list = field(default_factory=list)  # parameters of the join


_LAST = "JOIN operation o ON o.id = i.last_operation_id"
_IN_ORIGIN = (
    "JOIN operation o ON o.id = (SELECT MAX(q.id) FROM operation q WHERE q.deployment_id = %s AND q.instance_id = i.id)"
)


def asked(action: Action, dest: MicroServiceVersion | None, adopt: bool = False) -> Source:
    """Every instance goes from what it runs toward `dest`."""
    return Source(
        action="%s",
        from_version="i.version_id",
        dest_version="CAST(%s AS bigint)",
        differ=False,
        chosen=[str(action), dest.pk if dest else None, adopt],
    )


def again(origin: Deployment | None) -> Source:
    """Every instance repeats its operation in `origin`; without one, its last operation."""
    return Source(
        action="o.action",
        from_version="o.from_version_id",
        dest_version="o.dest_version_id",
        adopt="o.adopt",
        attempt="o.attempt + 1",
        origin="o.id",
        join=_IN_ORIGIN if origin else _LAST,
        joined=[origin.pk] if origin else [],
    )


def back(origin: Deployment) -> Source:
    """Every instance goes back to the version that it came from in `origin`."""
    return Source(
        action=f"CASE WHEN o.action = '{Action.UPGRADE.value}' THEN '{Action.REVERT.value}' "
        f"ELSE '{Action.UPGRADE.value}' END",
        from_version="o.dest_version_id",
        dest_version="o.from_version_id",
        join=_IN_ORIGIN,
        chosen=[False],
        joined=[origin.pk],
    )


_INSERT = """
INSERT INTO operation (
    deployment_id, instance_id, instance_number, host_id, action, from_version_id, dest_version_id, adopt, batch,
    status, undo_status, attempt, origin_id, error, error_step, owner, fence, asked, takeovers, cancel_requested,
    status_before, output_size, output_lines, bytes_sent, celery_task_id)
SELECT %s, i.id, i.id, i.host_id, {s.action}, {s.from_version}, {s.dest_version}, {s.adopt},
    CASE WHEN {place} < %s THEN 0 ELSE %s + ({place} - %s) / %s END,
    CASE WHEN {place} < %s THEN %s ELSE %s END,
    'none', {s.attempt}, {s.origin}, '', '', '', 0, 0, 0, %s, i.status_before, 0, 0, 0, ''
FROM micro_service_instance i {s.join}
WHERE i.lock_deployment_id = %s AND i.locked
ORDER BY {order}
"""


def enqueue(deployment: Deployment, targets: int, source: Source, last_first: bool = False) -> int:
    """An operation for each of the `targets` instances that the deployment holds. Answers how many are due at once."""
    strategy = Strategy.parse(deployment.strategy or None)
    canary, length = min(strategy.canary, targets), strategy.batch_length(targets)
    first = canary or length
    order = "i.last_operation_id DESC, i.id DESC" if last_first else "i.id"
    sql = _INSERT.format(s=source, order=order, place=f"(ROW_NUMBER() OVER (ORDER BY {order}) - 1)")
    due, waiting = OperationStatus.QUEUED.value, OperationStatus.PENDING.value
    batch = [canary, 1 if canary else 0, canary, length]
    values = [deployment.pk, *source.chosen, *batch, first, due, waiting, False, *source.joined, deployment.pk]
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        if cursor.rowcount != targets:
            raise RuntimeError(f"{targets} instances were taken and {cursor.rowcount} operations written")
    if source.differ:
        _say_what_they_do(deployment)
    return min(first, targets)


def _say_what_they_do(deployment: Deployment) -> None:
    """The status of each instance that was taken, by its operation's action."""
    # A value for each, by index; see advance.drop.
    own = Operation.objects.filter(deployment=deployment, instance_id=OuterRef("pk")).order_by()
    status = Case(*(When(action=action, then=Value(status.value)) for action, status in WHILE.items()))
    held = MicroServiceInstance.objects.filter(lock_deployment=deployment, locked=True)
    held.update(status=Subquery(own.values_list(status)[:1]))
