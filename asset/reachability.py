"""The result of the last contact with each host, and since when it is so. For people: no rule reads it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from django.db.models import Case, DateTimeField, F, Field, JSONField, QuerySet, TextField, Value, When
from django.db.models.functions import Now

from deployer.engine.codes import sentence
from messages import Message
from messages.rendering import LITERAL, english, literal

from .models import Asset

# Of a host that has changed since the contact: the result was about another key, address or user.
UNKNOWN: dict[str, Any] = {
    "reachable": None,
    "reachable_since": None,
    "last_error": "",
    "last_error_message": None,
}
MAX_ERROR = 500  # characters of `last_error`


def note(hosts: QuerySet[Asset], reachable: bool, error: Message | str = "", **fields: Any) -> None:
    """Record the result for all of these hosts, in one statement. `fields`: others to write with it."""
    _update(hosts, reachable, **_columns(error), **fields)


def note_well(hosts: Collection[int]) -> None:
    """Record that a worker logged in to these hosts (ids): they offer the pinned key."""
    note(Asset.objects.filter(pk__in=hosts), True, offered_key="")


def note_each(reachable: bool, errors: Mapping[int, Message | str]) -> None:
    """Record the error of each host, by id, in one statement."""
    hosts = Asset.objects.filter(pk__in=errors)
    columns = {pk: _columns(error) for pk, error in errors.items()}
    first = next(iter(columns.values()), _columns(""))
    if all(column == first for column in columns.values()):
        _update(hosts, reachable, **first)
        return
    fields: dict[str, Field[Any, Any]] = {"last_error": TextField(), "last_error_message": JSONField()}
    _update(hosts, reachable, **{name: _by_id(columns, name, field) for name, field in fields.items()})


def note_keys(keys: Mapping[int, str]) -> None:
    """Record the keys that hosts (by id) offered and that are not the pinned ones, in one statement."""
    if keys:
        cases = [When(pk=pk, then=Value(key)) for pk, key in keys.items()]
        Asset.objects.filter(pk__in=keys).update(offered_key=Case(*cases, output_field=TextField()))


def _update(hosts: QuerySet[Asset], reachable: bool, **fields: Any) -> None:
    since = Case(When(reachable=reachable, then=F("reachable_since")), default=Now(), output_field=DateTimeField())
    if reachable:
        fields["last_contact"] = Now()
    hosts.update(reachable=reachable, reachable_since=since, **fields)


def _columns(error: Message | str) -> dict[str, Any]:
    """Return the two columns of an error: the sentence in English, and the message where there is more than it."""
    message = literal(error) if isinstance(error, str) else error
    has_code = message.code != LITERAL
    return {
        "last_error": english(sentence(message))[:MAX_ERROR],
        "last_error_message": message.as_json() if has_code else None,
    }


def _by_id(columns: Mapping[int, Mapping[str, Any]], name: str, field: Field[Any, Any]) -> Case:
    cases = [
        When(pk=pk, then=Value(column[name], output_field=field)) for pk, column in columns.items() if column[name]
    ]
    empty = Value("") if isinstance(field, TextField) else Value(None, output_field=field)
    return Case(*cases, default=empty, output_field=field)
