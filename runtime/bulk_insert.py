"""Many rows in one statement, because Django would build an expression for each of their values.

For what is written at every round of the ledger; everywhere else `bulk_create` says the same. PostgreSQL is given a
list of rows, which the client sends as one message: of a process that stops in the middle of it, the server's limits
end the transaction. Of many messages in a row (`executemany`) it would have carried out some, and wait for the others.
SQLite is given one prepared statement, many times.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime

from django.db import connection
from django.db.models import Model

AT_ONCE = 1000  # rows of one statement


def insert(model: type[Model], names: Sequence[str], rows: Iterable[Sequence], conflict: str = "") -> None:
    """Adds rows of `names`, in that order: numbers, plain texts, bytes, times, and dicts for JSON.

    `conflict`: what follows ON CONFLICT, the same on SQLite and PostgreSQL."""
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
        for at in range(0, len(values), AT_ONCE):
            part = values[at : at + AT_ONCE]
            cursor.execute(sql + ", ".join([places] * len(part)) + end, [value for row in part for value in row])


def overwrite(key: Iterable[str], names: Iterable[str]) -> str:
    """The conflict of rows that may be there already, and are to say this now."""
    return f"({', '.join(key)}) DO UPDATE SET " + ", ".join(f"{name} = excluded.{name}" for name in names)


def _adapted(value):
    if isinstance(value, datetime):
        return connection.ops.adapt_datetimefield_value(value)
    return connection.ops.adapt_json_value(value, None) if isinstance(value, dict) else value
