"""Questions in plain SQL, for what the ledger asks at every round.

Django would take longer to build one than the database to answer it. The words of status.py stand in them as they are,
so that the indexes on some of them are found.
"""

from collections.abc import Sized

from django.db import connection


def ask(sql: str, *values) -> list[tuple]:
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return cursor.fetchall()


def words(*statuses) -> str:
    """Statuses as SQL texts, for IN (…)."""
    return ", ".join(f"'{status.value}'" for status in statuses)


def places(values: Sized) -> str:
    """A place for each of the values, for IN (…); NULL, which equals nothing, where there is none."""
    return ", ".join(["%s"] * len(values)) or "NULL"


def for_update(table: str, skip_locked: bool = False) -> str:
    """Locks the rows of this table until the commit; rows that point at them may be added meanwhile. On SQLite there is
    one writer anyway."""
    if not connection.features.has_select_for_update:
        return ""
    return f"FOR NO KEY UPDATE OF {table}{' SKIP LOCKED' * skip_locked}"
