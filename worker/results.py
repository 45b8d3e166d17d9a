"""How an operation ends: its result, the instance's version and status, and the unlock, all in one transaction."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import F, OuterRef, Subquery
from django.db.models.functions import Now
from django.utils import timezone

from asset import reachability
from audit import events
from audit.models import Event
from messages import Message
from microservice.deployments import advance, deferred_installs, delete_retries
from microservice.models import MicroServiceInstance, Operation
from microservice.operation_errors import set_error
from microservice.status import (
    OPERATION_ENDED,
    STATUS_AFTER_FAILURE,
    Action,
    InstanceStatus,
    OperationStatus,
    UndoStatus,
)

MIN_RETRY_PAUSE, MAX_RETRY_PAUSE = 5, 300  # seconds between two attempts to reach a host that does not answer


@dataclass(frozen=True, slots=True)
class OperationResult:
    """The result of an operation that this worker carried out."""

    operation: Operation
    status: OperationStatus  # RUNNING: this worker leaves it, and the next one attaches
    undo_status: UndoStatus = UndoStatus.NONE
    error: Message | None = None  # `operation.CODE`
    error_step: str = ""
    error_code: str = ""  # where there is no error to show
    reached: bool | None = None  # whether the host answered; None: it was not contacted
    trouble: Message | None = None  # why the host could not be spoken to
    offered_key: str = ""  # that it showed, and that is not the pinned one

    @property
    def name(self) -> tuple[int, int]:
        return self.operation.pk, self.operation.fence


def record_results(results: list[OperationResult]) -> list[Event]:
    """Write the results of operations that are still the caller's. Return the events to write last."""
    if not results:
        return []
    now = timezone.now()
    operations = [_as_row(result, now) for result in results]
    ended = [operation for operation in operations if operation.status in OPERATION_ENDED]
    _release_instances(ended)
    _write(operations)
    new_events = _record_contact(results)
    new_events += [
        events.of_operation(operation) for operation in operations if operation.status != OperationStatus.RUNNING
    ]
    return new_events + advance.advance({operation.deployment_id for operation in operations})


_FIELDS = (
    "status",
    "undo_status",
    "error",
    "error_step",
    "error_code",
    "error_params",
    "cause",
    "finished",
    "owner",
    "lease",
    "due",
    "poll_count",
    "unknown_since",
)


def _write(operations: list[Operation]) -> None:
    """Write those that ended alike, on a good day all of them, in one plain statement; the rest in another."""
    alike: dict[str, list[Operation]] = {}
    for operation in operations:
        alike.setdefault(repr([getattr(operation, name) for name in _FIELDS]), []).append(operation)
    most = max(alike.values(), key=len)
    values = {name: getattr(most[0], name) for name in _FIELDS}
    Operation.objects.filter(pk__in=[operation.pk for operation in most]).update(**values)
    rest = [operation for operation in operations if operation not in most]
    if rest:
        Operation.objects.bulk_update(rest, _FIELDS)


def _as_row(result: OperationResult, now: datetime) -> Operation:
    """Return the row as it will be."""
    row = result.operation
    row.status, row.undo_status = result.status, result.undo_status
    row.error_step, row.owner = result.error_step, ""
    set_error(row, result.error, result.error_code, _names(row))
    row.lease = now if result.status == OperationStatus.RUNNING else None  # has run out already
    if result.status == OperationStatus.UNKNOWN:
        _schedule_retry(row, result.error, now)
    elif result.status in OPERATION_ENDED:
        row.finished, row.due, row.unknown_since = now, None, None
    return row


def _names(row: Operation) -> tuple[str, ...]:
    return row.host.hostname, row.host.ip, row.host.base_path


def _schedule_retry(row: Operation, error: Message | None, now: datetime) -> None:
    """Schedule the next try, later and later. Past the deadline the instance is let go, with the truth in its error.

    That is safe because the next operation on the instance has a higher fence and settles the old run first.
    """
    row.unknown_since = row.unknown_since or now
    row.poll_count += 1
    if now - row.unknown_since > timedelta(seconds=settings.UNREACHABLE_TIMEOUT):
        row.status, row.finished, row.due = OperationStatus.FAILED, now, None
        if error is not None:
            params = {**error.params, "given_up_after": settings.UNREACHABLE_TIMEOUT}
            set_error(row, Message(error.code, params), names=_names(row))
    else:
        row.due = now + timedelta(seconds=min(MAX_RETRY_PAUSE, MIN_RETRY_PAUSE * 2 ** min(row.poll_count - 1, 10)))


def _release_instances(ended: list[Operation]) -> None:
    """Unlock instances of ended operations, with what runs there now. A lock that is not ours is left alone."""
    groups: dict[tuple[str, int], list[Operation]] = {}
    for operation in ended:
        if operation.status == OperationStatus.SUCCEEDED:
            group = ("gone", 0) if operation.action == Action.DELETE else ("changed", InstanceStatus.RUNNING)
        elif operation.status in (OperationStatus.CANCELLED, OperationStatus.NOT_STARTED):
            group = ("same", operation.status_before)
        else:
            group = ("same", STATUS_AFTER_FAILURE[Action(operation.action)])
        groups.setdefault(group, []).append(operation)
    for (what, status), operations in sorted(groups.items()):
        numbers = [operation.pk for operation in operations]
        own = Operation.objects.filter(pk__in=numbers, instance_id=OuterRef("pk"))
        instances = MicroServiceInstance.objects.filter(
            pk__in=[operation.instance_id for operation in operations],
            locked=True,
            lock_deployment__in={operation.deployment_id for operation in operations},
        )
        if what == "gone":
            instances.delete()
            deferred_installs.start_deferred(operations)
            continue
        if status == InstanceStatus.DELETE_FAILED:
            delete_retries.schedule(instances, {one.instance_id: one for one in operations if one.instance_id})
        changes = {"status": status, "last_operation": Subquery(own.values("pk")[:1]), "updated": Now()}
        if what == "changed":
            changes |= {"previous_version": F("version"), "version": Subquery(own.values("dest_version")[:1])}
        advance.release_locks(instances, **changes)


def _record_contact(results: Iterable[OperationResult]) -> list[Event]:
    """Record what was learnt about each host, for people: four statements at most, and one on a good day. Return the
    events of those that are not as they were when their operation was claimed. Of several results on a host the last
    one counts."""
    learnt = {result.operation.host_id: result for result in results if result.reached is not None}
    well = {pk for pk, result in learnt.items() if result.reached and not result.trouble}
    if well:
        reachability.note_well(well)
    for reachable in (True, False):
        troubles = {
            pk: result.trouble or "" for pk, result in learnt.items() if result.reached is reachable and pk not in well
        }
        if troubles:
            reachability.note_each(reachable, troubles)
    reachability.note_keys({pk: result.offered_key for pk, result in learnt.items() if result.offered_key})
    return [
        events.of_host(pk, bool(result.reached))
        for pk, result in learnt.items()
        if result.operation.host.reachable != result.reached or result.offered_key
    ]
