"""Instances that nobody can delete any more, because their host is gone for good: their rows go, their history stays.

Nothing is asked of the host and nothing on it changes. What still runs there runs on, unwatched. Whoever works on such
an instance is refused from then on: in the rows because its operation has ended, and on the host because an instance
that is made later starts above every fence of an earlier one (claims.FENCES_AN_INSTANCE).
"""

from collections.abc import Collection
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from access.callers import Caller
from access.problems import conflict
from asset import archiving
from asset.archiving import checked_reason
from asset.models import Asset
from audit import events
from audit.history import record_rows, row_of
from audit.models import Event
from callbacks import outbox
from callbacks.models import EventType
from deployer.engine.codes import Code

from .. import notify
from ..host_use import refuse_in_use
from ..models import MicroService, MicroServiceInstance, Operation
from ..status import OPERATION_OPEN, InstanceStatus, OperationStatus
from . import advance
from .create import check_right
from .selection import instances_of
from .targets import owner_of

_BEGUN = (OperationStatus.RUNNING, OperationStatus.UNKNOWN)
_NOT_BEGUN = tuple(OPERATION_OPEN - set(_BEGUN))


def forget(caller: Caller, service: MicroService, instances: object, reason: str) -> list[dict[str, Any]]:
    """Removes the rows of these instances (ids) of the service, whatever goes on with them; nothing is done on hosts.

    Their operations end, and so do installs that wait for a delete of theirs. Answers what each was:
    {"id", "host", "host_id", "version", "status_str", "operation_id"}, the last the operation that was ended or None.
    Who may delete them may do it. 422 without a reason and for ids that are not the service's.
    """
    check_right(caller, service)
    reason = checked_reason(reason)
    numbers = instances_of(service, instances)
    with transaction.atomic():
        return _forget(caller, Q(pk__in=numbers), reason)


def archive_host(caller: Caller, host: Asset, reason: str, forget_instances: bool = False) -> Asset:
    """Archives a host, and before, where it is said so, forgets all that is installed there: both or neither."""
    reason = checked_reason(reason)
    with transaction.atomic():
        if forget_instances:
            for row in host.instances.select_related("microservice"):
                check_right(caller, row.microservice)
            _forget(caller, Q(host=host), reason)
        return archiving.archive(caller, host, reason, refuse_in_use)


def _forget(caller: Caller, which: Q, reason: str) -> list[dict[str, Any]]:
    """In the caller's transaction, which locks in the order of all others: deployments, operations, instances."""
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
    ended = _end(open_here, Code.FORGOTTEN, f"The instance was forgotten by {caller.name}: {reason}")
    ended += _end(
        Operation.objects.filter(pk__in=waiting, status__in=_NOT_BEGUN),
        Code.DELETE_FORGOTTEN,
        f"What it waited for was forgotten by {caller.name}: {reason}",
    )
    loaded = rows.select_related("host", "version", "microservice", "lock_deployment")
    gone = list(loaded.select_for_update(of=("self",)).order_by("pk"))
    _refuse_moved(gone, deployments)
    told = [_described(row, ended) for row in gone]
    record_rows(_history(caller, row, reason) for row in gone)
    MicroServiceInstance.objects.filter(pk__in=[row.pk for row in gone]).delete()
    outbox.enqueue_each(
        EventType.INSTANCE_FORGOTTEN,
        {
            f"instance.forgotten:{row.pk}": {
                "instance": {**what, "service": row.microservice.name, "service_id": row.microservice_id},
                "forgotten_by": caller.name,
                "reason": reason,
            }
            for row, what in zip(gone, told, strict=True)
        },
    )
    notify.publish([events.of_operation(one) for one in ended] + _advanced(deployments))
    return told


def _waiting(places: Collection[tuple[int, int]]) -> list[int]:
    """Installs that wait for the delete of one of these: (service, host)."""
    rows = Operation.objects.filter(
        instance=None,
        status__in=_NOT_BEGUN,
        host__in={host for _, host in places},
        deployment__microservice__in={service for service, _ in places},
    ).values_list("pk", "deployment__microservice_id", "host_id")
    return [pk for pk, service, host in rows if (service, host) in places]


def _end(which, code: Code, error: str) -> list[Operation]:
    """Ends operations where nobody owns them any more; two statements and one to read them."""
    rows = list(which.select_for_update().order_by("pk"))
    common = {"error": error, "error_code": code, "owner": "", "lease": None, "due": None, "finished": timezone.now()}
    begun = [row for row in rows if row.status in _BEGUN]
    rest = [row for row in rows if row.status not in _BEGUN]
    for mine, status in ((begun, OperationStatus.FAILED), (rest, OperationStatus.NOT_STARTED)):
        if mine:
            Operation.objects.filter(pk__in=[row.pk for row in mine]).update(status=status, **common)
        for row in mine:
            row.status, row.error, row.error_code = status, error, code
    return rows


def _refuse_moved(gone: list[MicroServiceInstance], deployments: set[int]) -> None:
    """What was locked by another deployment after the look above is refused: its rows are not locked in their order."""
    for row in gone:
        if row.locked and row.lock_deployment_id and row.lock_deployment_id not in deployments:
            raise conflict("instance_locked", f"{row.host} has just been locked by {owner_of(row)}.", "Look again.")


def _described(row: MicroServiceInstance, ended: list[Operation]) -> dict[str, Any]:
    return {
        "id": row.pk,
        "host": str(row.host),
        "host_id": row.host_id,
        "version": row.version.version if row.version else None,
        "status_str": InstanceStatus(row.status).label,
        "operation_id": next((one.pk for one in ended if one.instance_id == row.pk), None),
    }


def _history(caller: Caller, row: MicroServiceInstance, reason: str):
    before = {
        "host": str(row.host),
        "version": row.version.version if row.version else None,
        "status": InstanceStatus(row.status).label,
        "port": row.port,
        "tag": row.tag,
        "weight": row.weight,
    } | ({"locked_by": owner_of(row)} if row.locked else {})
    return row_of(caller, "forget", "instance", row, before, None, reason, row.microservice)


def _advanced(deployments: set[int]) -> list[Event]:
    return advance.advance(deployments) if deployments else []
