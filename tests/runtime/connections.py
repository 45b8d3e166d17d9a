"""Connections to PostgreSQL as the product makes them, and one that bypasses it."""

import psycopg

from runtime import database_url
from runtime.postgresql import limits
from runtime.postgresql.pool import Pool
from tests.lab.postgres import Postgres


def options(monkeypatch, url: str) -> dict:
    """How the product's web process connects to `url`, as Connection.connect takes it."""
    monkeypatch.setattr(limits, "chosen", limits.WEB)  # a test before this one may have been a worker
    monkeypatch.setenv("DATABASE_URL", url)
    made = database_url.database("DATABASE_URL", "", 8)
    given = {name: value for name, value in made["OPTIONS"].items() if name != "pool"}
    names = {"user": "USER", "password": "PASSWORD", "host": "HOST", "port": "PORT", "dbname": "NAME"}
    return {**given, **{name: made[word] for name, word in names.items()}, "autocommit": True}


def directly(server: Postgres) -> psycopg.Connection:
    """By the server's own socket, with no network between."""
    where = f"host={server.folder} port={server.port} user=postgres dbname=postgres"
    return psycopg.connect(where, autocommit=True)


def full(pool: Pool) -> None:
    """As many connections as it may have, all given back."""
    taken = [pool.getconn() for _ in range(pool.max_size)]
    for one in taken:
        one.execute("SELECT 1")
        pool.putconn(one)


def run_query(pool: Pool) -> None:
    one = pool.getconn()
    try:
        one.execute("SELECT 1")
    finally:
        pool.putconn(one)
