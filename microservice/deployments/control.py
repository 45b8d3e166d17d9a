"""What a person does to a deployment that is under way: pause, resume, cancel, or unlock one instance by force."""

from typing import NoReturn

from django.db import transaction
from django.utils import timezone

from access.callers import Caller
from access.problems import Problem, invalid, refused
from audit import events
from audit.history import record
from audit.models import Event
from callbacks import outbox
from callbacks.models import EventType
from deployer.engine.codes import Code, error
from messages import Message
from messages.rendering import english

from .. import notify, wake
from ..models import Deployment, DeploymentRequest, MicroServiceInstance, Operation
from ..operation_errors import ERROR_FIELDS, set_error
from ..status import (
    DEPLOYMENT_TRANSITIONS,
    OPERATION_OPEN,
    STATUS_AFTER_FAILURE,
    Action,
    DeploymentStatus,
    OperationStatus,
    may_become,
)
from . import advance
from .create import check_right
from .skipped import lock_holder

MAX_REASON = 500  # characters
_STARTED = (OperationStatus.RUNNING, OperationStatus.UNKNOWN)


def pause(caller: Caller, deployment: Deployment) -> Deployment:
    """Let nothing new start; what runs goes on. Paused already: change nothing."""
    with transaction.atomic():
        row = _locked(caller, deployment)
        if row.status == DeploymentStatus.PAUSED:
            return row
        _require_transition(row, DeploymentStatus.PAUSED, "cannot_pause")
        changed = advance.set_status(row, DeploymentStatus.PAUSED, Message("paused_by", {"who": caller.name}))
        record(caller, "pause", "deployment", row, service=row.microservice)
        notify.publish([changed])
    return row


def resume(caller: Caller, deployment: Deployment) -> Deployment:
    """Go on where it was paused, by a person or between two batches. Not paused, and not ended: change nothing."""
    with transaction.atomic():
        row = _locked(caller, deployment)
        if row.status != DeploymentStatus.PAUSED:
            if row.status in (DeploymentStatus.QUEUED, DeploymentStatus.RUNNING):
                return row
            _refuse(row, "cannot_resume")
        changes = [advance.set_status(row, DeploymentStatus.RUNNING if row.started else DeploymentStatus.QUEUED)]
        record(caller, "resume", "deployment", row, service=row.microservice)
        changes += advance.advance([row.pk], resumed=True)
        notify.publish(changes)
        wake.workers(Operation.objects.filter(deployment=row, status=OperationStatus.QUEUED).count())
    return _reloaded(row)


def cancel(caller: Caller, deployment: Deployment) -> Deployment:
    """Stop it: what waits or has not started never will; what has is stopped on its host and undone. Until then:
    cancelling."""
    with transaction.atomic():
        row = _locked(caller, deployment)
        if row.status in (DeploymentStatus.CANCELLING, DeploymentStatus.CANCELLED):
            return row
        if row.status == DeploymentStatus.WAITING:
            record(caller, "cancel", "deployment", row, service=row.microservice)
            DeploymentRequest.objects.filter(deployment=row).update(look_at=None)
            reason = Message("cancelled_by", {"who": caller.name})
            notify.publish([advance.set_status(row, DeploymentStatus.CANCELLED, reason)])
            return row
        _require_transition(row, DeploymentStatus.CANCELLING, "cannot_cancel")
        changes = [advance.set_status(row, DeploymentStatus.CANCELLING, Message("cancelled_by", {"who": caller.name}))]
        started = Operation.objects.filter(deployment=row, status__in=_STARTED)
        started.update(cancel_requested=True)
        started.filter(status=OperationStatus.UNKNOWN).update(due=timezone.now())  # contact its host now
        record(caller, "cancel", "deployment", row, service=row.microservice)
        changes += advance.advance([row.pk])
        notify.publish(changes)
    return _reloaded(row)


def break_lock(caller: Caller, instance: MicroServiceInstance, reason: str) -> MicroServiceInstance:
    """Unlock an instance by force, and record who did it and why.

    A worker that still works on it is refused from now on: here by the fence in the rows, on the host by the fence of
    the next operation.
    """
    reason = reason.strip()
    if not reason or len(reason) > MAX_REASON:
        raise invalid("/reason", "reason_required", max=MAX_REASON)
    check_right(caller, instance.microservice)
    with transaction.atomic():
        advance.lock({instance.lock_deployment_id} if instance.lock_deployment_id else set())
        row = MicroServiceInstance.objects.select_related("lock_deployment", "host", "microservice").get(pk=instance.pk)
        if not row.locked:
            raise refused("not_locked", host=str(row.host))
        if row.lock_deployment_id != instance.lock_deployment_id:
            raise locked_meanwhile(row)
        before = {"locked_by": english(lock_holder(row)), "status": row.get_status_display()}
        changes = _fail_lock_holder(row, error(Code.LOCK_BROKEN, user=caller.name, reason=reason))
        entry = record(caller, "unlock", "instance", row, before=before, reason=reason, service=row.microservice)
        outbox.enqueue(
            EventType.LOCK_BROKEN,
            f"lock.broken:{entry.pk}",
            {
                "instance": {"id": row.pk, "host": str(row.host), "service": row.microservice.name},
                **before,
                "broken_by": caller.name,
                "reason": reason,
            },
        )
        changes += advance.advance([row.lock_deployment_id] if row.lock_deployment_id else [])
        notify.publish(changes)
    row.refresh_from_db()
    return row


def locked_meanwhile(row: MicroServiceInstance) -> Problem:
    """Return the refusal for an instance that another deployment locked since the caller looked."""
    return refused("instance_locked.meanwhile", host=str(row.host), holder=lock_holder(row))


def _locked(caller: Caller, deployment: Deployment) -> Deployment:
    """Return the deployment's row, locked until the transaction ends. Raise Problem 403 without the right."""
    rows = Deployment.objects.select_for_update(of=("self",), no_key=True).select_related("microservice")
    row = rows.get(pk=deployment.pk)
    check_right(caller, row.microservice)
    return row


def _require_transition(row: Deployment, status: DeploymentStatus, code: str) -> None:
    if not may_become(DEPLOYMENT_TRANSITIONS, row.status, status):
        _refuse(row, code)


def _refuse(row: Deployment, code: str) -> NoReturn:
    raise refused(f"deployment_state.{code}", deployment=row.pk, status=row.get_status_display())


def _reloaded(row: Deployment) -> Deployment:
    row.refresh_from_db(fields=["status", "status_reason", "status_message", "finished", "started"])
    return row


def _fail_lock_holder(row: MicroServiceInstance, why: Message) -> list[Event]:
    """End the operation that holds the instance, and unlock the instance."""
    own = Operation.objects.filter(instance=row, deployment=row.lock_deployment_id, status__in=OPERATION_OPEN).first()
    changes: dict = {}
    if own is not None:
        started = own.status in _STARTED
        own.status = OperationStatus.FAILED if started else OperationStatus.NOT_STARTED
        own.owner, own.lease, own.due, own.finished = "", None, None, timezone.now()
        set_error(own, why)
        own.save(update_fields=["status", *ERROR_FIELDS, "owner", "lease", "due", "finished"])
        changes = {
            "status": STATUS_AFTER_FAILURE[Action(own.action)] if started else own.status_before,
            "last_operation": own,
        }
    held = MicroServiceInstance.objects.filter(pk=row.pk, locked=True, lock_deployment=row.lock_deployment_id)
    advance.release_locks(held, **changes)
    return [events.of_operation(own)] if own else []
