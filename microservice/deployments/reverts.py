"""Sends instances back to where a deployment brought them from: a person's revert, or a strategy past its budget."""

from django.db import transaction
from django.db.models import OuterRef, Q

from access.callers import SYSTEM, Caller
from access.problems import Problem

from ..models import Deployment, Operation
from ..status import MAY_CHANGE_VERSION, Action, OperationStatus
from . import enqueue, placement
from .create import queue, record_request, take_or_refuse
from .destinations import BETWEEN_VERSIONS
from .rollout import OnFailure, Strategy
from .targets import Wish, there_is


def fleet_revert(origin: Deployment, how: OnFailure) -> Deployment | None:
    """What a strategy does past its budget: what succeeded (in the last batch, or everywhere) goes back, last first."""
    within = Q()
    if how is OnFailure.REVERT_BATCH:
        done = Operation.objects.filter(deployment=origin).exclude(status=OperationStatus.NOT_STARTED)
        within = Q(batch=done.order_by("-batch").values_list("batch", flat=True).first())
    try:
        return send_back(SYSTEM, origin, within, requested_by=f"deployment {origin.pk}")
    except Problem as problem:
        if problem.code != "nothing_to_do":
            raise
        return None


def send_back(caller: Caller, origin: Deployment, within: Q, requested_by: str = "") -> Deployment:
    own = Operation.objects.filter(
        within,
        deployment=origin,
        instance_id=OuterRef("pk"),
        status=OperationStatus.SUCCEEDED,
        action__in=list(BETWEEN_VERSIONS),
    )
    wish = Wish(
        origin.microservice,
        MAY_CHANGE_VERSION,
        pointer="/path/id",
        force=True,
        skip_locked=True,
        among=there_is(own),
        still=there_is(own.filter(dest_version=OuterRef("version"))),
        kept_out=placement.kept_out(origin.microservice),
    )
    action = Action.UPGRADE if origin.action == Action.REVERT else Action.REVERT
    strategy = Strategy(max_failures=origin.operations.count())
    with transaction.atomic():
        deployment = record_request(
            caller,
            origin.microservice,
            action,
            origin.dest_version,
            origin.from_version,
            strategy,
            origin,
            requested_by,
        )
        targets = take_or_refuse(wish, deployment)
        return queue(caller, deployment, targets, enqueue.back(origin), last_first=True)
