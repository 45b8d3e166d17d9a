"""Plain SQL for the statements that the worker runs in every round.

Django would take longer to build them than the database to run them. Statuses are literals, so that partial indexes
on them are used.
"""

import json
from collections.abc import Sequence, Sized
from typing import Any

from django.db import connection
from django.db.models import TextChoices
from django.db.models.expressions import RawSQL

MANY = 500  # ids in a statement


def fetch_all(sql: str, *values: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return cursor.fetchall()


def literals(*statuses: TextChoices) -> str:
    """Return statuses as SQL literals, for IN (…)."""
    return ", ".join(f"'{status.value}'" for status in statuses)


def placeholders(values: Sized) -> str:
    """Return a placeholder for each value, for IN (…); NULL, which equals nothing, if there is none."""
    return ", ".join(["%s"] * len(values)) or "NULL"


def among(ids: Sequence[int]) -> Sequence[int] | RawSQL:
    """Return ids for a condition `…__in`. Many are one value of the statement: Django takes as long to write ten
    thousand placeholders as the database to find the rows."""
    if len(ids) <= MANY:
        return ids
    if connection.vendor == "postgresql":
        return RawSQL("SELECT unnest(%s::bigint[])", (list(ids),))
    return RawSQL("SELECT value FROM json_each(%s)", (json.dumps(ids),))


def for_update(table: str, skip_locked: bool = False) -> str:
    """Return the clause that locks rows of this table until the commit. Rows that refer to them can still be added.
    Empty on SQLite, which has one writer."""
    if not connection.features.has_select_for_update:
        return ""
    return f"FOR NO KEY UPDATE OF {table}{' SKIP LOCKED' * skip_locked}"
