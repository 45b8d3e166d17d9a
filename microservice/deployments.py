"""The web side of a deployment: check the request, lock the instances, record the operations, wake the workers.

Every rule of a request is enforced here and nowhere else. The API and the console call these functions and nothing
deeper; each either answers with the deployment or raises a Problem, and then nothing has changed.
"""

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet, Subquery
from django.db.models.lookups import IsNull

from access.callers import SYSTEM, Caller
from access.problems import Problem, conflict, invalid

from . import catalog, wake
from .history import record
from .models import Deployment, MicroService, MicroServiceInstance, MicroServiceVersion, Operation
from .requests import enqueue
from .requests.control import break_lock, cancel, pause, resume
from .requests.destinations import BETWEEN_VERSIONS, check_bad, choices, destination
from .requests.installs import install, preview_install
from .requests.preview import LOADED, preview
from .requests.record import check_right, queue, record_request, take_or_refuse
from .requests.shown import check_plan
from .requests.targets import Wish, check_ids, parse_ids
from .rollout import OnFailure, Strategy
from .status import (
    DEPLOYMENT_ENDED,
    MAY_CHANGE_VERSION,
    MAY_DELETE,
    MAY_RETRY,
    RETRYABLE,
    WHILE,
    Action,
    OperationStatus,
)

__all__ = [
    "break_lock",
    "cancel",
    "choices",
    "delete",
    "fleet_revert",
    "install",
    "parse_ids",
    "pause",
    "preview",
    "preview_install",
    "request",
    "resume",
    "retry",
    "retry_instances",
    "revert",
    "wish_of",
]  # fmt: skip


def request(
    caller: Caller,
    service: MicroService,
    version: MicroServiceVersion,
    action: str,
    host: str | list[int],
    dest_version: int | None = None,
    *,
    on_locked: str | None = None,
    strategy: object = None,
    force: bool = False,
    plan: str | None = None,
    even_bad: bool = False,
    mark_bad: bool = False,
    reason: str = "",
) -> Deployment:
    """Upgrades or reverts instances that run `version` to `dest_version` (an id). `host`: "all", or instance ids.

    `mark_bad`: a revert says at the same time that `version` is bad, and why.
    """
    check_right(caller, service)
    if mark_bad and action != Action.REVERT:
        raise invalid("/mark_bad", "goes with a revert only")
    wish, dest, course = wish_of(
        caller, service, version, action, host, dest_version, on_locked, strategy, force, even_bad
    )
    with transaction.atomic():
        deployment = record_request(caller, service, Action(action), version, dest, course)
        targets = take_or_refuse(wish, deployment)
        if plan is not None:
            taken = MicroServiceInstance.objects.filter(lock_deployment=deployment, locked=True)
            check_plan(plan, deployment, taken.select_related(*LOADED))
        if mark_bad:
            catalog.mark_bad(caller, version, reason)
        return queue(caller, deployment, targets, enqueue.asked(Action(action), dest))


def wish_of(
    caller: Caller,
    service: MicroService,
    version: MicroServiceVersion,
    action: str,
    host: str | list[int],
    dest_version: int | None,
    on_locked: str | None = None,
    strategy: object = None,
    force: bool = False,
    even_bad: bool = False,
) -> tuple[Wish, MicroServiceVersion, Strategy]:
    """Everything about a request that can be checked before anything is locked. Also what a preview starts from."""
    if action not in BETWEEN_VERSIONS:
        raise invalid("/action", "must be upgrade or revert", code="unknown_action")
    if on_locked not in (None, "refuse", "skip"):
        raise invalid("/on_locked", "must be refuse or skip")
    course = Strategy.parse(strategy)
    dest = destination(caller, service, version, Action(action), dest_version, even_bad)
    host = parse_ids(host, "/host")
    ids = None if isinstance(host, str) else tuple(host)
    skip = on_locked == "skip" or (on_locked is None and ids is None)
    wish = Wish(service, MAY_CHANGE_VERSION, version, ids, force, skip, becomes=WHILE[Action(action)])
    check_ids(wish)
    return wish, dest, course


def delete(caller: Caller, service: MicroService, instances: object) -> Deployment:
    """Stops instances on their hosts, removes them there, and then here."""
    check_right(caller, service)
    wish = Wish(service, MAY_DELETE, None, _ids(instances, "/instances"), force=True, becomes=WHILE[Action.DELETE])
    check_ids(wish)
    with transaction.atomic():
        deployment = record_request(
            caller, service, Action.DELETE, None, None, Strategy(max_failures=len(wish.ids or ()))
        )
        return queue(caller, deployment, take_or_refuse(wish, deployment), enqueue.asked(Action.DELETE, None))


def retry_instances(
    caller: Caller, service: MicroService, instances: object, *, even_bad: bool = False
) -> Deployment:
    """Repeats for each instance what failed on it, toward the same version."""
    check_right(caller, service)
    wish = Wish(
        service, MAY_RETRY, None, _ids(instances, "/instances"), force=True, still=Q(last_operation__isnull=False)
    )
    check_ids(wish)
    last = Operation.objects.filter(pk__in=wish.asked().values("last_operation"))
    check_bad(caller, _bad(last.values("dest_version")), even_bad, "/instances")
    with transaction.atomic():
        deployment = record_request(
            caller, service, Action.RETRY, None, None, Strategy(max_failures=len(wish.ids or ()))
        )
        return queue(caller, deployment, take_or_refuse(wish, deployment), enqueue.again(None))


