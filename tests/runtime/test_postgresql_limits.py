"""Time limits of statements, locks and transactions, with and without a pooler."""

import psycopg
import pytest

from runtime.postgresql import limits
from runtime.postgresql.connection import Connection
from tests.lab.pgbouncer import PgBouncer

from .connections import options


@pytest.mark.found("away")
def test_limits_statements_and_lock_waits(server, monkeypatch):
    query = "?options=-c%20statement_timeout%3D1s%20-c%20lock_timeout%3D500"
    given = options(monkeypatch, server.url("postgres") + query)
    with Connection.connect(**given) as one, Connection.connect(**given) as other:
        with pytest.raises(psycopg.errors.QueryCanceled):
            one.execute("SELECT pg_sleep(30)")
        one.execute("CREATE TABLE t (id int)")
        with one.transaction():
            one.execute("LOCK TABLE t")
            with pytest.raises(psycopg.errors.LockNotAvailable):
                other.execute("SELECT * FROM t")


@pytest.mark.found("settings")
@pytest.mark.parametrize("mode", ["session", "transaction"])
def test_limits_transactions_through_a_pooler(server, monkeypatch, mode):
    with PgBouncer(server, mode) as pooler:
        one = Connection.connect(**options(monkeypatch, pooler.url("postgres")))
        assert "lock_timeout" in one.in_each_transaction
        one.execute("BEGIN")
        one.begin_within_limits()
        assert one.execute("SHOW idle_in_transaction_session_timeout").fetchone() == ("5s",)
        assert one.execute("SHOW lock_timeout").fetchone() == ("10s",)
        one.execute("COMMIT")
        # No setting is left in a session that another client may get next.
        assert one.execute("SHOW lock_timeout").fetchone() == ("0",)
        one.close()


@pytest.mark.found("settings")
def test_limits_sessions_without_a_pooler(server, monkeypatch):
    with Connection.connect(**options(monkeypatch, server.url("postgres"))) as one:
        assert one.in_each_transaction == ""
        wanted = {
            "idle_in_transaction_session_timeout": "5s",
            "lock_timeout": "10s",
            "statement_timeout": "20s",
            "tcp_user_timeout": "6000",
        }
        assert {name: one.execute(f"SHOW {name}").fetchone()[0] for name in wanted} == wanted


@pytest.mark.found("settings")
def test_newer_servers_limit_transactions():
    assert "transaction_timeout" not in limits.of_transactions(limits.WEB, 160009)
    assert limits.of_transactions(limits.WEB, 170001)["transaction_timeout"] == "30000"
