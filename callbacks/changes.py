"""Callbacks made, changed, tried and their deliveries sent again. Refuses with Problem."""

import json
import re
import uuid
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from access.callers import Caller
from access.problems import conflict, invalid, not_found
from access.rollback import rolls_back
from access.secrets import Secret, reveal
from audit.history import record

from . import http_client, outbox, sender, signing
from .models import Callback, Delivery, State, Telling

TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}\Z")
OURS = (
    "host",
    "content-length",
    "content-type",
    "transfer-encoding",
    "connection",
    "user-agent",
    "upgrade",
    "te",
    "trailer",
    "expect",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
)
MOST_HEADERS = 20


def find(number: int) -> Callback:
    found = Callback.objects.filter(pk=number).first()
    if found is None:
        raise not_found("callback")
    return found


@transaction.atomic
def create(caller: Caller, fields: dict[str, Any]) -> tuple[Callback, str]:
    """A new callback, and its secret, which is made here where none is given and shown this once."""
    secret = fields.get("secret") or signing.new_secret()
    row = Callback(created_by=caller.name)
    _fill(row, {"events": list(Telling.values), **fields, "secret": secret})
    row.save(force_insert=True)
    record(caller, "create", "callback", row, after=_told(fields))
    return row, secret


@rolls_back
@transaction.atomic
def change(caller: Caller, row: Callback, fields: dict[str, Any]) -> Callback:
    """Changes the fields that are named. Another server is not given the old one's headers and secret unasked."""
    before = row.url
    elsewhere = "url" in fields and _server(fields["url"]) != _server(before)
    if elsewhere and row.headers and "headers" not in fields:
        raise invalid("/headers", "must be given again for another server: they may hold a password")
    was = _values(row)
    _fill(row, fields)
    if _values(row) == was:
        return row
    row.save()
    record(caller, "change", "callback", row, before={"url": before}, after=_told(fields))
    return row


@transaction.atomic
def delete(caller: Caller, row: Callback) -> None:
    record(caller, "delete", "callback", row, before={"url": row.url})
    row.delete()


def try_out(callback: Callback) -> Delivery:
    """Sends the newest message again, now, and answers with both sides. Without one, a message that says it is a test.

    It is a delivery of its own, which is sent once: the message's own attempts and end stay as they are.
    """
    newest = callback.deliveries.exclude(name__startswith="test:").first()
    now = timezone.now()
    message = newest.message_id if newest else f"msg_{uuid.uuid4().hex}"
    body = newest.body if newest else outbox.body_of("test", now, {"test": True})
    row = Delivery.objects.create(
        callback=callback,
        event=newest.event if newest else "test",
        name=f"test:{uuid.uuid4().hex}",
        body=body,
        message_id=message,
        until=now,
        lease=now + sender.LEASE,
        attempts=1,
    )
    return sender.attempt(row)


@transaction.atomic
def redeliver(caller: Caller, row: Delivery) -> Delivery:
    """Sends a delivery again, soon, for another day. 409 where it waits or is being sent already."""
    now = timezone.now()
    again = Delivery.objects.filter(pk=row.pk).exclude(state=State.PENDING)
    waiting = Delivery.objects.filter(Q(lease=None) | Q(lease__lt=now), pk=row.pk, state=State.PENDING)
    if not again.update(
        state=State.PENDING, due=now, lease=None, until=now + outbox.FOR, attempts=0
    ) and not waiting.update(due=now, until=now + outbox.FOR):
        raise conflict("delivery_in_progress", "It is being sent at this moment.", "Look again.")
    record(caller, "redeliver", "callback", row.callback, after={"delivery": row.pk})
    row.refresh_from_db()
    return row


def _fill(row: Callback, fields: dict[str, Any]) -> None:
    if "url" in fields:
        row.url = _url(fields["url"])
    if "headers" in fields:
        row.headers = _headers(fields["headers"])
    if "events" in fields:
        row.events = _events(fields["events"])
    if fields.get("secret"):
        try:
            signing.key_of(fields["secret"])
        except ValueError as error:
            raise invalid("/secret", str(error)) from error
        row.secret = Secret(fields["secret"])
    if "active" in fields:
        row.active = fields["active"]


def _values(row: Callback) -> list:
    return [row.url, row.events, row.active, reveal(row.headers), reveal(row.secret)]


def _url(url: str) -> str:
    if len(url) > 2000:
        raise invalid("/url", "is longer than 2000 characters")
    try:
        _, host, _, _ = http_client.place_of(url)
    except ValueError as error:
        raise invalid("/url", str(error)) from error
    is_address = ":" in host or not host.strip("0123456789.")  # names are looked at when something is sent
    if is_address and not http_client.allowed(host):
        raise invalid("/url", "is an address that callbacks may not reach (see CALLBACK_ALLOWED_NETWORKS)")
    return url


def _headers(headers: dict[str, str]) -> Secret | str:
    if len(headers) > MOST_HEADERS:
        raise invalid("/headers", f"must be at most {MOST_HEADERS}")
    for name, value in headers.items():
        if not TOKEN.match(name) or name.lower() in OURS or name.lower().startswith("webhook-"):
            raise invalid(f"/headers/{name}", "is no header that may be set")
        if len(value) > 2000 or not value.isascii() or not value.isprintable():
            raise invalid(f"/headers/{name}", "must be at most 2000 printable ASCII characters")
    return Secret(json.dumps(headers)) if headers else ""


def _events(events: list[str]) -> list[str]:
    unknown = [event for event in events if event not in Telling.values]
    if unknown or not events:
        raise invalid("/events", f"must be some of {', '.join(Telling.values)}")
    return list(dict.fromkeys(events))


def _server(url: str) -> tuple:
    try:
        return http_client.place_of(url)[:3]
    except ValueError:
        return ()


def _told(fields: dict[str, Any]) -> dict[str, Any]:
    told = {name: value for name, value in fields.items() if name in ("url", "events", "active")}
    return told | {name: "changed" for name in ("secret", "headers") if fields.get(name)}
