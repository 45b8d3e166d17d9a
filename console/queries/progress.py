"""What the deployment page adds to rows: time left, what is waited for, the picture of who waited. No rule is here."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db.models import Count, Max, Min, Q

from microservice.models import Deployment, Heartbeat, Operation
from microservice.status import (
    DEPLOYMENT_ENDED,
    DEPLOYMENT_OPEN,
    OPERATION_ENDED,
    OPERATION_WENT_WRONG,
    Action,
    DeploymentStatus,
    OperationStatus,
    StepStatus,
)

from .deployments import Row
from .estimates import Standing, time_left, waits_for
from .timeline import Course, Line, lines

LATELY = 20  # deployments that are looked back at
PAST = 200  # operations that the median is of, at most
ALIVE = timedelta(seconds=60)  # since a worker was seen
MOST_LINES = 40
_NOT_BEGUN = (OperationStatus.PENDING, OperationStatus.QUEUED)


def seconds_left(of: Deployment, counts: dict[str, int], now: datetime) -> float | None:
    """From the medians of past operations of the same service and action: two queries, whatever the fleet's size."""
    before = Deployment.objects.filter(microservice=of.microservice_id).exclude(pk=of.pk).order_by("-pk")
    if of.action != Action.RETRY:
        before = before.filter(action=of.action)
    past = Operation.objects.filter(
        deployment__in=before.values("pk")[:LATELY], status=OperationStatus.SUCCEEDED, started__isnull=False
    )
    took = [
        (finished - started).total_seconds()
        for started, finished in past.order_by("-pk").values_list("started", "finished")[:PAST]
        if started and finished
    ]
    begun = of.operations.filter(status=OperationStatus.RUNNING, started__isnull=False)
    ages = [(now - started).total_seconds() for started in begun.values_list("started", flat=True)[:PAST] if started]
    waiting = sum(counts.get(status, 0) for status in _NOT_BEGUN)
    return time_left(took, ages, waiting, counts.get(OperationStatus.RUNNING, 0))


def waiting_for(of: Deployment, counts: dict[str, int], now: datetime) -> list[str]:
    """What it waits for, in words. Two queries; none where it has ended."""
    if of.status not in DEPLOYMENT_OPEN:
        return []
    behind = of.operations.filter(instance__isnull=True, action=Action.INSTALL, status=OperationStatus.QUEUED).count()
    seen = Heartbeat.objects.filter(seen__gt=now - ALIVE).count()
    return waits_for(Standing(DeploymentStatus(of.status), counts, of.status_reason, seen, behind))


def batches(of: Deployment, now: datetime) -> list[Line]:
    """A line for each batch, where there is more than one: one query."""
    rows = (
        of.operations.values("batch")
        .annotate(
            n=Count("pk"),
            began=Min("started"),
            over=Max("finished"),
            left=Count("pk", filter=~Q(status__in=OPERATION_ENDED)),
        )
        .order_by("batch")[:MOST_LINES]
    )
    courses = [
        Course(f"{row['batch'] + 1} ({row['n']})", of.created, row["began"], None, None if row["left"] else row["over"])
        for row in rows
    ]
    return lines(courses, of.created, _end(of, now)) if len(courses) > 1 else []


def hosts_in_time(of: Deployment, rows: Sequence[Row], now: datetime) -> list[Line]:
    """A line for each of the matrix's first rows: no query."""
    courses = [
        Course(
            row.operation.host.hostname,
            of.created,
            row.operation.started,
            _undo_from(row),
            row.operation.finished,
        )
        for row in rows[:MOST_LINES]
    ]
    return lines(courses, of.created, _end(of, now))


def _undo_from(row: Row) -> datetime | None:
    """When its undo began: as its failed step ended, or when the last step began that is undone."""
    if row.operation.status not in OPERATION_WENT_WRONG and not any(
        step and step.status in (StepStatus.UNDOING, StepStatus.UNDONE) for step in row.cells
    ):
        return None
    failed = [step.finished for step in row.cells if step and step.status == StepStatus.FAILED and step.finished]
    begun = [step.started for step in row.cells if step and step.started]
    return max(failed, default=max(begun, default=None))


def _end(of: Deployment, now: datetime) -> datetime:
    return of.finished if of.status in DEPLOYMENT_ENDED and of.finished else now
