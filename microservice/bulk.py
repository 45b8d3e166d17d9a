"""Many rows as one prepared statement with many values, because Django would build an expression for each of them.

For what is written at every round of the ledger; everywhere else `bulk_create` says the same.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime

from django.db import connection
from django.db.models import Model


def insert(model: type[Model], names: Sequence[str], rows: Iterable[Sequence], conflict: str = "") -> None:
    """Adds rows of `names`, in that order: numbers, plain texts, bytes, times, and dicts for JSON.

    `conflict`: what follows ON CONFLICT, the same on SQLite and PostgreSQL."""
    values = [[_adapted(value) for value in row] for row in rows]
    if not values:
        return
    known = {field.name: field.column for field in model._meta.concrete_fields}
    columns = ", ".join(f'"{known[name]}"' for name in names)
    places = ", ".join(["%s"] * len(names))
    sql = f'INSERT INTO "{model._meta.db_table}" ({columns}) VALUES ({places})'  # noqa: S608
    with connection.cursor() as cursor:
        cursor.executemany(f"{sql} ON CONFLICT {conflict}" if conflict else sql, values)


def overwrite(key: Iterable[str], names: Iterable[str]) -> str:
    """The conflict of rows that may be there already, and are to say this now."""
    return f"({', '.join(key)}) DO UPDATE SET " + ", ".join(f"{name} = excluded.{name}" for name in names)


def _adapted(value):
    if isinstance(value, datetime):
        return connection.ops.adapt_datetimefield_value(value)
    return connection.ops.adapt_json_value(value, None) if isinstance(value, dict) else value
