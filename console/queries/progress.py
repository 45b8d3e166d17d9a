"""A deployment's time left, what it waits for, and its timeline."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db.models import Count, Max, Min, Q

from microservice.models import Deployment, Heartbeat, Operation
from microservice.status import (
    DEPLOYMENT_ENDED,
    DEPLOYMENT_OPEN,
    OPERATION_ENDED,
    OPERATION_FAILED_STATUSES,
    Action,
    DeploymentStatus,
    OperationStatus,
    StepStatus,
    UndoStatus,
)

from .deployments import Row
from .estimates import DeploymentState, time_left, waits_for
from .timeline import Span, TimelineRow, timeline

RECENT_DEPLOYMENTS = 20  # whose operations the estimate is based on
MAX_OPERATIONS = 200  # that the median is taken of
WORKER_SEEN_WITHIN = timedelta(seconds=60)
MAX_TIMELINE_ROWS = 40
_WAITING = (OperationStatus.PENDING, OperationStatus.QUEUED)


def seconds_left(deployment: Deployment, counts: dict[str, int], now: datetime) -> float | None:
    """Estimate from the median of past operations of the same service and action. Two queries."""
    before = (
        Deployment.objects.filter(microservice=deployment.microservice_id).exclude(pk=deployment.pk).order_by("-pk")
    )
    if deployment.action != Action.RETRY:
        before = before.filter(action=deployment.action)
    past = Operation.objects.filter(
        deployment__in=before.values("pk")[:RECENT_DEPLOYMENTS], status=OperationStatus.SUCCEEDED, started__isnull=False
    )
    durations = [
        (finished - started).total_seconds()
        for started, finished in past.order_by("-pk").values_list("started", "finished")[:MAX_OPERATIONS]
        if started and finished
    ]
    running = deployment.operations.filter(status=OperationStatus.RUNNING, started__isnull=False)
    ages = [
        (now - started).total_seconds()
        for started in running.values_list("started", flat=True)[:MAX_OPERATIONS]
        if started
    ]
    waiting = sum(counts.get(status, 0) for status in _WAITING)
    return time_left(durations, ages, waiting, counts.get(OperationStatus.RUNNING, 0))


def waiting_for(deployment: Deployment, counts: dict[str, int], now: datetime) -> list[str]:
    """Return what an open deployment waits for, in words. Two queries."""
    if deployment.status not in DEPLOYMENT_OPEN:
        return []
    deferred = deployment.operations.filter(
        instance__isnull=True, action=Action.INSTALL, status=OperationStatus.QUEUED
    ).count()
    workers = Heartbeat.objects.filter(seen__gt=now - WORKER_SEEN_WITHIN).count()
    return waits_for(DeploymentState(DeploymentStatus(deployment.status), counts, workers, deferred))


def batch_timeline(deployment: Deployment, now: datetime) -> list[TimelineRow]:
    """Return a row for each batch if there are several. One query."""
    rows = (
        deployment.operations.values("batch")
        .annotate(
            n=Count("pk"),
            started=Min("started"),
            finished=Max("finished"),
            left=Count("pk", filter=~Q(status__in=OPERATION_ENDED)),
        )
        .order_by("batch")[:MAX_TIMELINE_ROWS]
    )
    spans = [
        Span(
            f"{row['batch'] + 1} ({row['n']})",
            deployment.created,
            row["started"],
            None,
            None if row["left"] else row["finished"],
        )
        for row in rows
    ]
    return timeline(spans, deployment.created, _end(deployment, now)) if len(spans) > 1 else []


def host_timeline(deployment: Deployment, rows: Sequence[Row], now: datetime) -> list[TimelineRow]:
    """Return a row for each of the matrix's first rows. No query."""
    spans = [
        Span(
            row.operation.host.hostname,
            deployment.created,
            row.operation.started,
            _undo_from(row),
            row.operation.finished,
        )
        for row in rows[:MAX_TIMELINE_ROWS]
    ]
    return timeline(spans, deployment.created, _end(deployment, now))


def _undo_from(row: Row) -> datetime | None:
    """Return when the undo began: at the end of the failed step, or at the start of the last step that is undone."""
    steps = [step for step in row.cells if step]
    undone = any(step.undo_status != UndoStatus.NONE for step in steps)
    if row.operation.status not in OPERATION_FAILED_STATUSES and not undone:
        return None
    failed = [step.finished for step in steps if step.status == StepStatus.FAILED and step.finished]
    return max(failed, default=max((step.started for step in steps if step.started), default=None))


def _end(deployment: Deployment, now: datetime) -> datetime:
    return deployment.finished if deployment.status in DEPLOYMENT_ENDED and deployment.finished else now
