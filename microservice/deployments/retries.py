"""Retries: repeat exactly what failed, on request. Deletes are retried by the sweep: delete_retries.py."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar, TypedDict, Unpack

from django.db import transaction
from django.db.models import Count, Exists, OuterRef, Q, QuerySet
from django.db.models.functions import Now

from access.callers import Caller
from access.problems import invalid
from asset.strategy import Strategy
from audit.history import record

from .. import wake
from ..catalog.removal import refuse_deleted
from ..models import Deployment, MicroService, MicroServiceInstance, Operation
from ..status import MAY_DELETE, MAY_RETRY, RETRYABLE, Action, OperationStatus
from . import enqueue, environments, notes, placement, promotion
from .create import check_right, require_finished
from .destinations import check_bad, marked_bad
from .prepared import OnInstances
from .selection import find_instances
from .start import start
from .target_rows import Move, TargetRow
from .targets import TargetSelection, has_operation
from .timing import NOW, Timing


class Options(TypedDict, total=False):
    """What every retry may say."""

    allow_bad: bool
    force: bool
    note: str
    when: Timing


@dataclass(frozen=True, slots=True)
class Left:
    """How many operations a retry would repeat, by their cause; and how many more with those in maintenance."""

    by_cause: Counter[str] = field(default_factory=Counter)
    in_maintenance: int = 0

    @property
    def total(self) -> int:
        return self.by_cause.total()


@dataclass(frozen=True, slots=True, kw_only=True)
class InstancesRetry:
    """A request to repeat for each instance (ids) what failed on it last."""

    kind: ClassVar[str] = "retry_instances"
    service: MicroService
    instances: tuple[int, ...]
    allow_bad: bool = False
    force: bool = False  # also in maintenance
    note: str = ""
    when: Timing = NOW
    plan_token: None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentRetry:
    """A request to repeat what failed in a deployment; `cause`: only what failed for this cause (causes.py)."""

    kind: ClassVar[str] = "retry"
    origin: Deployment
    cause: str = ""
    allow_bad: bool = False
    force: bool = False  # also on instances that are in maintenance by now
    note: str = ""
    when: Timing = NOW
    plan_token: None = None


def retry_instances(
    caller: Caller, service: MicroService, instances: tuple[int, ...], **options: Unpack[Options]
) -> Deployment:
    """Repeat for each instance (ids) what failed on it, toward the same version."""
    request = InstancesRetry(service=service, instances=instances, **options)
    return _started(caller, request, prepare_instances(caller, request))


def prepare_instances(caller: Caller, request: InstancesRetry) -> OnInstances:
    """Look up a retry of instances. Raise the Problems known before any lock."""
    service = request.service
    check_right(caller, service)
    ids = find_instances(service, request.instances)
    delete = Operation.objects.filter(pk=OuterRef("last_operation"), action=Action.DELETE)
    selection = TargetSelection(
        service,
        MAY_RETRY,
        ids=ids,
        pointer="/instances",
        force=request.force,
        condition=Q(last_operation__isnull=False),
        closed=placement.on_closed_host(service) & ~has_operation(delete),
    )
    selection, environment = environments.stay_within(selection, None)
    last = Operation.objects.filter(pk__in=selection.selected().values("last_operation"))
    check_bad(caller, marked_bad(last.values("dest_version")), request.allow_bad, "/instances")
    promotion.refuse_operations(environment, last, "/instances")
    deployment = Deployment(
        microservice=service,
        action=Action.RETRY,
        environment=environment,
        strategy=Strategy(max_failures=len(ids)).to_json(),
        note=notes.clean(request.note),
    )
    versions = last.values_list("dest_version", flat=True)
    return OnInstances(
        deployment=deployment,
        selection=selection,
        source=lambda: enqueue.from_previous(None),
        own_moves=lambda: _moves_again(last),
        refuse=lambda: refuse_deleted(versions, "/instances"),
    )


def retry(caller: Caller, origin: Deployment, *, cause: str = "", **options: Unpack[Options]) -> Deployment:
    """Repeat exactly what is undone, failed, not_started or unknown in a deployment; never more.

    `cause`: only of that what failed for this cause. Raise Problem 422 where nothing did.
    """
    request = DeploymentRetry(origin=origin, cause=cause, **options)
    check_right(caller, origin.microservice)
    unknown = _failed(request).filter(status=OperationStatus.UNKNOWN)
    if unknown.exists():  # they still hold their instances: a retry contacts their hosts now
        return _contact_now(caller, origin, unknown)
    return _started(caller, request, prepare(caller, request))


def prepare(caller: Caller, request: DeploymentRetry) -> OnInstances:
    """Look up a retry. Raise the Problems known before any lock."""
    origin = request.origin
    check_right(caller, origin.microservice)
    failed = _failed(request)
    require_finished(origin)
    check_bad(caller, marked_bad(failed.values("dest_version")), request.allow_bad, "/path/id")
    selection, environment = environments.stay_within(failed_targets(origin, request.cause, request.force), None)
    promotion.refuse_operations(environment, failed, "/path/id")
    deployment = Deployment(
        microservice=origin.microservice,
        action=Action.RETRY,
        from_version=origin.from_version,
        dest_version=origin.dest_version,
        environment=environment,
        strategy=Strategy.from_row(origin.strategy).to_json(),  # with every key, also of an older row
        origin=origin,
        note=notes.clean(request.note),
    )
    versions = failed.values_list("dest_version", flat=True)
    return OnInstances(
        deployment=deployment,
        selection=selection,
        source=lambda: enqueue.from_previous(origin),
        own_moves=lambda: _moves_again(Operation.objects.filter(deployment=origin)),
        refuse=lambda: refuse_deleted(versions, "/path/id"),
    )


def _failed(request: DeploymentRetry) -> QuerySet[Operation]:
    rows = Operation.objects.filter(deployment=request.origin, status__in=RETRYABLE)
    if not request.cause:
        return rows
    rows = rows.filter(cause=request.cause)
    if not rows.exists():
        raise invalid("/cause", "unknown_cause", deployment=request.origin.pk)
    return rows


def _moves_again(operations: QuerySet[Operation]) -> Callable[[TargetRow], Move]:
    """Return each target's move: the last of its operations among these, as enqueue.from_previous. One query."""
    fields = ("instance_id", "action", "from_version_id", "dest_version_id")
    again: dict[int | None, Move] = {
        instance: (Action(action), leaves, goes_to)
        for instance, action, leaves, goes_to in operations.order_by("pk").values_list(*fields)
    }
    return lambda row: again[row.instance_id]


