"""Callbacks of one request, such as the request for a build: they hear of its end, and of nothing else.

`request` names it, such as "build:12". They are kept as long as output is. Refusals are Problems.
"""

import json
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db.models import Model, OuterRef, Subquery
from django.utils import timezone

from access.callers import Caller
from access.problems import invalid
from access.secrets import Secret, reveal
from audit.history import record

from . import fields
from .models import Callback, Delivery, DeliveryState

MAX_CALLBACKS = 10  # of one request
MAX_STATE = 4096  # bytes, as JSON
NAMES = ("callback_url", "callback_headers", "callback_secret", "callback_state")
BATCH = 500  # rows that one run deletes
INTERVAL = 60.0  # seconds between two runs
_last_run = 0.0


@dataclass(frozen=True, slots=True)
class RequestedCallback:
    """What a request asks for, checked. `returned`: JSON text of what its messages return; "" for nothing."""

    url: str
    headers: Secret | str
    secret: Secret | str
    returned: str


def requested(given: dict[str, Any]) -> RequestedCallback | None:
    """Return the callback that the fields of a request ask for; None if they ask for none. Raise 422."""
    if not given.get("callback_url"):
        if others := [name for name in NAMES if given.get(name)]:
            raise invalid("/callback_url", "callback_url_missing", field=others[0])
        return None
    secret = given.get("callback_secret")
    return RequestedCallback(
        fields.checked_url(given["callback_url"], "/callback_url"),
        fields.checked_headers(given.get("callback_headers") or {}, "/callback_headers"),
        fields.checked_secret(secret, "/callback_secret") if secret else "",
        _as_json(given["callback_state"]) if "callback_state" in given else "",
    )


def _as_json(state: Any) -> str:
    try:
        text = json.dumps(state, allow_nan=False)
    except ValueError:
        raise invalid("/callback_state", "callback_state_json") from None
    if len(text) > MAX_STATE:
        raise invalid("/callback_state", "callback_state_max", max=MAX_STATE)
    return text


def add(caller: Caller, request: str, wanted: RequestedCallback, service: Model) -> Callback:
    """Add a callback to a request, once: an equal one is returned. Call in its transaction, with its row locked."""
    existing = list(Callback.objects.filter(request=request))
    for row in existing:
        if _values(row) == (wanted.url, reveal(wanted.headers), reveal(wanted.secret), wanted.returned):
            return row
    if len(existing) >= MAX_CALLBACKS:
        raise invalid("/callback_url", "request_callbacks_max", max=MAX_CALLBACKS)
    row = Callback.objects.create(
        request=request,
        url=wanted.url,
        server=fields.server_of(wanted.url),
        headers=wanted.headers,
        secret=wanted.secret,
        returned=wanted.returned,
        created_by=caller.name,
    )
    record(caller, "create", "callback", row, after={"url": row.server}, service=service)
    return row


def _values(row: Callback) -> tuple[str, str, str, str]:
    return row.url, reveal(row.headers), reveal(row.secret), row.returned


def of(requests: Iterable[str]) -> dict[str, list[tuple[Callback, Delivery | None]]]:
    """Return the callbacks of each request, each with its newest delivery; requests without any are left out."""
    newest = Delivery.objects.filter(callback=OuterRef("pk")).exclude(name__startswith="test:").order_by("-pk")
    rows = list(
        Callback.objects.filter(request__in=list(requests))
        .defer("headers", "secret")
        .annotate(newest=Subquery(newest.values("pk")[:1]))
        .order_by("pk")
    )
    deliveries = Delivery.objects.in_bulk([row.newest for row in rows if row.newest]) if rows else {}
    found: dict[str, list[tuple[Callback, Delivery | None]]] = {}
    for row in rows:
        found.setdefault(row.request, []).append((row, deliveries.get(row.newest)))
    return found


def prune() -> int:
    """Delete up to BATCH callbacks of requests that are older than output is kept, with their deliveries."""
    limit = timezone.now() - timedelta(days=settings.OUTPUT_RETENTION_DAYS)
    waiting = Delivery.objects.filter(state=DeliveryState.PENDING).values("callback")
    old = Callback.objects.exclude(request="").filter(created__lt=limit).exclude(pk__in=waiting)
    expired = list(old.order_by("pk").values_list("pk", flat=True)[:BATCH])
    if expired:
        Callback.objects.filter(pk__in=expired).delete()
    return len(expired)


def prune_if_due() -> None:
    """Call from a worker's sweep, which runs every few seconds."""
    global _last_run
    if not _last_run or time.monotonic() - _last_run > INTERVAL:
        _last_run = time.monotonic() if prune() < BATCH else 0.0
