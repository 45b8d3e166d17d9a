"""Fill the outbox inside the transaction of an event: what is rolled back is never sent, what is committed always is.

Where no callback subscribes to an event, this costs one query.
"""

import json
import uuid
from collections.abc import Callable, Collection, Mapping
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from .models import Callback, Delivery

DELIVERY_TTL = timedelta(days=1)  # how long a delivery is retried


def enqueue(event: str, name: str, data: dict[str, Any], or_to: Collection[str] = ()) -> None:
    """Queue one message to every callback that subscribes to `event`. `name` identifies it: it is sent once.

    `or_to`: also to those that subscribe to one of these events, and not to this one.
    """
    enqueue_all({(event, name): data}, or_to)


def enqueue_each(event: str, messages: Mapping[str, dict[str, Any]]) -> None:
    """Queue several messages about one kind of event: {name: data}. Two statements, however many."""
    if messages:
        enqueue_all({(event, name): data for name, data in messages.items()})


def enqueue_all(messages: Mapping[tuple[str, str], dict[str, Any]], or_to: Collection[str] = ()) -> None:
    """Queue messages: {(event, name): data}. Two statements, however many. `or_to`: as `enqueue`."""
    now = timezone.now()
    rows = [
        _delivery(callback, event, name, now, data)
        for callback in _active_callbacks()
        for (event, name), data in messages.items()
        if event in callback.events or not set(or_to).isdisjoint(callback.events)
    ]
    if rows:
        Delivery.objects.bulk_create(rows, ignore_conflicts=True)  # one that was queued before is not queued again


def enqueue_for(request: str, event: str, name: str, data: Callable[[], dict[str, Any]]) -> None:
    """Queue one message to every callback of a request, each with what it asked to be returned as `callback_state`."""
    now = timezone.now()
    rows = [
        _delivery(callback, event, name, now, data() | _returned(callback))
        for callback in Callback.objects.filter(request=request, active=True).only("pk", "returned").order_by("pk")
    ]
    if rows:
        Delivery.objects.bulk_create(rows, ignore_conflicts=True)


def _returned(callback: Callback) -> dict[str, Any]:
    return {"callback_state": json.loads(callback.returned)} if callback.returned else {}


def _delivery(callback: Callback, event: str, name: str, now: datetime, data: dict[str, Any]) -> Delivery:
    return Delivery(
        callback=callback,
        event=event,
        name=name,
        message_id=f"msg_{uuid.uuid4().hex}",
        due=now,
        created=now,
        until=now + DELIVERY_TTL,
        body=message_body(event, now, data),
    )


def subscribed_events() -> set[str]:
    """Return the events that any active callback subscribes to. One query."""
    return {event for callback in _active_callbacks() for event in callback.events}


def message_body(event: str, at: datetime, data: dict[str, Any]) -> str:
    """Return the message in the form of Standard Webhooks."""
    return json.dumps({"type": str(event), "timestamp": at.isoformat().replace("+00:00", "Z"), "data": data})


def _active_callbacks() -> list[Callback]:
    return list(Callback.objects.filter(active=True, request="").only("pk", "events").order_by("pk"))
