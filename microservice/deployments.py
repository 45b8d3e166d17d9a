"""The web side of a deployment: check the request, lock the instances, record the operations, wake the workers.

Every rule of a request is enforced here and nowhere else. The API and the console call these functions and nothing
deeper; each either answers with the deployment or raises a Problem, and then nothing has changed.
"""

from django.db import IntegrityError, transaction
from django.db.models import Exists, OuterRef, Q

from access.callers import SYSTEM, Caller
from access.problems import Problem, conflict, forbidden, invalid
from asset.models import Asset

from . import atoms, enqueue, events, wake
from .control import break_lock, cancel, pause, resume
from .destinations import BETWEEN_VERSIONS, choices, destination, with_package
from .history import record
from .models import Deployment, MicroService, MicroServiceInstance, MicroServiceVersion, Operation
from .preview import check_plan, preview
from .rollout import OnFailure, Strategy
from .status import (
    DEPLOYMENT_ENDED,
    MAY_CHANGE_VERSION,
    MAY_DELETE,
    MAY_RETRY,
    RETRYABLE,
    Action,
    BuildStatus,
    InstanceStatus,
    OperationStatus,
)
from .targets import ALL, Wish, check_ids, parse_ids, take

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
) -> Deployment:
    """Upgrades or reverts instances that run `version` to `dest_version` (an id). `host`: "all", or instance ids."""
    _check_right(caller, service)
    wish, dest, course = wish_of(service, version, action, host, dest_version, on_locked, strategy, force)
    with transaction.atomic():
        deployment = _record(caller, service, Action(action), version, dest, course)
        targets = _take(wish, deployment)
        if plan is not None:
            check_plan(plan, deployment)
        return _queue(caller, deployment, targets, enqueue.asked(Action(action), dest))


def wish_of(
    service: MicroService,
    version: MicroServiceVersion,
    action: str,
    host: str | list[int],
    dest_version: int | None,
    on_locked: str | None = None,
    strategy: object = None,
    force: bool = False,
) -> tuple[Wish, MicroServiceVersion, Strategy]:
    """Everything about a request that can be checked before anything is locked. Also what a preview starts from."""
    if action not in BETWEEN_VERSIONS:
        raise invalid("/action", "must be upgrade or revert", code="unknown_action")
    if on_locked not in (None, "refuse", "skip"):
        raise invalid("/on_locked", "must be refuse or skip")
    course = Strategy.parse(strategy)
    dest = destination(service, version, Action(action), dest_version)
    host = parse_ids(host, "/host")
    ids = None if host == ALL else tuple(host)
    skip = on_locked == "skip" or (on_locked is None and ids is None)
    wish = Wish(service, MAY_CHANGE_VERSION, version, ids, force, skip)
    check_ids(wish)
    return wish, dest, course


def install(
    caller: Caller,
    service: MicroService,
    version: MicroServiceVersion,
    hosts: object,
    *,
    port: int = 0,
    tag: str = "",
    weight: int = 100,
    adopt: bool = False,
    strategy: object = None,
) -> Deployment:
    """Puts a version on hosts (ids) that do not have the service; `adopt` records what runs there and runs nothing."""
    _check_right(caller, service)
    course = Strategy.parse(strategy)
    if course.on_failure is not OnFailure.HOLD:
        raise invalid("/strategy/on_failure", "must be hold: an install has no version to go back to")
    if version.status != BuildStatus.SUCCESS:
        raise invalid(
            "/path/version", f"{version.version} cannot be installed: its build is {version.get_status_display()}"
        )
    if version.bad:
        raise invalid(
            "/path/version", f"{version.version} cannot be installed: it was marked bad ({version.bad_reason})"
        )
    if not adopt:
        with_package(version, "/path/version")
    ids = parse_ids(hosts, "/host")
    if ids == ALL:
        raise invalid("/host", "must be ids of hosts: an install never goes to “all”")
    found = list(Asset.objects.filter(pk__in=ids).order_by("pk"))
    missing = sorted(set(ids) - {host.pk for host in found})
    if missing:
        errors = [{"pointer": "/host", "reason": f"there is no host {number}"} for number in missing]
        raise Problem(422, "wrong_target", errors[0]["reason"].capitalize() + ".", "", errors)
    with transaction.atomic():
        deployment = _record(caller, service, Action.INSTALL, None, version, course)
        rows = [
            MicroServiceInstance(
                microservice=service, host=host, port=port, tag=tag, weight=weight, locked=True,
                lock_deployment=deployment, locked_since=deployment.created, status=InstanceStatus.INSTALL_FAILED,
                created_by=caller.name, updated_by=caller.name,
            )
            for host in found
        ]  # fmt: skip
        _create_instances(service, rows)
        return _queue(caller, deployment, len(rows), enqueue.asked(Action.INSTALL, version, adopt))


