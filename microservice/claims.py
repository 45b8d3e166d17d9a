"""Which operation a worker takes next, and how it becomes the only one who may write for it.

Everything here runs inside the ledger's transaction. A claim is a compare-and-set: the row must still be what it was
when it was looked at, and its instance's fence grows by one, so that whoever had it before can be
told no, here and on the host.
"""

from collections import Counter
from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.db import connection
from django.db.models import BigIntegerField, Count, Exists, F, Q, Subquery, Value
from django.db.models import OuterRef as Outer
from django.db.models.functions import Greatest, Now

from asset.way import WAY

from . import advance, events
from .models import Deployment, Event, MicroServiceInstance, Operation
from .rollout import Due, InFlight, Limits, choose
from .status import DeploymentStatus, OperationStatus

# A new instance of a service on a host starts above every fence that an earlier one could have reached there, because
# ids only grow: the host may remember the earlier one's.
FENCES_AN_INSTANCE = 1 << 20
_CLAIMABLE = (DeploymentStatus.QUEUED, DeploymentStatus.RUNNING)
_LOOK_AT = 24  # open deployments that are looked at for one claim


@dataclass(frozen=True, slots=True)
class Claim:
    """An operation that is this worker's now, with everything its thread needs: it reads no database."""

    operation: Operation  # with instance, host (and its jump hosts), credential, versions, deployment, service loaded
    fresh: bool  # nobody has tried to start it on the host before


def lease():
    """The database's clock in `LEASE` seconds: workers' own clocks may differ."""
    return Now() + timedelta(seconds=settings.LEASE)


def limits() -> Limits:
    return Limits(
        overall=settings.MAX_IN_FLIGHT,
        service=settings.MAX_IN_FLIGHT_SERVICE,
        host=settings.MAX_IN_FLIGHT_HOST,
        jump=settings.MAX_IN_FLIGHT_JUMP,
    )


def claim(
    owner: str, mine: Counter, held: list[int], wanted: int, free: int, task_id: str
) -> tuple[list[Claim], list[Event]]:
    """Takes up to `wanted` operations. `mine`: how many this process has in flight, by deployment; `held`: which.

    First what nobody keeps alive and what is to be asked again: they hold locks. What is due waits for the next call,
    because those rows are locked now, and deployments must be locked before operations.
    """
    if not _any():
        return [], []
    lost = _unkept(held, min(wanted, free))
    fresh = [] if lost else _due(mine, wanted, free)
    numbers = lost + fresh
    if not numbers:
        return [], []
    _take(owner, lost, fresh, task_id)
    rows = list(_loaded().filter(pk__in=numbers, owner=owner, status=OperationStatus.RUNNING))
    told = _started({row.deployment_id: row.deployment for row in rows}.values())
    told += [events.of_operation(row) for row in rows]
    began = set(fresh)
    return [Claim(row, row.pk in began) for row in rows], told


def _words(*statuses) -> str:
    return ", ".join(f"'{status.value}'" for status in statuses)


# The words of status.py stand in it as they are, so that the indexes on some of them are found.
_ANY = (
    "SELECT EXISTS (SELECT 1 FROM deployment d WHERE EXISTS "  # noqa: S608
    f"(SELECT 1 FROM operation o WHERE o.deployment_id = d.id AND o.status = {_words(OperationStatus.QUEUED)}) "
    f"AND d.status IN ({_words(*_CLAIMABLE)})) "
    f"OR EXISTS (SELECT 1 FROM operation WHERE status = {_words(OperationStatus.RUNNING)} "
    "AND lease < CURRENT_TIMESTAMP) "
    f"OR EXISTS (SELECT 1 FROM operation WHERE status = {_words(OperationStatus.UNKNOWN)} AND due IS NOT NULL)"
)


def _any() -> bool:
    """Whether there may be something to take. Most questions come when there is nothing, so this one is cheap."""
    with connection.cursor() as cursor:
        cursor.execute(_ANY)
        return bool(cursor.fetchone()[0])


def _unkept(held: list[int], most: int) -> list[int]:
    """Operations whose lease ran out, and unknown ones whose time has come to be asked."""
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
        rows.select_for_update(skip_locked=skip, of=("self",) if skip else ()).values_list("pk", flat=True)[:most]
    )


