"""A request as JSON, and back: what waits is looked up anew when it begins, from what was asked."""

from collections.abc import Callable
from dataclasses import fields
from datetime import datetime
from enum import Enum
from typing import Any

from django.db.models import Model

from asset.strategy import Strategy

from ...models import Deployment, MicroService, MicroServiceVersion, OnFreeze
from ...status import Action
from ..timing import Request, Timing
from ..version_change import OnLocked

# A plan is kept as its digest, and the note with the deployment, where it can be changed.
_LEFT_OUT = frozenset({"plan_token", "note"})


class Gone(Exception):
    """Something that a request names has been deleted."""


def to_json(request: Request) -> dict[str, Any]:
    """Return {"kind", and each field}."""
    values = {one.name: getattr(request, one.name) for one in fields(request) if one.name not in _LEFT_OUT}
    return {"kind": request.kind, **{name: _plain(value) for name, value in values.items()}}


def from_json(stored: dict[str, Any], types: dict[str, type]) -> Any:
    """Return the request. Raise Gone where a row that it names is no longer there."""
    known = types[stored["kind"]]
    values = {one.name: stored[one.name] for one in fields(known) if one.name in stored}
    return known(**{name: _read(name, value) for name, value in values.items()})


def _plain(value: Any) -> Any:
    if isinstance(value, Model):
        return value.pk
    if isinstance(value, Strategy):
        return value.to_json()
    if isinstance(value, Timing):
        return {"start_at": value.start_at and value.start_at.isoformat(), "on_freeze": str(value.on_freeze)}
    if isinstance(value, Enum):
        return value.value
    return list(value) if isinstance(value, tuple) else value


def _read(name: str, value: Any) -> Any:
    if value is None or name not in _READ:
        return value
    return _READ[name](value)


def _row(rows: Callable[[], Any]) -> Callable[[int], Any]:
    def find(number: int) -> Any:
        found = rows().filter(pk=number).first()
        if found is None:
            raise Gone
        return found

    return find


def _timing(value: dict[str, Any]) -> Timing:
    start_at = datetime.fromisoformat(value["start_at"]) if value["start_at"] else None
    return Timing(start_at, OnFreeze(value["on_freeze"]))


def _sequence(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


# How each field is read that is no plain value. Fields of the same name are the same in every request.
_READ: dict[str, Callable[[Any], Any]] = {
    "service": _row(lambda: MicroService.objects.all()),
    "version": _row(lambda: MicroServiceVersion.objects.select_related("microservice")),
    "origin": _row(lambda: Deployment.objects.select_related("microservice")),
    "action": Action,
    "on_locked": OnLocked,
    "strategy": Strategy.from_row,
    "host": _sequence,
    "hosts": _sequence,
    "instances": _sequence,
    "when": _timing,
}
