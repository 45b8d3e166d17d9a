"""Create, change and delete callbacks. Refusals are Problems."""

import json
import re
from typing import Any

from django.db import transaction

from access.callers import Caller
from access.problems import invalid, not_found
from access.rollback import rolls_back
from access.secrets import Secret, reveal
from audit.history import record

from . import http_client, receivers, signing
from .models import Callback, EventType

HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}\Z")  # a token of RFC 9110
OWN_HEADERS = (
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
MAX_HEADERS = 20
MAX_HEADER_VALUE = MAX_URL = 2000  # characters


def find(callback_id: int) -> Callback:
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
    is_other_server = "url" in fields and _server(fields["url"]) != _server(url_before)
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
        row.url = _checked_url(fields["url"])
    if "headers" in fields:
        row.headers = _checked_headers(fields["headers"])
    if "events" in fields:
        row.events = _checked_events(fields["events"])
    if fields.get("secret"):
        try:
            signing.key_of(fields["secret"])
        except signing.BadSecret as error:
            raise invalid("/secret", error.message) from error
        row.secret = Secret(fields["secret"])
    if "active" in fields:
        row.active = fields["active"]


def _values(row: Callback) -> list[Any]:
    return [row.url, row.events, row.active, reveal(row.headers), reveal(row.secret)]


def _checked_url(url: str) -> str:
    if len(url) > MAX_URL:
        raise invalid("/url", "too_long", max=MAX_URL)
    try:
        _, host, _ = http_client.parse_url(url)
    except http_client.BadUrl as error:
        raise invalid("/url", error.code) from error
    is_address = ":" in host or not host.strip("0123456789.")  # a name is checked whenever something is sent
    if is_address and not receivers.current().allowed.admits(host, host):
        raise invalid("/url", "address_forbidden")
    return url


def _checked_headers(headers: dict[str, str]) -> Secret | str:
    if len(headers) > MAX_HEADERS:
        raise invalid("/headers", "headers_max", max=MAX_HEADERS)
    for name, value in headers.items():
        if not HEADER_NAME.match(name) or name.lower() in OWN_HEADERS or name.lower().startswith("webhook-"):
            raise invalid(f"/headers/{name}", "header_forbidden")
        if len(value) > MAX_HEADER_VALUE or not value.isascii() or not value.isprintable():
            raise invalid(f"/headers/{name}", "header_value", max=MAX_HEADER_VALUE)
    return Secret(json.dumps(headers)) if headers else ""


def _checked_events(events: list[str]) -> list[str]:
    if not events or not set(events) <= set(EventType.values):
        raise invalid("/events", "one_or_more_of", allowed=EventType.values)
    return list(dict.fromkeys(events))


def _server(url: str) -> tuple[str, str, int] | None:
    try:
        return http_client.parse_url(url)
    except http_client.BadUrl:
        return None


def _for_history(fields: dict[str, Any]) -> dict[str, Any]:
    shown = {name: value for name, value in fields.items() if name in ("url", "events", "active")}
    return shown | {name: "changed" for name in ("secret", "headers") if fields.get(name)}
