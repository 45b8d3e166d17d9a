"""What a person does to a train: resume it, cancel it, or send back what it did."""

from typing import NoReturn

from django.db import transaction
from django.db.models import F

from access.callers import Caller
from access.problems import refused
from audit.history import record_rows, row_of
from messages import Message

from .. import notify
from ..deployments import control
from ..deployments.advance import lock as lock_deployments
from ..deployments.create import check_right
from ..models import Deployment, Train, TrainPart
from ..status import TRAIN_MOVING, TRAIN_REVERTIBLE, DeploymentStatus, TrainStatus
from . import advance
from .rows import Rows, load, services_of, snapshot


def resume(caller: Caller, train: Train) -> Train:
    """Go on where it was held: what failed of the stage begins once more, or what could not go back goes back.

    From then on it acts on behalf of the caller. Not held, and not ended: change nothing.
    """
    with transaction.atomic(), notify.together():
        row, rows = _locked(caller, train)
        if row.status in (TrainStatus.RUNNING, TrainStatus.REVERTING):
            return row
        if not may_resume(row):
            _refuse(row, "cannot_resume")
        if not row.reverts:
            stages = zip(rows.stages, snapshot(rows).stages, strict=True)
            failed = [
                part.pk for parts, states in stages for part, now in zip(parts, states, strict=True) if now.failed
            ]
            TrainPart.objects.filter(pk__in=failed).update(attempt=F("attempt") + 1)
        _act_for(row, caller)
        advance.set_status(row, TrainStatus.REVERTING if row.reverts else TrainStatus.RUNNING)
        record_each(caller, "resume", row, rows)
        advance.advance(row)
    return row


def cancel(caller: Caller, train: Train) -> Train:
    """Begin nothing more, and cancel its deployments that are under way. What succeeded stays."""
    with transaction.atomic(), notify.together():
        row, rows = _locked(caller, train)
        if row.status in (TrainStatus.CANCELLING, TrainStatus.CANCELLED):
            return row
        if not may_cancel(row):
            _refuse(row, "cannot_cancel")
        advance.set_status(row, TrainStatus.CANCELLING, Message("cancelled_by", {"who": caller.name}))
        record_each(caller, "cancel", row, rows)
        _cancel_open(caller, rows.open())
        advance.advance(row)
    return row


def revert(caller: Caller, train: Train) -> Train:
    """Send back what it did, last stage first; what is under way is cancelled before. On behalf of the caller."""
    with transaction.atomic(), notify.together():
        row, rows = _locked(caller, train)
        if row.status == TrainStatus.REVERTING:
            return row
        if not may_revert(row):
            _refuse(row, "cannot_revert")
        _act_for(row, caller)
        advance.set_status(row, TrainStatus.REVERTING, Message("train_reverted_by", {"who": caller.name}))
        record_each(caller, "revert", row, rows)
        _cancel_open(caller, rows.open())
        advance.advance(row)
    return row


def may_resume(train: Train) -> bool:
    return train.status == TrainStatus.HELD


def may_cancel(train: Train) -> bool:
    return train.status in (TRAIN_MOVING | {TrainStatus.HELD}) - {TrainStatus.CANCELLING}


def may_revert(train: Train) -> bool:
    return train.status in TRAIN_REVERTIBLE


def record_each(caller: Caller, action: str, train: Train, rows: Rows, **more: object) -> None:
    """Write the history: a row of each service, which those see who see the service."""
    parts = {part.service_id: part for part in reversed(rows.parts)}
    record_rows(
        row_of(
            caller,
            action,
            "train",
            train,
            None,
            {"stage": part.stage + 1, "version": part.version.version, **more},
            train.note,
            part.service,
        )
        for part in reversed(parts.values())
    )


def _locked(caller: Caller, train: Train) -> tuple[Train, Rows]:
    """Return the train's row, locked until the transaction ends, and its rows. 403 without the right."""
    row = advance.lock(train.pk)
    assert row is not None, "trains are not deleted"
    rows = load(row)
    for service in services_of(rows.parts):
        check_right(caller, service)
    return row, rows


def _act_for(train: Train, caller: Caller) -> None:
    train.user_id, train.token_id, train.by_token = caller.user_id, caller.token_id, caller.token_id is not None
    train.save(update_fields=["user", "token", "by_token"])


def _cancel_open(caller: Caller, deployments: list[Deployment]) -> None:
    lock_deployments([one.pk for one in deployments])
    rows = Deployment.objects.select_related("microservice").filter(pk__in=[one.pk for one in deployments])
    for row in rows.order_by("pk"):
        if row.status != DeploymentStatus.CANCELLING and row.finished is None:
            control.cancel(caller, row)


def _refuse(train: Train, code: str) -> NoReturn:
    raise refused(f"train_state.{code}", train=train.name, status=train.get_status_display())
