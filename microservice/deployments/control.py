"""What somebody does to a deployment that is under way: pause, resume, cancel, or break one instance's lock."""

from django.db import transaction
from django.utils import timezone

from access.callers import Caller
from access.problems import conflict, forbidden, invalid
from audit import events
from audit.history import record
from callbacks import outbox
from callbacks.models import EventType
from deployer.engine.codes import Code

from .. import notify, wake
from ..models import Deployment, MicroServiceInstance, Operation
from ..status import (
    AFTER_FAILURE,
    DEPLOYMENT_TRANSITIONS,
    OPERATION_OPEN,
    Action,
    DeploymentStatus,
    OperationStatus,
    may_become,
)
from . import advance
from .targets import owner_of

_BEGUN = (OperationStatus.RUNNING, OperationStatus.UNKNOWN)


def _locked(caller: Caller, deployment: Deployment) -> Deployment:
    """The deployment's row, locked until the transaction ends, if the caller may touch it."""
    rows = Deployment.objects.select_for_update(of=("self",), no_key=True).select_related("microservice")
    row = rows.get(pk=deployment.pk)
    if not caller.may("deploy", row.microservice_id):
        raise forbidden(f"{caller.name} may not deploy {row.microservice.name}.", "Ask for the scope “deploy”.")
    return row


def _refuse(row: Deployment, verb: str) -> None:
    raise conflict("deployment_state", f"Deployment {row.pk} is {row.get_status_display()}: it cannot be {verb}.")


def pause(caller: Caller, deployment: Deployment) -> Deployment:
    """Nothing new starts; what runs goes on. Paused already: nothing changes."""
    with transaction.atomic():
        row = _locked(caller, deployment)
        if row.status == DeploymentStatus.PAUSED:
            return row
        if not may_become(DEPLOYMENT_TRANSITIONS, row.status, DeploymentStatus.PAUSED):
            _refuse(row, "paused")
        told = advance.become(row, DeploymentStatus.PAUSED, f"Paused by {caller.name}.")
        record(caller, "pause", "deployment", row, service=row.microservice)
        notify.publish([told])
    return row


def resume(caller: Caller, deployment: Deployment) -> Deployment:
    """Goes on where it was paused, by hand or between two batches. Going on already: nothing changes."""
    with transaction.atomic():
        row = _locked(caller, deployment)
        if row.status != DeploymentStatus.PAUSED:
            if row.status in (DeploymentStatus.QUEUED, DeploymentStatus.RUNNING):
                return row
            _refuse(row, "resumed")
        told = [advance.become(row, DeploymentStatus.RUNNING if row.started else DeploymentStatus.QUEUED)]
        record(caller, "resume", "deployment", row, service=row.microservice)
        told += advance.advance([row.pk], resumed=True)
        notify.publish(told)
        wake.workers(Operation.objects.filter(deployment=row, status=OperationStatus.QUEUED).count())
    row.refresh_from_db(fields=["status", "status_reason", "finished", "started"])
    return row


def cancel(caller: Caller, deployment: Deployment) -> Deployment:
    """Stops it: what has not begun never will; what has is ended on its host and undone. Until then: cancelling."""
    with transaction.atomic():
        row = _locked(caller, deployment)
        if row.status in (DeploymentStatus.CANCELLING, DeploymentStatus.CANCELLED):
            return row
        if not may_become(DEPLOYMENT_TRANSITIONS, row.status, DeploymentStatus.CANCELLING):
            _refuse(row, "cancelled")
        told = [advance.become(row, DeploymentStatus.CANCELLING, f"Cancelled by {caller.name}.")]
        begun = Operation.objects.filter(deployment=row, status__in=_BEGUN)
        begun.update(cancel_requested=True)
        begun.filter(status=OperationStatus.UNKNOWN).update(due=timezone.now())  # its host is asked now
        record(caller, "cancel", "deployment", row, service=row.microservice)
        told += advance.advance([row.pk])
        notify.publish(told)
    row.refresh_from_db(fields=["status", "status_reason", "finished", "started"])
    return row


def break_lock(caller: Caller, instance: MicroServiceInstance, reason: str) -> MicroServiceInstance:
    """Unlocks an instance by hand and leaves a row in the history. Whoever worked on it is refused from now on, here by
    the fence in the rows and on the host by the next operation's fence."""
    reason = reason.strip()
    if not reason or len(reason) > 500:
        raise invalid("/reason", "must say why, in 500 characters at most")
    if not caller.may("deploy", instance.microservice_id):
        raise forbidden(f"{caller.name} may not deploy {instance.microservice.name}.", "Ask for the scope “deploy”.")
    with transaction.atomic():
        advance.lock({instance.lock_deployment_id} if instance.lock_deployment_id else set())
        row = MicroServiceInstance.objects.select_related("lock_deployment", "host", "microservice").get(pk=instance.pk)
        if not row.locked:
            raise conflict("not_locked", f"{row.host} is not locked.")
        if row.lock_deployment_id != instance.lock_deployment_id:
            raise conflict("instance_locked", f"{row.host} has just been locked by {owner_of(row)}.", "Look again.")
        before = {"locked_by": owner_of(row), "status": row.get_status_display()}
        told = _take_away(row, f"The lock was broken by {caller.name}: {reason}")
        noted = record(caller, "unlock", "instance", row, before=before, reason=reason, service=row.microservice)
        outbox.enqueue(
            EventType.LOCK_BROKEN,
            f"lock.broken:{noted.pk}",
            {
                "instance": {"id": row.pk, "host": str(row.host), "service": row.microservice.name},
                **before,
                "broken_by": caller.name,
                "reason": reason,
            },
        )
        told += advance.advance([row.lock_deployment_id] if row.lock_deployment_id else [])
        notify.publish(told)
    row.refresh_from_db()
    return row


def _take_away(row: MicroServiceInstance, error: str) -> list:
    """The operation that held the instance ends here; the instance is free."""
    own = Operation.objects.filter(instance=row, deployment=row.lock_deployment_id, status__in=OPERATION_OPEN).first()
    changes: dict = {}
    if own is not None:
        begun = own.status in _BEGUN
        own.status = OperationStatus.FAILED if begun else OperationStatus.NOT_STARTED
        own.error, own.owner, own.lease, own.due, own.finished = error, "", None, None, timezone.now()
        own.error_code = Code.LOCK_BROKEN
        own.save(update_fields=["status", "error", "error_code", "owner", "lease", "due", "finished"])
        changes = {"status": AFTER_FAILURE[Action(own.action)] if begun else own.status_before, "last_operation": own}
    held = MicroServiceInstance.objects.filter(pk=row.pk, locked=True, lock_deployment=row.lock_deployment_id)
    advance.release_locks(held, **changes)
    return [events.of_operation(own)] if own else []
