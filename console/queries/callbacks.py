"""Callbacks and their deliveries."""

import json

from django.db.models import Count, OuterRef, Q, Subquery

from access.problems import not_found
from access.secrets import reveal
from callbacks import sender, subscriptions
from callbacks.models import Callback, Delivery, DeliveryState

from .paging import Page, newest_first


def callbacks() -> list[Callback]:
    """Return callbacks with `last_state` and `last_sent` of the newest delivery and the number `waiting`. One query."""
    newest = Delivery.objects.filter(callback=OuterRef("pk")).order_by("-pk")
    return list(
        Callback.objects.defer("secret", "headers").annotate(
            last_state=Subquery(newest.values("state")[:1]),
            last_sent=Subquery(newest.values("sent")[:1]),
            waiting=Count("deliveries", filter=Q(deliveries__state=DeliveryState.PENDING)),
        )
    )


def callback(number: int) -> Callback:
    """Return a callback with its masked headers in `shown_headers`."""
    row = subscriptions.find(number)
    headers = sender.redacted_headers(json.loads(reveal(row.headers))) if row.headers else {}
    row.shown_headers = headers  # type: ignore[attr-defined]
    return row


def deliveries(callback: Callback, after: str = "") -> Page:
    return newest_first(Delivery.objects.filter(callback=callback), after, 20)


def delivery(callback: Callback, number: int) -> Delivery:
    row = Delivery.objects.select_related("callback").filter(callback=callback, pk=number).first()
    if row is None:
        raise not_found("delivery")
    return row
