"""What is not kept for ever: output of operations that ended long ago. Their rows, steps and errors stay."""

import time
from datetime import datetime, timedelta

from django.conf import settings
from django.utils import timezone

from ..models import Operation, Output

AT_ONCE = 500  # pieces in one look
EVERY = 60.0  # seconds from one look to the next, where the last one found little
_looked = 0.0


def expires(operation: Operation) -> datetime | None:
    """When its output goes, or went; None while it is not over."""
    return operation.finished + timedelta(days=settings.KEEP_OUTPUT_DAYS) if operation.finished else None


def prune_output() -> int:
    """Takes away a few of the oldest pieces if they are too old. Answers how many; the next sweep goes on."""
    limit = timezone.now() - timedelta(days=settings.KEEP_OUTPUT_DAYS)
    # Pieces are numbered as they come, so the oldest stand first and nothing needs to be searched for.
    oldest = list(Output.objects.order_by("pk").values_list("pk", "operation_id")[:AT_ONCE])
    ended = Operation.objects.filter(pk__in={number for _, number in oldest}, finished__lt=limit)
    gone = set(ended.values_list("pk", flat=True))
    expired = [pk for pk, number in oldest if number in gone]
    return Output.objects.filter(pk__in=expired).delete()[0] if expired else 0


def prune_now_and_then() -> None:
    """For a sweep, which comes every few seconds and is there for other things."""
    global _looked
    now = time.monotonic()
    if not _looked or now - _looked > EVERY:
        _looked = now if prune_output() < AT_ONCE else 0.0