def _create_instances(service: MicroService, rows: list[MicroServiceInstance]) -> None:
    """A host has a service once: the database's own constraint decides, with no gap between looking and taking."""
    for row in rows:
        row.full_clean(
            exclude=["microservice", "host", "lock_deployment", "version"],
            validate_unique=False,
            validate_constraints=False,
        )
    try:
        with transaction.atomic():
            MicroServiceInstance.objects.bulk_create(rows)
    except IntegrityError:
        there = MicroServiceInstance.objects.filter(microservice=service, host__in=[row.host for row in rows])
        errors = [
            {"pointer": "/host", "host_id": one.host_id, "instance_id": one.pk,
             "reason": f"{one.host} has {service.name} already ({InstanceStatus(one.status).label})"}
            for one in there.select_related("host")
        ] or [{"pointer": "/host", "reason": f"a host got {service.name} in this very moment"}]  # fmt: skip
        more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
        hint = "Upgrade or revert it instead; one whose install failed can be retried or deleted."
        raise conflict("already_installed", errors[0]["reason"] + more + ".", hint, errors) from None


def delete(caller: Caller, service: MicroService, instances: object) -> Deployment:
    """Stops instances on their hosts, removes them there, and then here."""
    _check_right(caller, service)
    wish = Wish(service, MAY_DELETE, None, _ids(instances, "/instances"), force=True)
    check_ids(wish)
    with transaction.atomic():
        deployment = _record(caller, service, Action.DELETE, None, None, Strategy(max_failures=len(wish.ids or ())))
        return _queue(caller, deployment, _take(wish, deployment), enqueue.asked(Action.DELETE, None))


def retry_instances(caller: Caller, service: MicroService, instances: object) -> Deployment:
    """Repeats for each instance what failed on it, toward the same version."""
    _check_right(caller, service)
    wish = Wish(
        service, MAY_RETRY, None, _ids(instances, "/instances"), force=True, still=Q(last_operation__isnull=False)
    )
    check_ids(wish)
    with transaction.atomic():
        deployment = _record(caller, service, Action.RETRY, None, None, Strategy(max_failures=len(wish.ids or ())))
        return _queue(caller, deployment, _take(wish, deployment), enqueue.again(None))


def retry(caller: Caller, origin: Deployment) -> Deployment:
    """Repeats exactly what is undone, failed, not_started or unknown in a deployment; never more."""
    _check_right(caller, origin.microservice)
    asking = Operation.objects.filter(deployment=origin, status=OperationStatus.UNKNOWN)
    if asking.exists():  # they still hold their instances: to repeat them is to ask their hosts now
        return _ask_now(caller, origin, asking)
    _must_have_ended(origin)
    own = Operation.objects.filter(deployment=origin, instance_id=OuterRef("pk"), status__in=RETRYABLE)
    same = Q(from_version=OuterRef("version")) | Q(from_version__isnull=True) & Exists(
        MicroServiceInstance.objects.filter(pk=OuterRef("instance_id"), version__isnull=True)
    )
    wish = Wish(
        origin.microservice,
        MAY_DELETE,
        force=True,
        skip_locked=True,
        among=Q(Exists(own)),
        still=Q(Exists(own.filter(same))),
    )
    with transaction.atomic():
        strategy = Strategy.parse(origin.strategy or None)
        deployment = _record(
            caller, origin.microservice, Action.RETRY, origin.from_version, origin.dest_version, strategy, origin
        )
        targets = _take(wish, deployment)
        return _queue(caller, deployment, targets, enqueue.again(origin))


