"""Which operation a worker takes next, and how it becomes the only one who may write for it.

Everything here runs inside the writer's transaction. A claim is a compare-and-set: the row must still be what it was
when it was looked at, and its instance's fence grows by one, so that the
previous owner is refused, here and on the host.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.db import connection
from django.db.models import BigIntegerField, Exists, F, Q, Subquery, Value
from django.db.models import OuterRef as Outer
from django.db.models.expressions import CombinedExpression
from django.db.models.functions import Greatest, Now

from access.secrets import Secret, Undecryptable
from asset import tenancy
from asset.endpoints import with_paths
from audit import events
from audit.models import Event
from deployer.engine.codes import Code, error, reason
from microservice import wake
from microservice.deployments import advance
from microservice.deployments.rollout import Due, InFlight, Limits, choose
from microservice.models import Deployment, MicroServiceInstance, MicroServiceVersion, Operation
from microservice.status import Action, DeploymentStatus, OperationStatus
from runtime.sql import fetch_all, placeholders

from . import statements
from .results import OperationResult, record_results
from .sign_ins import sign_ins_of

# A new instance of a service on a host starts above every fence that an earlier one could have reached there, because
# ids only grow: the host may remember the earlier one's.
FENCES_PER_INSTANCE = 1 << 20
_SQLITE_NOW = "STRFTIME('%%Y-%%m-%%d %%H:%%M:%%f', 'NOW')"  # as Now() of Django says it
_CLAIMABLE = (DeploymentStatus.QUEUED, DeploymentStatus.RUNNING)
_MAX_DEPLOYMENTS = 24  # open deployments that are looked at for one claim


@dataclass(frozen=True, slots=True)
class Claim:
    """An operation that is this worker's now, with everything its thread needs: it reads no database."""

    operation: Operation  # with instance, host (and its jump hosts), credential, versions, deployment, service loaded
    fresh: bool  # no worker has tried to start it on the host before
    sent_before: bool = False  # this version's package went to this host once, so its release may still be there
    sign_in: Secret | Undecryptable | None = None  # see sign_ins.py


def lease() -> CombinedExpression:
    """Return the database's clock plus `OPERATION_LEASE_SECONDS` seconds: workers' own clocks may differ."""
    return Now() + timedelta(seconds=settings.OPERATION_LEASE_SECONDS)


def limits() -> Limits:
    return Limits(
        overall=settings.MAX_IN_FLIGHT,
        service=settings.MAX_IN_FLIGHT_SERVICE,
        host=settings.MAX_IN_FLIGHT_HOST,
        jump=settings.MAX_IN_FLIGHT_JUMP,
    )


def claim(
    owner: str, mine: Counter, held: list[int], wanted: int, free: int, task_id: str, around: bool = False
) -> tuple[list[Claim], list[Event]]:
    """Take up to `wanted` operations. `mine`: how many this process has in flight, by deployment; `held`: which.
    `around`: operations with a row that another transaction holds are left for later, instead of being waited for.

    First those with an expired lease and those to be asked again: they hold locks. What is due waits for the next call,
    because those rows are locked now, and deployments must be locked before operations.
    """
    due, expired, teams = _has_work()
    expired_ids = _expired_leases(held, min(wanted, free)) if expired else []
    due_ids = _due(mine, wanted, free, around) if due and not expired_ids else []
    if around:
        expired_ids, due_ids = _unlocked(expired_ids), _unlocked(due_ids)
    new_events: list[Event] = []
    if teams and due_ids:
        due_ids, new_events = _drop_closed(due_ids)
    numbers = expired_ids + due_ids
    if not numbers:
        return [], new_events
    _mark_running(owner, expired_ids, due_ids, task_id)
    rows = _loaded(numbers, owner)
    new_events += _set_running({row.deployment_id: row.deployment for row in rows}.values())
    new_events += [events.of_operation(row) for row in rows]
    began = set(due_ids)
    sign_ins = sign_ins_of(rows)
    # _loaded annotates sent_before.
    claims = [Claim(row, row.pk in began, row.sent_before, sign_ins.get(row.pk)) for row in rows]  # type: ignore[attr-defined]
    return claims, new_events


