"""A process that is frozen in a transaction, on PostgreSQL: its row locks must not outlast it."""
import psycopg
import pytest

from deployer import environment


@pytest.fixture
def options(postgres, monkeypatch) -> dict:
    """How the product connects, as psycopg takes it."""
    monkeypatch.setenv("DATABASE_URL", postgres.url("postgres"))
    made = environment.database("DATABASE_URL", "", 4)
    return {
        "host": made["HOST"], "port": made["PORT"], "user": made["USER"], "dbname": made["NAME"],
        "options": made["OPTIONS"]["options"],
    }  # fmt: skip


def test_a_transaction_that_stands_still_loses_its_locks_and_somebody_else_goes_on(options):
    with psycopg.connect(**options, autocommit=True) as other:
        other.execute("CREATE TABLE IF NOT EXISTS standing (id int)")
        other.execute("INSERT INTO standing VALUES (1)")
        frozen = psycopg.connect(**options)
        frozen.execute("SELECT id FROM standing FOR UPDATE")
        other.execute("SET lock_timeout = '15s'")
        other.execute("UPDATE standing SET id = 2")  # waits for the one that stands still, and not for ever
        with pytest.raises(psycopg.errors.IdleInTransactionSessionTimeout):
            frozen.execute("SELECT 1")
        other.execute("DROP TABLE standing")
