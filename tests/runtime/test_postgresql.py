"""Connections to PostgreSQL: every wait has its limit, and a server that comes back is used again at once."""

import contextlib
import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from psycopg_pool.sched import Scheduler

from runtime import database_url
from runtime.postgresql import connection, limits
from runtime.postgresql.connection import Connection
from runtime.postgresql.pool import Pool
from tests.integrations.servers import Authority
from tests.lab import cable
from tests.lab.busy import within
from tests.lab.network import wait_until
from tests.lab.pgbouncer import PgBouncer
from tests.lab.postgres import Postgres, _server_user

away = pytest.mark.found("away")
settings = pytest.mark.found("settings")
PASSWORD = "canary-of-the-database"


@pytest.fixture
def server():
    with Postgres() as one:
        yield one


def options(monkeypatch, url: str) -> dict:
    """How the product's web process connects to `url`, as Connection.connect takes it."""
    monkeypatch.setattr(limits, "chosen", limits.WEB)  # a test before this one may have been a worker
    monkeypatch.setenv("DATABASE_URL", url)
    made = database_url.database("DATABASE_URL", "", 8)
    given = {name: value for name, value in made["OPTIONS"].items() if name != "pool"}
    names = {"user": "USER", "password": "PASSWORD", "host": "HOST", "port": "PORT", "dbname": "NAME"}
    return {**given, **{name: made[word] for name, word in names.items()}, "autocommit": True}


@pytest.fixture
def pool(monkeypatch):
    """`pool(url)`: a pool as the product makes it."""
    made: list[Pool] = []

    def make(url: str) -> Pool:
        made.append(Pool(max_size=8, kwargs=options(monkeypatch, url)))
        made[-1].open()
        return made[-1]

    yield make
    for one in made:
        one.close(1)
    Connection.failing = False


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


def asked(pool: Pool) -> None:
    one = pool.getconn()
    try:
        one.execute("SELECT 1")
    finally:
        pool.putconn(one)


# ---- a server that was away -----------------------------------------------------------------------------------------


@away
def test_restart_drops_old_connections(server, pool):
    """As many requests as there were connections failed, however long ago it was."""
    used = pool(server.url("postgres"))
    full(used)
    server.kill()
    server.run()
    for _ in range(2 * used.max_size):
        asked(used)


@away
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
                asked(used)
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
    assert len(pauses) > 4 and max(pauses) < 3, "they begin anew before they are long"


@away
def test_fails_fast_while_away(server, pool):
    used = pool(server.url("postgres"))
    full(used)
    server.kill()
    with pytest.raises(psycopg.Error):
        asked(used)
    began = time.monotonic()
    with pytest.raises(psycopg.Error):
        asked(used)
    assert time.monotonic() - began < within(5)


@away
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
    asked(used)


@away
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


@away
@pytest.mark.skipif(bool(cable.why_not()), reason=cable.why_not() or "it is there")
def test_both_ends_notice_a_cut_line(monkeypatch):
    """17 minutes it took. The server gives up the session, with its locks, as its client does."""
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


@away
def test_checks_recent_connections_without_a_round_trip(server, monkeypatch):
    one = Connection.connect(**options(monkeypatch, server.url("postgres")))
    with directly(server) as direct:
        asked = "SELECT query_start FROM pg_stat_activity WHERE pid = %s"
        before = direct.execute(asked, [one.info.backend_pid]).fetchone()
        one.check()
        assert direct.execute(asked, [one.info.backend_pid]).fetchone() == before
        monkeypatch.setattr(connection, "CHECK_AFTER", 0.0)
        one.check()
        assert direct.execute(asked, [one.info.backend_pid]).fetchone() != before
        # A server that closed its end is seen at once, however fresh the connection is.
        monkeypatch.setattr(connection, "CHECK_AFTER", 1e9)
        direct.execute("SELECT pg_terminate_backend(%s)", [one.info.backend_pid])
        wait_until(lambda: not one.is_silent, 10)
        with pytest.raises(psycopg.OperationalError):
            one.check()


