"""Failed sign-ins: a log line each, and one row of the history for each account, address and window of time.

A flood must not fill the database: failures are counted in a small table, MAX_WINDOWS at a time, and written to the
history when their window is over. A name without an account is not kept: people sometimes type passwords there.
"""

import hashlib
import logging
from datetime import timedelta

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import F
from django.dispatch import Signal
from django.utils import timezone

from . import security_log
from .callers import Caller
from .client_ip import neighbourhood
from .models import FailedSignIns

WINDOW = timedelta(minutes=5)
MAX_WINDOWS = 500  # open at once; further failures share one row
BATCH_SIZE = 100
UNKNOWN = "(unknown account)"
ended = Signal()  # rows: windows that are over, for the history


def count(username: str, address: str, agent: str, *, refused: bool = False) -> None:
    """Count a failed sign-in, or one that was `refused` without a check because of too many attempts."""
    user = User.objects.filter(username=username[:150]).values_list("pk", "username").first()
    name = user[1] if user else UNKNOWN
    event = "sign-in refused: too many attempts" if refused else "sign-in failed"
    security_log.log_event(event, Caller(name="", address=address), logging.WARNING, subject=name, agent=agent)
    flush()
    _count(user[0] if user else None, name, neighbourhood(address)[:64], "refused" if refused else "failed")


def _count(user_id: int | None, name: str, place: str, column: str) -> None:
    key = hashlib.sha256(f"{user_id}\n{place}".encode()).hexdigest()
    rows = FailedSignIns.objects
    if rows.filter(key=key).update(**{column: F(column) + 1}):
        return
    if rows.count() >= MAX_WINDOWS:
        key, user_id, name, place = "others", None, UNKNOWN, ""
    row = FailedSignIns(key=key, user_id=user_id, username=name, address=place, since=timezone.now())
    rows.bulk_create([row], ignore_conflicts=True)
    rows.filter(key=key).update(**{column: F(column) + 1})


def flush() -> int:
    """Send the windows that are over to the history, and delete them. Return how many."""
    over = FailedSignIns.objects.filter(since__lte=timezone.now() - WINDOW)
    if not over.exists():
        return 0
    with transaction.atomic():
        rows = list(over.select_for_update(skip_locked=True).order_by("since")[:BATCH_SIZE])
        FailedSignIns.objects.filter(pk__in=[row.pk for row in rows]).delete()
        ended.send(None, rows=rows)
    return len(rows)