def retry(caller: Caller, origin: Deployment, *, even_bad: bool = False) -> Deployment:
    """Repeats exactly what is undone, failed, not_started or unknown in a deployment; never more."""
    check_right(caller, origin.microservice)
    asking = Operation.objects.filter(deployment=origin, status=OperationStatus.UNKNOWN)
    if asking.exists():  # they still hold their instances: to repeat them is to ask their hosts now
        return _ask_now(caller, origin, asking)
    _must_have_ended(origin)
    failed = Operation.objects.filter(deployment=origin, status__in=RETRYABLE)
    check_bad(caller, _bad(failed.values("dest_version")), even_bad, "/path/id")
    own = Operation.objects.filter(deployment=origin, instance_id=OuterRef("pk"), status__in=RETRYABLE)
    same = Q(from_version=OuterRef("version")) | Q(from_version__isnull=True) & Exists(
        MicroServiceInstance.objects.filter(pk=OuterRef("instance_id"), version__isnull=True)
    )
    wish = Wish(
        origin.microservice,
        MAY_DELETE,
        force=True,
        skip_locked=True,
        among=_there_is(own),
        still=_there_is(own.filter(same)),
    )
    with transaction.atomic():
        strategy = Strategy.parse(origin.strategy or None)
        deployment = record_request(
            caller, origin.microservice, Action.RETRY, origin.from_version, origin.dest_version, strategy, origin
        )
        targets = take_or_refuse(wish, deployment)
        return queue(caller, deployment, targets, enqueue.again(origin))


def _ask_now(caller: Caller, origin: Deployment, asking) -> Deployment:
    from django.db.models.functions import Now

    with transaction.atomic():
        due = asking.update(due=Now())
        record(caller, "retry", "deployment", origin, service=origin.microservice, reason="ask silent hosts again now")
        wake.workers(due)
    return origin


def revert(
    caller: Caller, origin: Deployment, *, even_bad: bool = False, mark_bad: bool = False, reason: str = ""
) -> Deployment:
    """Sends each instance that a deployment changed back to where it came from; `mark_bad`: what they leave is bad."""
    check_right(caller, origin.microservice)
    if origin.action in (Action.INSTALL, Action.DELETE):
        raise invalid(
            "/path/id", f"deployment {origin.pk} is {origin.get_action_display()}: there is nothing to go back to"
        )
    _must_have_ended(origin)
    done = Operation.objects.filter(deployment=origin, status=OperationStatus.SUCCEEDED)
    check_bad(caller, _bad(done.values("from_version")), even_bad, "/path/id")
    with transaction.atomic():
        if mark_bad and origin.dest_version:
            catalog.mark_bad(caller, origin.dest_version, reason)
        return _send_back(caller, origin, Q())


def fleet_revert(origin: Deployment, how: OnFailure) -> Deployment | None:
    """What a strategy does past its budget: what succeeded (in the last batch, or everywhere) goes back, last first."""
    within = Q()
    if how is OnFailure.REVERT_BATCH:
        done = Operation.objects.filter(deployment=origin).exclude(status=OperationStatus.NOT_STARTED)
        within = Q(batch=done.order_by("-batch").values_list("batch", flat=True).first())
    try:
        return _send_back(SYSTEM, origin, within, requested_by=f"deployment {origin.pk}")
    except Problem as problem:
        if problem.code != "nothing_to_do":
            raise
        return None


def _send_back(caller: Caller, origin: Deployment, within: Q, requested_by: str = "") -> Deployment:
    own = Operation.objects.filter(
        within, deployment=origin, instance_id=OuterRef("pk"), status=OperationStatus.SUCCEEDED,
        action__in=list(BETWEEN_VERSIONS),
    )  # fmt: skip
    wish = Wish(
        origin.microservice, MAY_CHANGE_VERSION, force=True, skip_locked=True, among=_there_is(own),
        still=_there_is(own.filter(dest_version=OuterRef("version"))),
    )  # fmt: skip
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


def _bad(numbers: QuerySet) -> QuerySet[MicroServiceVersion]:
    """Those of these versions that were marked bad."""
    return MicroServiceVersion.objects.filter(pk__in=numbers, bad=True).order_by("pk")


def _there_is(own: QuerySet[Operation]) -> Q:
    """Whether an instance has such an operation: asked for as a value, for the reason that advance.drop gives."""
    return Q(IsNull(Subquery(own.order_by().values("pk")[:1]), False))


def _must_have_ended(origin: Deployment) -> None:
    if origin.status not in DEPLOYMENT_ENDED:
        raise conflict(
            "deployment_open",
            f"Deployment {origin.pk} is {origin.get_status_display()}.",
            "Wait for its end, or cancel it.",
        )


def _ids(value: object, pointer: str) -> tuple[int, ...]:
    ids = parse_ids(value, pointer)
    if isinstance(ids, str):
        raise invalid(pointer, "must be ids")
    return tuple(ids)
