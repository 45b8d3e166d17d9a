"""Insert many rows in one statement, without the expression that Django builds for each value.

For the rows that the worker's writer flushes in every round; use `bulk_create` everywhere else. PostgreSQL receives
one message with all rows: if the process stops in the middle, the server's limits end the transaction. With many
messages (`executemany`) the server would run some of them and wait for the rest. SQLite runs one prepared statement
many times.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from django.db import connection
from django.db.models import Model

MAX_ROWS = 1000  # rows of one statement


def insert(model: type[Model], names: Sequence[str], rows: Iterable[Sequence], conflict: str = "") -> None:
    """Insert rows of the fields `names`, in that order: numbers, texts, bytes, times, and dicts for JSON.

    `conflict`: the SQL after ON CONFLICT, which is the same on SQLite and PostgreSQL.
    """
    values = [[_adapted(value) for value in row] for row in rows]
    if not values:
        return
    known = {field.name: field.column for field in model._meta.concrete_fields}
    columns = ", ".join(f'"{known[name]}"' for name in names)
    places = f"({', '.join(['%s'] * len(names))})"
    sql = f'INSERT INTO "{model._meta.db_table}" ({columns}) VALUES '  # noqa: S608
    end = f" ON CONFLICT {conflict}" if conflict else ""
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.executemany(sql + places + end, values)
            return
        for at in range(0, len(values), MAX_ROWS):
            part = values[at : at + MAX_ROWS]
            cursor.execute(sql + ", ".join([places] * len(part)) + end, [value for row in part for value in row])


def update_on_conflict(key: Iterable[str], names: Iterable[str]) -> str:
    """Return the ON CONFLICT clause that overwrites `names` in existing rows."""
    return f"({', '.join(key)}) DO UPDATE SET " + ", ".join(f"{name} = excluded.{name}" for name in names)


def _adapted(value: Any) -> Any:
    if isinstance(value, datetime):
        return connection.ops.adapt_datetimefield_value(value)
    return connection.ops.adapt_json_value(value, None) if isinstance(value, dict) else value