def _has_work() -> tuple[bool, bool, bool]:
    """Return whether anything is due, whether a lease has expired, and whether any host belongs to a team. Most often
    nothing is due."""
    now = _SQLITE_NOW if connection.vendor == "sqlite" else "CURRENT_TIMESTAMP"
    statuses = OperationStatus.QUEUED, OperationStatus.RUNNING, OperationStatus.UNKNOWN
    due, expired, teams = fetch_all(statements.HAS_WORK.replace(":now", now), *_CLAIMABLE, *statuses)[0]
    return bool(due), bool(expired), bool(teams)


def _expired_leases(held: list[int], most: int) -> list[int]:
    """Find operations whose lease ran out, and unknown ones whose host is to be asked again."""
    if most <= 0:
        return []
    rows = (
        Operation.objects.filter(
            Q(status=OperationStatus.RUNNING, lease__lt=Now()) | Q(status=OperationStatus.UNKNOWN, due__lte=Now())
        )
        .exclude(pk__in=held)
        .order_by("pk")
    )
    skip = connection.features.has_select_for_update_skip_locked
    return list(
        rows.select_for_update(skip_locked=skip, no_key=skip, of=("self",) if skip else ()).values_list(
            "pk", flat=True
        )[:most]
    )


def _unlocked(numbers: list[int]) -> list[int]:
    """Return those of these operations whose rows, with instance and deployment, no other transaction holds."""
    if not numbers or not connection.features.has_select_for_update_skip_locked:
        return numbers
    rows = Operation.objects.filter(pk__in=numbers).order_by("pk").select_for_update(skip_locked=True, no_key=True)
    free = {pk: (instance, above) for pk, instance, above in rows.values_list("pk", "instance_id", "deployment_id")}
    instances = MicroServiceInstance.objects.filter(pk__in={instance for instance, _ in free.values()}).order_by("pk")
    open_ = set(instances.select_for_update(skip_locked=True, no_key=True).values_list("pk", flat=True))
    above = advance.referenceable(above for _, above in free.values())
    return [number for number in numbers if number in free and free[number][0] in open_ and free[number][1] in above]


