"""A PostgreSQL server, and pools as the product makes them."""

import pytest

from tests.lab.postgres import Postgres


@pytest.fixture
def server():
    """Yield a PostgreSQL server of this test alone, which it may kill."""
    with Postgres() as one:
        yield one


@pytest.fixture
def pool(monkeypatch):
    """Yield `pool(url)`, which opens a pool as the product makes it."""
    from runtime.postgresql.connection import Connection  # psycopg is loaded where it is needed
    from runtime.postgresql.pool import Pool

    from .connections import options

    made: list[Pool] = []

    def make(url: str) -> Pool:
        made.append(Pool(max_size=8, kwargs=options(monkeypatch, url)))
        made[-1].open()
        return made[-1]

    yield make
    for one in made:
        one.close(1)
    Connection.failing = False