def _due(mine: Counter, most: int, free: int) -> list[int]:
    if most <= 0:
        return []
    running = _in_flight()
    waiting = (
        Deployment.objects.filter(status__in=_CLAIMABLE)
        .filter(Exists(_claimable().filter(deployment=Outer("pk"))))
        .order_by("pk")
        .values_list("pk", flat=True)
    )
    # Those with the fewest in flight first: the fair turn is theirs.
    turn = sorted(waiting, key=lambda number: (running.deployment.get(number, 0), number))[:_LOOK_AT]
    if not turn:
        return []
    # Deployments before operations before instances: every transaction locks in this order.
    list(Deployment.objects.select_for_update().filter(pk__in=turn).order_by("pk").values_list("pk"))
    columns = ("pk", "deployment_id", "deployment__microservice_id", "host_id", "host__jump_host_id")
    queued = _claimable().order_by("pk")
    heads = [  # SQLite takes no LIMIT directly inside a UNION, so each stands in a subquery of its own
        Operation.objects.filter(pk__in=queued.filter(deployment_id=number).values("pk")[: most + 8])
        .order_by()
        .values_list(*columns)
        for number in turn
    ]
    first, *others = heads
    rows = first.union(*others, all=True) if others else first
    candidates = sorted((Due(*row) for row in rows), key=lambda due: due.operation)
    reserve = max(1, settings.WORKER_SLOTS // 8) if settings.WORKER_SLOTS > 1 else 0
    own = InFlight(running.overall, mine, running.service, running.host, running.jump)
    return [due.operation for due in choose(candidates, own, limits(), most, free, reserve)]


def _claimable():
    """What is due. An install that waits behind a delete has no instance yet, and is not."""
    return Operation.objects.filter(status=OperationStatus.QUEUED, instance__isnull=False)


def _in_flight() -> InFlight:
    """What runs now, everywhere, counted in one statement."""
    deployment: Counter[int] = Counter()
    service: Counter[int] = Counter()
    host: Counter[int] = Counter()
    jump: Counter[int | None] = Counter()
    rows = (
        Operation.objects.filter(status=OperationStatus.RUNNING)
        .order_by()
        .values_list("deployment_id", "deployment__microservice_id", "host_id", "host__jump_host_id")
        .annotate(n=Count("pk"))
    )
    for of_deployment, of_service, of_host, of_jump, n in rows:
        deployment[of_deployment] += n
        service[of_service] += n
        host[of_host] += n
        jump[of_jump] += n
    return InFlight(sum(deployment.values()), deployment, service, host, jump)


def _take(owner: str, lost: list[int], fresh: list[int], task_id: str) -> None:
    """The compare-and-set, then a higher fence for each instance that was taken."""
    common = {"owner": owner, "lease": lease(), "status": OperationStatus.RUNNING, "celery_task_id": task_id}
    if fresh:
        Operation.objects.filter(pk__in=fresh, status=OperationStatus.QUEUED).update(started=Now(), **common)
    if lost:
        Operation.objects.filter(pk__in=lost).filter(
            Q(status=OperationStatus.RUNNING, lease__lt=Now()) | Q(status=OperationStatus.UNKNOWN, due__lte=Now())
        ).update(takeovers=F("takeovers") + 1, due=None, **common)
    taken = Operation.objects.filter(pk__in=lost + fresh, owner=owner, status=OperationStatus.RUNNING)
    MicroServiceInstance.objects.filter(pk__in=taken.values("instance_id")).update(
        fence=Greatest(F("fence"), F("pk") * Value(FENCES_AN_INSTANCE), output_field=BigIntegerField()) + 1
    )
    taken.update(fence=Subquery(MicroServiceInstance.objects.filter(pk=Outer("instance_id")).values("fence")[:1]))


def _loaded():
    return Operation.objects.select_related(
        "deployment__microservice",
        "instance__microservice",
        *(f"instance__host__{name}" for name in WAY),
        "host",
        "from_version",
        "dest_version",
    )


def _started(deployments) -> list[Event]:
    return [
        advance.become(deployment, DeploymentStatus.RUNNING)
        for deployment in deployments
        if deployment.status == DeploymentStatus.QUEUED
    ]
