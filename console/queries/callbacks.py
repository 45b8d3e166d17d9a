"""Callbacks and their deliveries."""

import json

from django.db.models import Count, OuterRef, Q, QuerySet, Subquery

from access.problems import not_found
from access.secrets import reveal
from builds import build_callbacks
from builds.models import Build
from callbacks import sender, subscriptions
from callbacks.models import Callback, Delivery, DeliveryState

from .paging import Page, newest_first

FEW = 20  # rows of a list that shares its page with others


def callbacks() -> list[Callback]:
    """Return the subscriptions with `last_state` and `last_sent` of the newest delivery and the number `waiting`. One
    query."""
    return list(_with_newest(Callback.objects.filter(request="")))


def of_requests(after: str = "", size: int = FEW) -> Page:
    """Return the callbacks of builds, newest first, each with the same and its `build`. Two queries."""
    page = newest_first(_with_newest(Callback.objects.exclude(request="")), after, size)
    numbers = {row.pk: build_callbacks.build_of(row.request) for row in page.rows}
    builds = (
        Build.objects.select_related("version__microservice")
        .defer("log")
        .in_bulk([number for number in numbers.values() if number])
    )
    for row in page.rows:
        row.build = builds.get(numbers[row.pk])
    return page


def _with_newest(rows: QuerySet[Callback]) -> QuerySet[Callback]:
    newest = Delivery.objects.filter(callback=OuterRef("pk")).order_by("-pk")
    return rows.defer("secret", "headers").annotate(
        last_state=Subquery(newest.values("state")[:1]),
        last_sent=Subquery(newest.values("sent")[:1]),
        waiting=Count("deliveries", filter=Q(deliveries__state=DeliveryState.PENDING)),
    )


def callback(number: int) -> Callback:
    """Return a callback with its masked headers in `shown_headers`, and the `build` that it belongs to."""
    row = subscriptions.find(number)
    headers = sender.redacted_headers(json.loads(reveal(row.headers))) if row.headers else {}
    row.shown_headers = headers  # type: ignore[attr-defined]
    build = build_callbacks.build_of(row.request)
    builds = Build.objects.select_related("version__microservice").defer("log")
    row.build = builds.filter(pk=build).first() if build else None  # type: ignore[attr-defined]
    return row


def deliveries(callback: Callback, after: str = "", size: int = FEW) -> Page:
    return newest_first(Delivery.objects.filter(callback=callback), after, size)


def delivery(callback: Callback, number: int) -> Delivery:
    row = Delivery.objects.select_related("callback").filter(callback=callback, pk=number).first()
    if row is None:
        raise not_found("delivery")
    return row
