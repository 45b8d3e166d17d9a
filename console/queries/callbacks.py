"""Callbacks, and what became of each message."""

import json

from django.db.models import Count, OuterRef, Q, Subquery

from access.problems import not_found
from access.secrets import reveal
from callbacks import sender, subscriptions
from callbacks.models import Callback, Delivery, DeliveryState

from .paging import Page, newest_first


def callbacks() -> list[Callback]:
    """Every callback with its newest delivery's `last_state` and `last_sent`, and how many are `waiting`. One query."""
    newest = Delivery.objects.filter(callback=OuterRef("pk")).order_by("-pk")
    return list(
        Callback.objects.defer("secret", "headers").annotate(
            last_state=Subquery(newest.values("state")[:1]),
            last_sent=Subquery(newest.values("sent")[:1]),
            waiting=Count("deliveries", filter=Q(deliveries__state=DeliveryState.PENDING)),
        )
    )


def callback(number: int) -> Callback:
    """A callback with its headers as people may see them, in `shown_headers`."""
    found = subscriptions.find(number)
    headers = sender.redacted_headers(json.loads(reveal(found.headers))) if found.headers else {}
    found.shown_headers = headers  # type: ignore[attr-defined]
    return found


def deliveries(of: Callback, after: str = "") -> Page:
    return newest_first(Delivery.objects.filter(callback=of), after, 20)


def delivery(of: Callback, number: int) -> Delivery:
    found = Delivery.objects.select_related("callback").filter(callback=of, pk=number).first()
    if found is None:
        raise not_found("delivery")
    return found
