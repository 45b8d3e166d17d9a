"""Release a thread's database connection while the thread waits for something else (a host, an event stream)."""

from django.db import connection


def release_connection() -> None:
    """Close this thread's connection or return it to the pool; the next query takes one again.

    Inside a transaction, do nothing: its work would be lost. So 200 waiting event streams hold no connection.
    """
    if not connection.in_atomic_block:
        connection.close()
