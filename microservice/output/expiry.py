"""Deletes what is kept for a time: output of operations that ended long ago, and events without a deployment.

Operations, steps and errors stay. Events without a deployment only tell open pages to reload; the history keeps what
they are about.
"""

import time
from datetime import datetime, timedelta

from django.conf import settings
from django.utils import timezone

from audit.models import Event

from ..models import Operation, Output

BATCH = 500  # rows of output, or events, in one run
EVENT_RETENTION = timedelta(days=1)  # longer than any page goes without a request
INTERVAL = 60.0  # seconds between two runs, where the last one deleted less than a batch
_last_run = 0.0


def expires(operation: Operation) -> datetime | None:
    """Return when its output is or was deleted; None while it is not finished."""
    return operation.finished + timedelta(days=settings.OUTPUT_RETENTION_DAYS) if operation.finished else None


def prune_output() -> int:
    """Delete up to BATCH expired rows of output; return their number. The next run continues."""
    limit = timezone.now() - timedelta(days=settings.OUTPUT_RETENTION_DAYS)
    # Ids ascend with time, so the oldest rows come first and need no index.
    oldest = list(Output.objects.order_by("pk").values_list("pk", "operation_id")[:BATCH])
    finished = Operation.objects.filter(pk__in={operation for _, operation in oldest}, finished__lt=limit)
    finished_ids = set(finished.values_list("pk", flat=True))
    expired = [pk for pk, operation in oldest if operation in finished_ids]
    return Output.objects.filter(pk__in=expired).delete()[0] if expired else 0


def prune_events() -> int:
    """Delete up to BATCH expired events without a deployment; return their number. The newest event stays: its id
    tells streams where to begin."""
    rows = Event.objects.order_by("pk")
    last = rows.values_list("pk", flat=True).last() or 0
    old = rows.filter(deployment=None, pk__lt=last, created__lt=timezone.now() - EVENT_RETENTION)
    expired = list(old.values_list("pk", flat=True)[:BATCH])
    return Event.objects.filter(pk__in=expired).delete()[0] if expired else 0


def run_if_due() -> None:
    """Delete what has expired, at most once per INTERVAL. For the workers' sweep, which runs every few seconds."""
    global _last_run
    now = time.monotonic()
    if not _last_run or now - _last_run > INTERVAL:
        _last_run = now if max(prune_output(), prune_events()) < BATCH else 0.0
