"""What is not kept for ever: output of operations that ended long ago, whose rows, steps and errors stay; and events
that are about no deployment, which only tell open pages to look again. The history keeps what they are about."""

import time
from datetime import datetime, timedelta

from django.conf import settings
from django.utils import timezone

from audit.models import Event

from ..models import Operation, Output

AT_ONCE = 500  # pieces, or events, in one look
TOLD = timedelta(days=1)  # longer than any page goes without asking
EVERY = 60.0  # seconds from one look to the next, where the last one found little
_looked = 0.0


def expires(operation: Operation) -> datetime | None:
    """When its output goes, or went; None while it is not over."""
    return operation.finished + timedelta(days=settings.OUTPUT_RETENTION_DAYS) if operation.finished else None


def prune_output() -> int:
    """Takes away a few of the oldest pieces if they are too old. Answers how many; the next sweep goes on."""
    limit = timezone.now() - timedelta(days=settings.OUTPUT_RETENTION_DAYS)
    # Pieces are numbered as they come, so the oldest stand first and nothing needs to be searched for.
    oldest = list(Output.objects.order_by("pk").values_list("pk", "operation_id")[:AT_ONCE])
    ended = Operation.objects.filter(pk__in={number for _, number in oldest}, finished__lt=limit)
    gone = set(ended.values_list("pk", flat=True))
    expired = [pk for pk, number in oldest if number in gone]
    return Output.objects.filter(pk__in=expired).delete()[0] if expired else 0


def prune_events() -> int:
    """Takes away a few of the oldest that are about no deployment. Never the newest of all: its id counts."""
    rows = Event.objects.order_by("pk")
    last = rows.values_list("pk", flat=True).last() or 0
    told = rows.filter(deployment=None, pk__lt=last, created__lt=timezone.now() - TOLD)
    gone = list(told.values_list("pk", flat=True)[:AT_ONCE])
    return Event.objects.filter(pk__in=gone).delete()[0] if gone else 0


def prune_now_and_then() -> None:
    """For a sweep, which comes every few seconds and is there for other things."""
    global _looked
    now = time.monotonic()
    if not _looked or now - _looked > EVERY:
        _looked = now if max(prune_output(), prune_events()) < AT_ONCE else 0.0