def _ask_now(caller: Caller, origin: Deployment, asking) -> Deployment:
    from django.db.models.functions import Now

    with transaction.atomic():
        due = asking.update(due=Now())
        record(caller, "retry", "deployment", origin, service=origin.microservice, reason="ask silent hosts again now")
        wake.workers(due)
    return origin


def revert(caller: Caller, origin: Deployment) -> Deployment:
    """Sends each instance that a deployment changed back to the version it came from."""
    _check_right(caller, origin.microservice)
    if origin.action in (Action.INSTALL, Action.DELETE):
        raise invalid(
            "/path/id", f"deployment {origin.pk} is {origin.get_action_display()}: there is nothing to go back to"
        )
    _must_have_ended(origin)
    with transaction.atomic():
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
        origin.microservice, MAY_CHANGE_VERSION, force=True, skip_locked=True, among=Q(Exists(own)),
        still=Q(Exists(own.filter(dest_version=OuterRef("version")))),
    )  # fmt: skip
    action = Action.UPGRADE if origin.action == Action.REVERT else Action.REVERT
    strategy = Strategy(max_failures=origin.operations.count())
    with transaction.atomic():
        deployment = _record(
            caller,
            origin.microservice,
            action,
            origin.dest_version,
            origin.from_version,
            strategy,
            origin,
            requested_by,
        )
        targets = _take(wish, deployment)
        return _queue(caller, deployment, targets, enqueue.back(origin), last_first=True)


def _must_have_ended(origin: Deployment) -> None:
    if origin.status not in DEPLOYMENT_ENDED:
        raise conflict(
            "deployment_open",
            f"Deployment {origin.pk} is {origin.get_status_display()}.",
            "Wait for its end, or cancel it.",
        )


def _check_right(caller: Caller, service: MicroService) -> None:
    if not caller.may("deploy", service.pk):
        raise forbidden(f"{caller.name} may not deploy {service.name}.", "Ask for the scope “deploy”.")


def _ids(value: object, pointer: str) -> tuple[int, ...]:
    ids = parse_ids(value, pointer)
    if ids == ALL:
        raise invalid(pointer, "must be ids")
    return tuple(ids)


def _record(
    caller: Caller,
    service: MicroService,
    action: Action,
    from_version: MicroServiceVersion | None,
    dest: MicroServiceVersion | None,
    strategy: Strategy,
    origin: Deployment | None = None,
    requested_by: str = "",
) -> Deployment:
    return Deployment.objects.create(
        microservice=service, action=action, from_version=from_version, dest_version=dest, strategy=strategy.to_json(),
        spec=atoms.spec_of(service), origin=origin, requested_by=requested_by or caller.name,
        request_id=caller.request_id,
    )  # fmt: skip


def _take(wish: Wish, deployment: Deployment) -> int:
    """Locks, and keeps on the deployment what was left out and why. Raises Problem 409 where nothing is left to do."""
    targets, deployment.skipped = take(wish, deployment)
    if not targets:
        left = deployment.skipped
        detail = f"There is nothing to do: {left[0]['host']} {left[0]['reason']}" if left else "There is nothing to do"
        more = f" (and {len(left) - 1} more)" if len(left) > 1 else ""
        raise conflict("nothing_to_do", f"{detail}{more}.", errors=[{"pointer": "/host", **one} for one in left])
    return targets


def _queue(
    caller: Caller, deployment: Deployment, targets: int, source: enqueue.Source, last_first: bool = False
) -> Deployment:
    due = enqueue.enqueue(deployment, targets, source, last_first)
    deployment.save(update_fields=["skipped"])
    record(
        caller, str(deployment.action), "deployment", deployment, service=deployment.microservice,
        before={"version": deployment.from_version.version if deployment.from_version else None},
        after={"version": deployment.dest_version.version if deployment.dest_version else None, "instances": targets},
    )  # fmt: skip
    events.write([events.of_deployment(deployment, targets=targets)])
    wake.workers(due)
    return deployment
