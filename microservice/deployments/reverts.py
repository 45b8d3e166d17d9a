"""Send instances back to the version a deployment brought them from: a person's revert, or a strategy's own."""

from django.db import transaction
from django.db.models import OuterRef, Q

from access.callers import SYSTEM, Caller
from access.problems import Problem

from ..models import Deployment, Operation
from ..status import MAY_CHANGE_VERSION, Action, OperationStatus
from ..strategy import OnFailure, Strategy
from . import enqueue, placement
from .create import lock_or_refuse, queue, save_request
from .targets import TargetSelection, has_operation
from .version_change import VERSION_ACTIONS


def auto_revert(origin: Deployment, on_failure: OnFailure) -> Deployment | None:
    """Revert the successes of a deployment that had too many failures: of its last batch, or all; the last one first.

    Return None where nothing is left to revert.
    """
    within = Q()
    if on_failure is OnFailure.REVERT_BATCH:
        started = Operation.objects.filter(deployment=origin).exclude(status=OperationStatus.NOT_STARTED)
        within = Q(batch=started.order_by("-batch").values_list("batch", flat=True).first())
    try:
        return revert_deployment(SYSTEM, origin, within, requested_by=f"deployment {origin.pk}")
    except Problem as problem:
        if problem.code != "nothing_to_do":
            raise
        return None


def revert_deployment(caller: Caller, origin: Deployment, within: Q, requested_by: str = "") -> Deployment:
    """Revert the instances that a deployment changed, limited to the operations that match `within`."""
    own = Operation.objects.filter(
        within,
        deployment=origin,
        instance_id=OuterRef("pk"),
        status=OperationStatus.SUCCEEDED,
        action__in=list(VERSION_ACTIONS),
    )
    selection = TargetSelection(
        origin.microservice,
        MAY_CHANGE_VERSION,
        pointer="/path/id",
        force=True,
        skip_locked=True,
        scope=has_operation(own),
        condition=has_operation(own.filter(dest_version=OuterRef("version"))),
        closed=placement.on_closed_host(origin.microservice),
    )
    action = Action.UPGRADE if origin.action == Action.REVERT else Action.REVERT
    strategy = Strategy(max_failures=origin.operations.count())
    deployment = Deployment(
        microservice=origin.microservice,
        action=action,
        from_version=origin.dest_version,
        dest_version=origin.from_version,
        strategy=strategy.to_json(),
        origin=origin,
        requested_by=requested_by,
    )
    with transaction.atomic():
        save_request(caller, deployment)
        targets = lock_or_refuse(selection, deployment)
        return queue(caller, deployment, targets, enqueue.reversed_from(origin), last_first=True)