def _due(mine: Counter, most: int, free: int, around: bool) -> list[int]:
    if most <= 0:
        return []
    running = _in_flight()
    # Those with the fewest in flight first: turns are shared fairly.
    waiting = (number for (number,) in fetch_all(statements.WAITING_DEPLOYMENTS, *_CLAIMABLE, OperationStatus.QUEUED))
    turn = sorted(waiting, key=lambda number: (running.deployment.get(number, 0), number))[:_MAX_DEPLOYMENTS]
    if not turn:
        return []
    # Deployments before operations before instances: every transaction locks in this order.
    turn = advance.lock(turn, around)
    if not turn:
        return []
    each = [value for number in turn for value in (number, OperationStatus.QUEUED, most + 8)]
    rows = fetch_all(" UNION ALL ".join([statements.NEXT_OF_DEPLOYMENT] * len(turn)), *each)
    candidates = sorted((Due(*row) for row in rows), key=lambda due: due.operation)
    reserve = max(1, settings.WORKER_CONCURRENCY // 8) if settings.WORKER_CONCURRENCY > 1 else 0
    own = InFlight(running.overall, mine, running.service, running.host, running.jump)
    return [due.operation for due in choose(candidates, own, limits(), most, free, reserve)]


def _drop_closed(numbers: list[int]) -> tuple[list[int], list[Event]]:
    """Return those of these operations that may start, and the events of those that never will, because their host or
    their service was given to another team. These end here, and free their instances; their deployments are locked
    already."""
    closed_sql = statements.CLOSED.replace(":ids", placeholders(numbers)).replace(":closed", tenancy.CLOSED)
    closed = {number for (number,) in fetch_all(closed_sql, *numbers, Action.DELETE)}
    if not closed:
        return numbers, []
    rows = Operation.objects.filter(pk__in=closed).select_related("host", "deployment").defer("deployment__spec")
    message = error(Code.DEFINITION, reason=reason("host_given_away"), state=reason("nothing_changed"))
    new_events = record_results([OperationResult(row, OperationStatus.NOT_STARTED, error=message) for row in rows])
    wake.workers(len(closed))  # their slots are free for what was not chosen
    return [number for number in numbers if number not in closed], new_events


def _in_flight() -> InFlight:
    """Count what runs now, everywhere, in one statement."""
    deployment: Counter[int] = Counter()
    service: Counter[int] = Counter()
    host: Counter[int] = Counter()
    jump: Counter[int | None] = Counter()
    for of_deployment, of_service, of_host, of_jump, n in fetch_all(statements.IN_FLIGHT, OperationStatus.RUNNING):
        deployment[of_deployment] += n
        service[of_service] += n
        host[of_host] += n
        jump[of_jump] += n
    return InFlight(sum(deployment.values()), deployment, service, host, jump)


def _mark_running(owner: str, expired_ids: list[int], due_ids: list[int], task_id: str) -> None:
    """Compare and set the operations, then raise the fence of each instance that was taken."""
    common = {"owner": owner, "lease": lease(), "status": OperationStatus.RUNNING, "celery_task_id": task_id}
    if due_ids:
        Operation.objects.filter(pk__in=due_ids, status=OperationStatus.QUEUED).update(started=Now(), **common)
    if expired_ids:
        Operation.objects.filter(pk__in=expired_ids).filter(
            Q(status=OperationStatus.RUNNING, lease__lt=Now()) | Q(status=OperationStatus.UNKNOWN, due__lte=Now())
        ).update(takeovers=F("takeovers") + 1, due=None, **common)
    taken = Operation.objects.filter(pk__in=expired_ids + due_ids, owner=owner, status=OperationStatus.RUNNING)
    MicroServiceInstance.objects.filter(pk__in=taken.values("instance_id")).update(
        fence=Greatest(F("fence"), F("pk") * Value(FENCES_PER_INSTANCE), output_field=BigIntegerField()) + 1
    )
    taken.update(fence=Subquery(MicroServiceInstance.objects.filter(pk=Outer("instance_id")).values("fence")[:1]))


def _loaded(numbers: list[int], owner: str) -> list[Operation]:
    """Load operations with all that their threads need. What many of them share is read once, and is one object."""
    mine = Operation.objects.filter(pk__in=numbers, owner=owner, status=OperationStatus.RUNNING)
    sent = Operation.objects.filter(
        instance_id_snapshot=Outer("instance_id_snapshot"),
        dest_version=Outer("dest_version"),
        pk__lt=Outer("pk"),
        bytes_sent__gt=0,
    )
    rows: list[Operation] = list(mine.select_related("instance").annotate(sent_before=Exists(sent)))
    with_encoding = Deployment.objects.annotate(encoding=F("microservice__encoding"))
    deployments = with_encoding.in_bulk({row.deployment_id for row in rows})
    versions = MicroServiceVersion.every.in_bulk(
        {number for row in rows for number in (row.from_version_id, row.dest_version_id) if number}
    )
    hosts = with_paths({row.host_id for row in rows})
    for row in rows:
        row.deployment, row.host = deployments[row.deployment_id], hosts[row.host_id]
        row.from_version = versions[row.from_version_id] if row.from_version_id else None
        row.dest_version = versions[row.dest_version_id] if row.dest_version_id else None
        if row.instance is not None:
            row.instance.host = row.host
    return rows


def _set_running(deployments: Iterable[Deployment]) -> list[Event]:
    return [
        advance.set_status(deployment, DeploymentStatus.RUNNING)
        for deployment in deployments
        if deployment.status == DeploymentStatus.QUEUED
    ]
