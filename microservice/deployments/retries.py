"""Retries: exactly what failed is repeated, because somebody asks, or by the sweep where it was a delete."""

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from access.callers import SYSTEM, Caller
from access.problems import Problem
from audit.history import record

from .. import wake
from ..catalog.removal import refuse_deleted
from ..models import Deployment, MicroService, MicroServiceInstance, Operation
from ..status import MAY_DELETE, MAY_RETRY, RETRYABLE, Action, InstanceStatus, OperationStatus
from . import enqueue, placement, selection
from .create import check_right, must_have_ended, queue, record_request, take_or_refuse
from .destinations import check_bad, marked_bad
from .rollout import Strategy
from .targets import Wish, there_is


def retry_instances(caller: Caller, service: MicroService, instances: object, *, allow_bad: bool = False) -> Deployment:
    """Repeats for each instance what failed on it, toward the same version."""
    check_right(caller, service)
    numbers = selection.instances_of(service, instances)
    again = Operation.objects.filter(pk=OuterRef("last_operation"), action=Action.DELETE)
    wish = Wish(
        service,
        MAY_RETRY,
        ids=numbers,
        pointer="/instances",
        force=True,
        still=Q(last_operation__isnull=False),
        kept_out=placement.kept_out(service) & ~there_is(again),
    )
    last = Operation.objects.filter(pk__in=wish.asked().values("last_operation"))
    check_bad(caller, marked_bad(last.values("dest_version")), allow_bad, "/instances")
    with transaction.atomic():
        refuse_deleted(last.values_list("dest_version", flat=True), "/instances")
        deployment = record_request(caller, service, Action.RETRY, None, None, Strategy(max_failures=len(numbers)))
        return queue(caller, deployment, take_or_refuse(wish, deployment), enqueue.again(None))


def retry(caller: Caller, origin: Deployment, *, allow_bad: bool = False) -> Deployment:
    """Repeats exactly what is undone, failed, not_started or unknown in a deployment; never more."""
    check_right(caller, origin.microservice)
    asking = Operation.objects.filter(deployment=origin, status=OperationStatus.UNKNOWN)
    if asking.exists():  # they still hold their instances: to repeat them is to ask their hosts now
        return _ask_now(caller, origin, asking)
    must_have_ended(origin)
    failed = Operation.objects.filter(deployment=origin, status__in=RETRYABLE)
    check_bad(caller, marked_bad(failed.values("dest_version")), allow_bad, "/path/id")
    own = Operation.objects.filter(deployment=origin, instance_id=OuterRef("pk"), status__in=RETRYABLE)
    same = Q(from_version=OuterRef("version")) | Q(from_version__isnull=True) & Exists(
        MicroServiceInstance.objects.filter(pk=OuterRef("instance_id"), version__isnull=True)
    )
    wish = Wish(
        origin.microservice,
        MAY_DELETE,
        pointer="/path/id",
        force=True,
        skip_locked=True,
        among=there_is(own),
        still=there_is(own.filter(same)),
        kept_out=placement.kept_out(origin.microservice) & ~there_is(own.filter(action=Action.DELETE)),
    )
    with transaction.atomic():
        refuse_deleted(failed.values_list("dest_version", flat=True), "/path/id")
        strategy = Strategy.parse(origin.strategy or None)
        deployment = record_request(
            caller, origin.microservice, Action.RETRY, origin.from_version, origin.dest_version, strategy, origin
        )
        targets = take_or_refuse(wish, deployment)
        return queue(caller, deployment, targets, enqueue.again(origin))


def _ask_now(caller: Caller, origin: Deployment, asking: QuerySet[Operation]) -> Deployment:
    with transaction.atomic():
        due = asking.update(due=Now())
        record(caller, "retry", "deployment", origin, service=origin.microservice, reason="ask silent hosts again now")
        wake.workers(due)
    return origin


def try_remainders() -> int:
    """Retries deletes that failed and whose pause is over. Answers how many. Two sweeps at once: one of them has it."""
    done = 0
    due = MicroServiceInstance.objects.filter(
        again_at__lte=timezone.now(), status=InstanceStatus.DELETE_FAILED, locked=False
    ).select_related("microservice")
    by_service: dict[MicroService, list[int]] = {}
    for row in due[:500]:
        by_service.setdefault(row.microservice, []).append(row.pk)
    for service, numbers in by_service.items():
        try:
            with transaction.atomic():
                retry_instances(SYSTEM, service, numbers)
            done += len(numbers)
        except Problem:  # another sweep, or somebody's click, was quicker with one of them: next time
            continue
    return done
