"""Remove the rows of instances whose host is gone for good, so that they cannot be deleted; their history stays.

The host is not contacted and nothing on it changes: what still runs there runs on, unwatched. A worker on such an
instance is refused from then on: in the rows because its operation has ended, and on the host because an instance
that is created later starts above every fence of an earlier one (claims.FENCES_AN_INSTANCE).
"""

from collections.abc import Collection
from typing import Any

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from access.callers import Caller
from asset import archiving
from asset.archiving import checked_reason
from asset.models import Asset
from audit import events
from audit.history import record_rows, row_of
from audit.models import Event, History
from callbacks import outbox
from callbacks.models import EventType
from deployer.engine.codes import Code, error
from messages import Message
from messages.rendering import english

from .. import notify
from ..host_use import refuse_in_use
from ..models import MicroService, MicroServiceInstance, Operation
from ..operation_errors import error_fields, set_error
from ..status import OPERATION_OPEN, InstanceStatus, OperationStatus
from . import advance
from .control import locked_meanwhile
from .create import check_right
from .selection import find_instances
from .skipped import lock_holder

_STARTED = (OperationStatus.RUNNING, OperationStatus.UNKNOWN)
_NOT_STARTED = tuple(OPERATION_OPEN - set(_STARTED))


def forget(caller: Caller, service: MicroService, instances: tuple[int, ...], reason: str) -> list[dict[str, Any]]:
    """Remove the rows of these instances (ids) of the service, whatever runs on them; hosts are not contacted.

    Their operations end, and so do installs that wait for their delete. Return what each was: {"id", "host",
    "host_id", "version", "status_str", "operation_id"}, the last the operation that was ended or None. It needs the
    right to delete them. Raise Problem 422 without a reason and for ids that are not the service's.
    """
    check_right(caller, service)
    reason = checked_reason(reason)
    ids = find_instances(service, instances)
    with transaction.atomic():
        return _forget(caller, Q(pk__in=ids), reason)


def archive_host(caller: Caller, host: Asset, reason: str, forget_instances: bool = False) -> Asset:
    """Archive a host, and with `forget_instances` forget all that is installed there first: both or neither."""
    reason = checked_reason(reason)
    with transaction.atomic():
        if forget_instances:
            for row in host.instances.select_related("microservice"):
                check_right(caller, row.microservice)
            _forget(caller, Q(host=host), reason)
        return archiving.archive(caller, host, reason, refuse_in_use)


def _forget(caller: Caller, which: Q, reason: str) -> list[dict[str, Any]]:
    """Forget in the caller's transaction. Lock in the order of all others: deployments, operations, instances."""
    rows = MicroServiceInstance.objects.filter(which)
    places = set(rows.values_list("microservice_id", "host_id"))
    waiting = _waiting(places)
    open_here = Operation.objects.filter(instance__in=rows.values("pk"), status__in=OPERATION_OPEN)
    locked = rows.filter(locked=True, lock_deployment__isnull=False)
    deployments = {
        *locked.values_list("lock_deployment_id", flat=True),
        *open_here.values_list("deployment_id", flat=True),
        *Operation.objects.filter(pk__in=waiting).values_list("deployment_id", flat=True),
    }
    advance.lock(deployments)
    params = {"user": caller.name, "reason": reason}
    ended = _end(open_here, error(Code.FORGOTTEN, **params))
    waiting_rows = Operation.objects.filter(pk__in=waiting, status__in=_NOT_STARTED)
    ended += _end(waiting_rows, error(Code.DELETE_FORGOTTEN, **params))
    loaded = rows.select_related("host", "version", "microservice", "lock_deployment")
    forgotten = list(loaded.select_for_update(of=("self",)).order_by("pk"))
    _refuse_locked_meanwhile(forgotten, deployments)
    described = [_described(row, ended) for row in forgotten]
    record_rows(_history(caller, row, reason) for row in forgotten)
    MicroServiceInstance.objects.filter(pk__in=[row.pk for row in forgotten]).delete()
    outbox.enqueue_each(
        EventType.INSTANCE_FORGOTTEN,
        {
            f"instance.forgotten:{row.pk}": {
                "instance": {**data, "service": row.microservice.name, "service_id": row.microservice_id},
                "forgotten_by": caller.name,
                "reason": reason,
            }
            for row, data in zip(forgotten, described, strict=True)
        },
    )
    notify.publish([events.of_operation(row) for row in ended] + _advanced(deployments))
    return described


def _waiting(places: Collection[tuple[int, int]]) -> list[int]:
    """Return the installs that wait for a delete at one of these places: (service, host)."""
    rows = Operation.objects.filter(
        instance=None,
        status__in=_NOT_STARTED,
        host__in={host for _, host in places},
        deployment__microservice__in={service for service, _ in places},
    ).values_list("pk", "deployment__microservice_id", "host_id")
    return [pk for pk, service, host in rows if (service, host) in places]


def _end(operations: QuerySet[Operation], why: Message) -> list[Operation]:
    """End operations, so that no worker owns them; two statements, and one to read them."""
    rows = list(operations.select_for_update().order_by("pk"))
    common = {**error_fields(why), "owner": "", "lease": None, "due": None, "finished": timezone.now()}
    started = [row for row in rows if row.status in _STARTED]
    rest = [row for row in rows if row.status not in _STARTED]
    for group, status in ((started, OperationStatus.FAILED), (rest, OperationStatus.NOT_STARTED)):
        if group:
            Operation.objects.filter(pk__in=[row.pk for row in group]).update(status=status, **common)
        for row in group:
            row.status = status
            set_error(row, why)
    return rows


def _refuse_locked_meanwhile(rows: list[MicroServiceInstance], deployments: set[int]) -> None:
    """Refuse instances that another deployment locked since: its rows are not locked in the common order."""
    for row in rows:
        if row.locked and row.lock_deployment_id and row.lock_deployment_id not in deployments:
            raise locked_meanwhile(row)


def _described(row: MicroServiceInstance, ended: list[Operation]) -> dict[str, Any]:
    return {
        "id": row.pk,
        "host": str(row.host),
        "host_id": row.host_id,
        "version": row.version.version if row.version else None,
        "status_str": InstanceStatus(row.status).label,
        "operation_id": next((operation.pk for operation in ended if operation.instance_id == row.pk), None),
    }


def _history(caller: Caller, row: MicroServiceInstance, reason: str) -> History:
    before = {
        "host": str(row.host),
        "version": row.version.version if row.version else None,
        "status": InstanceStatus(row.status).label,
        "port": row.port,
        "tag": row.tag,
        "weight": row.weight,
    } | ({"locked_by": english(lock_holder(row))} if row.locked else {})
    return row_of(caller, "forget", "instance", row, before, None, reason, row.microservice)


def _advanced(deployments: set[int]) -> list[Event]:
    return advance.advance(deployments) if deployments else []
