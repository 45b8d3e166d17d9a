"""Gives a thread's database connection back while the thread waits for something else (a host, a live view)."""

from django.db import connection


def give_back() -> None:
    """Closes this thread's connection, or hands it to the pool; the next query takes one again.

    Inside a transaction nothing happens: its work would be lost. 200 watchers that wait hold no connection this way.
    """
    if not connection.in_atomic_block:
        connection.close()
