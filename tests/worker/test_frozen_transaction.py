"""A process that is frozen in a transaction on PostgreSQL: its locks must not outlast it, nor block other sessions."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psycopg
import pytest
from django.db import connection, connections

from microservice.models import Operation
from runtime import database_url
from runtime.postgresql import limits, stuck_sessions
from tests.lab import surroundings
from tests.lab.busy import within
from tests.worker.operations import done, upgrade, wait_for
from worker import claims
from worker.writer import BatchWriter

pytestmark = pytest.mark.found("away")
# SQLite has no sessions, and no lock on a row: there these tests do not exist, so that they are not counted as passed.
on_postgresql = lambda test: test if surroundings.ON_POSTGRESQL else None
ROOT = Path(__file__).resolve().parents[2]
# A client as the product's own connections are, that stops half way through what it sends: the server has carried out
# the first statement of its pipeline and waits for the rest of the second one.
HALF_SENT = """
import os, signal, socket, sys
from runtime import database_url
from runtime.postgresql.connection import Connection
made = database_url.database("DATABASE_URL", "", 4)
options = {k: v for k, v in made["OPTIONS"].items() if k != "pool"}
line = Connection.connect(host=made["HOST"], port=made["PORT"], user=made["USER"], dbname=made["NAME"], **options)
line.autocommit = True
line.execute("BEGIN")
with line.pipeline():
    line.execute(sys.argv[1])
    line.pgconn.flush()
    # The head of a Parse message that says it is 1,000 bytes long, and a few of them.
    os.write(line.pgconn.socket, b"P" + (1000).to_bytes(4, "big") + b"\\0INSERT")
    print(line.info.backend_pid, flush=True)
    os.kill(os.getpid(), signal.SIGSTOP)
"""


@pytest.fixture
def options(postgres, monkeypatch) -> dict:
    """How the product connects, as its connections take it."""
    monkeypatch.setenv("DATABASE_URL", postgres.url("postgres"))
    made = database_url.database("DATABASE_URL", "", 4)
    given = {name: value for name, value in made["OPTIONS"].items() if name != "pool"}
    return {"host": made["HOST"], "port": made["PORT"], "user": made["USER"], "dbname": made["NAME"], **given}


def test_frozen_transaction_loses_its_locks(options):
    from runtime.postgresql.connection import Connection

    with Connection.connect(**options, autocommit=True) as other:
        other.execute("CREATE TABLE IF NOT EXISTS standing (id int)")
        other.execute("INSERT INTO standing VALUES (1)")
        frozen = Connection.connect(**options)
        frozen.execute("SELECT id FROM standing FOR UPDATE")
        other.execute("SET lock_timeout = '15s'")
        other.execute("UPDATE standing SET id = 2")  # waits for the one that stands still, and not for ever
        with pytest.raises(psycopg.errors.IdleInTransactionSessionTimeout):
            frozen.execute("SELECT 1")
        other.execute("DROP TABLE standing")


@pytest.fixture
def stopped(database_url):
    """`stopped(sql)`: a client that carried this out in a transaction and then stopped in the middle of a message."""
    started: list[subprocess.Popen] = []

    def start(sql: str) -> int:
        environment = {**os.environ, "DATABASE_URL": database_url, "DJANGO_SETTINGS_MODULE": "deployer.settings"}
        command = [sys.executable, "-c", HALF_SENT, sql]
        one = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE)
        started.append(one)
        assert one.stdout is not None
        return int(one.stdout.readline())

    yield start
    for one in started:
        one.send_signal(signal.SIGCONT)
        one.kill()
        one.wait()


def state_of(pid: int) -> tuple | None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT state, wait_event FROM pg_stat_activity WHERE pid = %s", [pid])
        return cursor.fetchone()


@on_postgresql
@pytest.mark.django_db(transaction=True)
def test_client_frozen_in_message_is_ended(stopped):
    """The server's own limits do not end it, as is shown too; the sweep of any worker does."""
    deployment = upgrade(2)
    pid = stopped(f"SELECT id FROM operation WHERE deployment_id = {deployment.pk} FOR UPDATE")
    assert wait_for(lambda: state_of(pid) == ("active", "ClientRead"), 10)
    time.sleep(limits.WEB.idle / 1000 + 1)
    assert state_of(pid) == ("active", "ClientRead")
    assert free_operations() == 0
    given = connection.settings_dict["OPTIONS"]["given"]
    assert given["idle_in_transaction_session_timeout"] == "60000"  # the tests' own, for this process
    del given["idle_in_transaction_session_timeout"]
    try:
        assert stuck_sessions.terminate_stuck_sessions() == 1
    finally:
        given["idle_in_transaction_session_timeout"] = "60000"
    assert wait_for(lambda: state_of(pid) is None and free_operations() == 2, 10)


