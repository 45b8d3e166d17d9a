"""Fills the outbox, inside the transaction of what is told: what was rolled back is never told, what was done always.

`fill(events)` is called where the rows of live views are written (audit/events.py); `tell` for what has no such
row. Where nothing that happened is a callback's business this costs nothing; where no callback wants it, one look.
"""

import json
import uuid
from datetime import timedelta
from typing import Any

from django.utils import timezone

from .models import Callback, Delivery

FOR = timedelta(days=1)  # how long it is tried


def tell(event: str, name: str, data: dict[str, Any]) -> None:
    """Queues one message for every callback that wants it. `name` says what it is about, and is told once."""
    tell_each(event, {name: data})


def tell_each(event: str, told: dict[str, dict[str, Any]]) -> None:
    """The same of many things: {name: data}. Two statements, however many."""
    if told:
        queue({(event, name): data for name, data in told.items()})


def wanted() -> set[str]:
    """The events that any active callback wants. One query."""
    return {event for callback in _callbacks() for event in callback.events}


def _callbacks() -> list[Callback]:
    return list(Callback.objects.filter(active=True).only("pk", "events").order_by("pk"))


def queue(told: dict[tuple[str, str], dict[str, Any]]) -> None:
    """Queues messages, {(event, name): data}. Two statements, however many."""
    now = timezone.now()
    rows = [
        Delivery(
            callback=callback,
            event=event,
            name=name,
            message_id=f"msg_{uuid.uuid4().hex}",
            due=now,
            created=now,
            until=now + FOR,
            body=body_of(event, now, data),
        )
        for callback in _callbacks()
        for (event, name), data in told.items()
        if event in callback.events
    ]
    if rows:
        Delivery.objects.bulk_create(rows, ignore_conflicts=True)  # told already: not again


def body_of(event: str, at, data: dict[str, Any]) -> str:
    """The message, as Standard Webhooks shapes it."""
    return json.dumps({"type": str(event), "timestamp": at.isoformat().replace("+00:00", "Z"), "data": data})