def _started(caller: Caller, request: InstancesRetry | DeploymentRetry, prepared: OnInstances) -> Deployment:
    deployment = start(caller, request, prepared)
    assert deployment is not None
    return deployment


def left(origin: Deployment) -> Left:
    """Return what a retry would repeat now: not what was repeated or changed since. One query."""
    unknown = Q(status=OperationStatus.UNKNOWN)  # whose hosts a retry contacts, whatever they are in
    targets = failed_targets(origin, force=True).lockable()
    own = Operation.objects.filter(unknown | Q(instance__in=targets.values("pk")), deployment=origin)
    rows = list(
        own.filter(status__in=RETRYABLE)
        .order_by()
        .values("cause")
        .annotate(n=Count("pk", filter=unknown | Q(instance__is_maintain=False)))
        .annotate(held=Count("pk", filter=Q(instance__is_maintain=True) & ~unknown))
        .values_list("cause", "n", "held")
    )
    return Left(Counter({cause: n for cause, n, _held in rows if n}), sum(held for _cause, _n, held in rows))


def failed_targets(origin: Deployment, cause: str = "", force: bool = False) -> TargetSelection:
    """Select the instances whose operation in `origin` failed, if they still run what they ran then.

    `force`: also those in maintenance.
    """
    own = Operation.objects.filter(deployment=origin, instance_id=OuterRef("pk"), status__in=RETRYABLE)
    if cause:
        own = own.filter(cause=cause)
    same_version = Q(from_version=OuterRef("version")) | Q(from_version__isnull=True) & Exists(
        MicroServiceInstance.objects.filter(pk=OuterRef("instance_id"), version__isnull=True)
    )
    return TargetSelection(
        origin.microservice,
        MAY_DELETE,
        pointer="/path/id",
        force=force,
        skip_locked=True,
        scope=has_operation(own),
        condition=has_operation(own.filter(same_version)),
        closed=placement.on_closed_host(origin.microservice) & ~has_operation(own.filter(action=Action.DELETE)),
    )


def _contact_now(caller: Caller, origin: Deployment, unknown: QuerySet[Operation]) -> Deployment:
    with transaction.atomic():
        due = unknown.update(due=Now())
        record(caller, "retry", "deployment", origin, service=origin.microservice, after={"unreachable_hosts": due})
        wake.workers(due)
    return origin