def free_operations() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM (SELECT id FROM operation FOR UPDATE SKIP LOCKED) free")
        return cursor.fetchone()[0]


@on_postgresql
@pytest.mark.django_db(transaction=True)
def test_other_sessions_are_left_alone(options, database_url):
    upgrade(1)
    url = database_url.partition("?")[0]
    foreign, own = (psycopg.connect(url, application_name=name) for name in ("psql", "deployer"))
    with foreign, own:
        foreign.execute("SELECT id FROM deployment FOR UPDATE")
        own.execute("SELECT id FROM operation FOR UPDATE")
        assert stuck_sessions.terminate_stuck_sessions() == 0
        foreign.execute("SELECT 1")
        own.execute("SELECT 1")


@pytest.fixture
def writers(transactional_db, monkeypatch):
    made = []

    def make(name="w1", slots=32):
        made.append(BatchWriter(name, slots))
        return made[-1]

    monkeypatch.setattr(limits, "chosen", limits.WORKER)
    connections.close_all()
    connection.close_pool()
    yield make
    for one in made:
        one.close()


class Holder:
    """A process that holds rows in a transaction for as long as the test requires."""

    def __init__(self, sql: str):
        self._over, held = threading.Event(), threading.Event()

        def hold() -> None:
            from django.db import transaction

            try:
                with transaction.atomic(), connection.cursor() as cursor:
                    cursor.execute(sql)
                    held.set()
                    self._over.wait(60)
            finally:
                connections.close_all()

        self._thread = threading.Thread(target=hold)
        self._thread.start()
        assert held.wait(20)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._over.set()
        self._thread.join()


@on_postgresql
@pytest.mark.parametrize("rows", ["deployment", "operation", "micro_service_instance"])
def test_locked_row_does_not_block_takeovers(writers, settings, rows):
    settings.OPERATION_LEASE_SECONDS = 2
    held_up, others = upgrade(2, "held"), upgrade(8, "free")
    dead = writers("dead")
    assert len(dead.claim_many(10)) == 10
    dead.close()
    column = {"deployment": "id", "operation": "deployment_id", "micro_service_instance": "lock_deployment_id"}
    with Holder(f"SELECT id FROM {rows} WHERE {column[rows]} = {held_up.pk} FOR UPDATE"):
        time.sleep(2.5)
        alive = writers("alive")
        taken: list = []
        assert wait_for(lambda: taken.extend(alive.claim_many(32)) or len(taken) >= 8, 20)
        free = {claim.operation.pk for claim in taken if claim.operation.deployment_id == others.pk}
        assert len(free) == 8


@on_postgresql
@pytest.mark.parametrize("rows", ["deployment", "operation"])
def test_locked_row_does_not_block_leases_and_endings(writers, settings, rows):
    settings.OPERATION_LEASE_SECONDS = 6
    held_up, others = upgrade(1, "held"), upgrade(3, "free")
    batch = writers("batch")
    taken = {claim.operation.deployment_id: claim for claim in batch.claim_many(10)}
    assert set(taken) == {held_up.pk, others.pk}
    where = "id" if rows == "deployment" else "deployment_id"
    waiting = threading.Thread(target=lambda: batch.finish(done(taken[held_up.pk])))
    with Holder(f"SELECT id FROM {rows} WHERE {where} = {held_up.pk} FOR UPDATE"):
        waiting.start()
        began = time.monotonic()
        assert batch.finish(done(taken[others.pk])) is True
        assert time.monotonic() - began < within(5)
        time.sleep(settings.OPERATION_LEASE_SECONDS)  # the others' leases are renewed meanwhile
        running = Operation.objects.filter(deployment=others, status="running")
        assert running.count() == 2 and not running.filter(lease__lt=claims.Now()).exists()
        assert waiting.is_alive()
    waiting.join(20)
    assert not waiting.is_alive()
    assert Operation.objects.get(deployment=held_up).status == "succeeded"