# ---- several hosts --------------------------------------------------------------------------------------------------


@settings
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


# ---- TLS ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def authority() -> Authority:
    return Authority()


@contextlib.contextmanager
def over_tls(authority: Authority, asks: bool = False):
    """A server that speaks TLS with a certificate of this authority. `asks`: for a client's certificate of it, too."""
    with Postgres() as server:
        assert server.folder is not None and server.process is not None
        certificate, key = authority.issue("database")
        user = _server_user()
        for file, text in (("server.crt", certificate), ("server.key", key), ("root.crt", authority.pem)):
            path = server.folder / "data" / file
            path.write_text(text)
            path.chmod(0o600)
            if os.geteuid() == 0:
                os.chown(path, user.pw_uid, user.pw_gid)
        with (server.folder / "data" / "postgresql.auto.conf").open("a") as more:
            more.write("ssl = on\n" + ("ssl_ca_file = 'root.crt'\n" if asks else ""))
        if asks:
            rules = server.folder / "data" / "pg_hba.conf"
            rules.write_text("hostssl all all 127.0.0.1/32 trust clientcert=verify-ca\n" + rules.read_text())
        server.kill()
        server.run()
        yield server


def url_of(server: Postgres, query: str, host: str = "127.0.0.1") -> str:
    return f"postgresql://postgres:{PASSWORD}@{host}:{server.port}/postgres?{query}"


@settings
def test_refuses_untrusted_certificates(monkeypatch, authority, tmp_path):
    with over_tls(authority) as server:
        with pytest.raises(psycopg.OperationalError, match="certificate verify failed") as caught:
            Connection.connect(**options(monkeypatch, url_of(server, "sslmode=require")))
        assert PASSWORD not in str(caught.value)
        unverified = options(monkeypatch, url_of(server, "sslmode=require&ssl_cert_reqs=none"))
        with Connection.connect(**unverified) as one:
            assert one.pgconn.ssl_in_use


@settings
def test_accepts_certificates_of_the_configured_ca(monkeypatch, authority, tmp_path):
    ca = tmp_path / "ca.pem"
    ca.write_text(authority.pem)
    with over_tls(authority) as server:
        with Connection.connect(**options(monkeypatch, url_of(server, f"sslmode=require&sslrootcert={ca}"))) as one:
            assert one.pgconn.ssl_in_use
        with pytest.raises(psycopg.OperationalError, match="does not match host name"):
            Connection.connect(**options(monkeypatch, url_of(server, f"sslrootcert={ca}", "localhost")))


@settings
def test_presents_the_client_certificate(monkeypatch, authority, tmp_path):
    certificate, key = authority.issue("deployer")
    for name, text in (("ca", authority.pem), ("crt", certificate), ("key", key)):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o600)
    trusts = f"sslmode=require&sslrootcert={tmp_path}/ca"
    with over_tls(authority, asks=True) as server:
        with pytest.raises(psycopg.OperationalError, match="client certificate"):
            Connection.connect(**options(monkeypatch, url_of(server, trusts)))
        shown = f"{trusts}&sslcert={tmp_path}/crt&sslkey={tmp_path}/key"
        with Connection.connect(**options(monkeypatch, url_of(server, shown))) as one:
            assert one.pgconn.ssl_in_use


# ---- poolers --------------------------------------------------------------------------------------------------------


@settings
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
        # Nothing of it is left in a session that may be somebody else's next.
        assert one.execute("SHOW lock_timeout").fetchone() == ("0",)
        one.close()


@settings
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


@settings
def test_newer_servers_limit_transactions():
    assert "transaction_timeout" not in limits.of_transactions(limits.WEB, 160009)
    assert limits.of_transactions(limits.WEB, 170001)["transaction_timeout"] == "30000"


def test_pool_serves_concurrent_requests(server, pool):
    used = pool(server.url("postgres"))
    with ThreadPoolExecutor(32) as threads:
        list(threads.map(lambda _: asked(used), range(200)))
