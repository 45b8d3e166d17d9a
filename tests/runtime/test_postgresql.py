"""Connections to PostgreSQL while a server is away, frozen or replaced: every wait has its limit."""

import contextlib
import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from psycopg_pool.sched import Scheduler

from runtime.postgresql import connection, limits
from runtime.postgresql.connection import Connection
from tests.lab import cable
from tests.lab.busy import within
from tests.lab.network import wait_until
from tests.lab.postgres import Postgres

from .connections import directly, full, options, run_query


@pytest.mark.found("away")
def test_restart_drops_old_connections(server, pool):
    """As many requests as there were connections failed, however long ago it was."""
    used = pool(server.url("postgres"))
    full(used)
    server.kill()
    server.run()
    for _ in range(2 * used.max_size):
        run_query(used)


@pytest.mark.found("away")
@pytest.mark.parametrize("seconds", [7.3])
def test_reconnects_within_seconds(server, pool, monkeypatch, seconds):
    used = pool(server.url("postgres"))
    full(used)
    server.kill()
    over, first, pauses = threading.Event(), [], []
    enter = Scheduler.enter

    def noted(self, delay, action):
        if "AddConnection" in repr(action):
            pauses.append(delay)
        return enter(self, delay, action)

    monkeypatch.setattr(Scheduler, "enter", noted)

    def ask() -> None:
        while not over.wait(0.1):
            with contextlib.suppress(psycopg.Error):
                run_query(used)
                first.append(time.monotonic())
                return

    time.sleep(0.5)
    threads = [threading.Thread(target=ask) for _ in range(4)]
    for one in threads:
        one.start()
    time.sleep(seconds)
    server.run()
    back = time.monotonic()
    for one in threads:
        one.join(20)
    over.set()
    assert len(first) == 4 and max(first) - back < within(5)
    assert len(pauses) > 4 and max(pauses) < 3, "pauses restart before they are long"


@pytest.mark.found("away")
def test_fails_fast_while_away(server, pool):
    used = pool(server.url("postgres"))
    full(used)
    server.kill()
    with pytest.raises(psycopg.Error):
        run_query(used)
    began = time.monotonic()
    with pytest.raises(psycopg.Error):
        run_query(used)
    assert time.monotonic() - began < within(5)


@pytest.mark.found("away")
def test_gives_up_a_frozen_server(server, pool, monkeypatch):
    monkeypatch.setattr(limits, "ANSWER_SLACK", 0.5)
    used = pool(server.url("postgres") + "?options=-c%20statement_timeout%3D500")
    one = used.getconn()
    one.execute("SELECT 1")
    server.signal(signal.SIGSTOP)
    try:
        began = time.monotonic()
        with pytest.raises(psycopg.OperationalError, match="did not answer within 1 s"):
            one.execute("SELECT 1")
        assert time.monotonic() - began < within(10) and one.closed
        used.putconn(one)
    finally:
        server.signal(signal.SIGCONT)
    run_query(used)


@pytest.mark.found("away")
@pytest.mark.skipif(bool(cable.why_not()), reason=cable.why_not() or "it is there")
def test_both_ends_notice_a_cut_line(monkeypatch):
    """It took 17 minutes. The server ends the session, with its locks, as its client does."""
    with cable.Network() as network, Postgres(network=network) as server:
        given = options(monkeypatch, server.url("postgres"))
        with directly(server) as direct:
            direct.execute("CREATE TABLE t (id int)")
            line = Connection.connect(**given)
            line.execute("BEGIN")
            # Half of a message: the session is active, and no limit on idle ones holds.
            with contextlib.suppress(psycopg.OperationalError), line.pipeline():
                line.execute("LOCK TABLE t")
                line.pgconn.flush()
                os.write(line.pgconn.socket, b"P" + (1000).to_bytes(4, "big") + b"\0INSERT")
                held = "SELECT 1 FROM pg_locks WHERE relation = 't'::regclass"
                wait_until(lambda: direct.execute(held).fetchone(), 10)
                network.cut()
                began = time.monotonic()
                wait_until(lambda: direct.execute(held).fetchone() is None, 20)
                gone = time.monotonic() - began
            assert gone < within(15)
            with pytest.raises(psycopg.Error):
                line.execute("SELECT 1")
            assert time.monotonic() - began < within(25)
            network.heal()


@pytest.mark.found("away")
def test_checks_recent_connections_without_round_trip(server, monkeypatch):
    one = Connection.connect(**options(monkeypatch, server.url("postgres")))
    with directly(server) as direct:
        query = "SELECT query_start FROM pg_stat_activity WHERE pid = %s"
        before = direct.execute(query, [one.info.backend_pid]).fetchone()
        one.check()
        assert direct.execute(query, [one.info.backend_pid]).fetchone() == before
        monkeypatch.setattr(connection, "CHECK_AFTER", 0.0)
        one.check()
        assert direct.execute(query, [one.info.backend_pid]).fetchone() != before
        # A server that closed its end is seen at once, however fresh the connection is.
        monkeypatch.setattr(connection, "CHECK_AFTER", 1e9)
        direct.execute("SELECT pg_terminate_backend(%s)", [one.info.backend_pid])
        wait_until(lambda: not one.is_silent, 10)
        with pytest.raises(psycopg.OperationalError):
            one.check()


@pytest.mark.found("away")
def test_a_check_begins_no_transaction(server, monkeypatch):
    """A thread that ends inside of a transaction gives its connection back without autocommit. The statement that
    checks it later began another transaction, which no later thread could leave."""
    monkeypatch.setattr(connection, "CHECK_AFTER", 0.0)
    with Connection.connect(**options(monkeypatch, server.url("postgres"))) as one:
        one.autocommit = False
        one.check()
        assert one.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
        one.autocommit = True  # as Django sets it for each thread


@pytest.mark.found("settings")
def test_finds_the_primary_after_a_failover(monkeypatch, pool):
    class ReadOnly(Postgres):
        settings = [*Postgres.settings, "default_transaction_read_only=on"]

    with ReadOnly() as replica, Postgres() as primary:
        url = f"postgresql://postgres@127.0.0.1:1,127.0.0.1:{replica.port},127.0.0.1:{primary.port}/postgres"
        used = pool(url)
        one = used.getconn()
        assert one.info.port == primary.port
        used.putconn(one)
        direct = directly(primary)
        direct.execute("ALTER SYSTEM SET default_transaction_read_only = on")
        direct.execute("SELECT pg_reload_conf()")

        def refused() -> bool:
            line = used.getconn()
            try:
                line.execute("CREATE TABLE t (id int)")
                line.execute("DROP TABLE t")
            except psycopg.errors.ReadOnlySqlTransaction:
                return True
            finally:
                used.putconn(line)
            return False

        wait_until(refused, 10)
        replica.kill()
        replica.settings = Postgres.settings  # type: ignore[misc]
        replica.run()

        def writes() -> bool:
            with contextlib.suppress(psycopg.Error):
                line = used.getconn()
                try:
                    line.execute("CREATE TABLE IF NOT EXISTS t (id int)")
                    return line.info.port == replica.port
                finally:
                    used.putconn(line)
            return False

        wait_until(writes, 10)
        direct.close()


def test_pool_serves_concurrent_requests(server, pool):
    used = pool(server.url("postgres"))
    with ThreadPoolExecutor(32) as threads:
        list(threads.map(lambda _: run_query(used), range(200)))
