"""Adding labels to many hosts at once, and removing them: one UPDATE, and the history of each host."""

import json
from collections.abc import Collection, Mapping
from typing import Any

from django.db import transaction
from django.db.models import F, Func, JSONField, QuerySet
from django.utils import timezone

from access.callers import Caller
from access.problems import FieldError, invalid, invalid_fields
from audit import history
from messages.invalid import InvalidValue
from runtime.sql import among

from . import validation
from .models import Asset

MAX_NAMED = 5  # hosts in one refusal


class Changed(Func):
    """A column of labels with some set and others removed, by the database: no host is written on its own."""

    output_field = JSONField()

    def __init__(self, column: str, add: Mapping[str, str], remove: Collection[str]) -> None:
        super().__init__(F(column))
        self.add, self.remove = dict(add), list(remove)

    def as_sqlite(self, compiler: Any, connection: Any, **_: Any) -> tuple[str, tuple[str | int, ...]]:
        column, params = compiler.compile(self.source_expressions[0])
        patch = json.dumps(self.add | dict.fromkeys(self.remove))  # RFC 7396: null removes
        return f"json_patch({column}, %s)", (*params, patch)

    def as_postgresql(self, compiler: Any, connection: Any, **_: Any) -> tuple[str, list[Any]]:
        column, params = compiler.compile(self.source_expressions[0])
        return f"(({column} || %s::jsonb) - %s::text[])", [*params, json.dumps(self.add), self.remove]


def change(caller: Caller, hosts: QuerySet[Asset], add: Mapping[str, str], remove: Collection[str]) -> int:
    """Set the labels of `add` on all of these hosts, and remove those of `remove`. Return how many hosts changed.

    The number of statements does not grow with that of hosts. Raise Problem 422 for what is wrong with the labels, and
    where a host would have too many.
    """
    add, remove = _checked(add, remove)
    with transaction.atomic():
        rows = list(hosts.order_by("pk").only("hostname", "ip", "labels").select_for_update(no_key=True))
        changed = [(row, after) for row in rows if (after := changed_labels(row.labels, add, remove)) != row.labels]
        full = [row.hostname for row, after in changed if len(after) > validation.MAX_LABELS]
        if full:
            raise invalid("/add_labels", "too_many_labels_on_hosts", hosts=full[:MAX_NAMED], max=validation.MAX_LABELS)
        Asset.objects.filter(pk__in=among([row.pk for row, _ in changed])).update(
            labels=Changed("labels", add, remove), updated=timezone.now(), updated_by=caller.name
        )
        history.record_rows(
            history.row_of(caller, "change", "host", row, {"labels": row.labels}, {"labels": after})
            for row, after in changed
        )
    return len(changed)


def changed_labels(labels: Mapping[str, str], add: Mapping[str, str], remove: Collection[str]) -> dict[str, str]:
    """Return what `Changed` makes of a host's labels. Pure."""
    return {name: value for name, value in {**labels, **add}.items() if name not in remove}


def _checked(add: Any, remove: Any) -> tuple[dict[str, str], list[str]]:
    clean, errors = {}, []
    for name, value in (("add_labels", add), ("remove_labels", dict.fromkeys(remove, ""))):
        try:
            clean[name] = validation.labels(value)
        except InvalidValue as error:
            errors.append(FieldError(f"/{name}", error.reason))
    if errors:
        raise invalid_fields(errors)
    both = sorted(set(clean["add_labels"]) & set(clean["remove_labels"]))
    if both:
        raise invalid("/remove_labels", "label_added_and_removed", labels=both)
    if not any(clean.values()):
        raise invalid("/add_labels", "no_label_to_change")
    return clean["add_labels"], list(clean["remove_labels"])
