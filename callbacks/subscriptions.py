"""Create, change and delete callbacks. Refusals are Problems."""

from typing import Any

from django.db import transaction

from access.callers import Caller
from access.problems import invalid, not_found, refused
from access.rollback import rolls_back
from access.secrets import reveal
from audit.history import record

from . import fields as checked
from . import signing
from .models import Callback, EventType


def find(callback_id: int) -> Callback:
    """Return a callback: a subscription, or one of a request."""
    callback = Callback.objects.filter(pk=callback_id).first()
    if callback is None:
        raise not_found("callback")
    return callback


@transaction.atomic
def create(caller: Caller, fields: dict[str, Any]) -> tuple[Callback, str]:
    """Create a callback. Return it and its secret, which is generated unless given, and shown only this once."""
    secret = fields.get("secret") or signing.new_secret()
    row = Callback(created_by=caller.name)
    _set_fields(row, {"events": list(EventType.values), **fields, "secret": secret})
    row.save(force_insert=True)
    record(caller, "create", "callback", row, after=_for_history(fields))
    return row, secret


@rolls_back
@transaction.atomic
def change(caller: Caller, row: Callback, fields: dict[str, Any]) -> Callback:
    """Change the named fields. The headers of one server are not sent to another one unasked."""
    url_before = row.url
    if row.request:
        raise refused("callback_of_request")
    is_other_server = "url" in fields and checked.server_of(fields["url"]) != checked.server_of(url_before)
    if is_other_server and row.headers and "headers" not in fields:
        raise invalid("/headers", "headers_other_server")
    before = _values(row)
    _set_fields(row, fields)
    if _values(row) == before:
        return row
    row.save()
    record(caller, "change", "callback", row, before={"url": url_before}, after=_for_history(fields))
    return row


@transaction.atomic
def delete(caller: Caller, row: Callback) -> None:
    """Delete a callback with its deliveries."""
    record(caller, "delete", "callback", row, before={"url": row.url})
    row.delete()


def _set_fields(row: Callback, fields: dict[str, Any]) -> None:
    if "url" in fields:
        row.url = checked.checked_url(fields["url"])
        row.server = checked.server_of(row.url)
    if "headers" in fields:
        row.headers = checked.checked_headers(fields["headers"])
    if "events" in fields:
        row.events = _checked_events(fields["events"])
    if fields.get("secret"):
        row.secret = checked.checked_secret(fields["secret"])
    if "active" in fields:
        row.active = fields["active"]


def _values(row: Callback) -> list[Any]:
    return [row.url, row.events, row.active, reveal(row.headers), reveal(row.secret)]


def _checked_events(events: list[str]) -> list[str]:
    if not events or not set(events) <= set(EventType.values):
        raise invalid("/events", "one_or_more_of", allowed=EventType.values)
    return list(dict.fromkeys(events))


def _for_history(fields: dict[str, Any]) -> dict[str, Any]:
    shown = {name: value for name, value in fields.items() if name in ("url", "events", "active")}
    return shown | {name: "changed" for name in ("secret", "headers") if fields.get(name)}
