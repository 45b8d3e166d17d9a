"""What /healthz, /readyz and /metrics answer."""

import time
from contextlib import contextmanager
from datetime import timedelta

import pytest
from django.db import DatabaseError, InterfaceError, connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from deployer import broker_check
from microservice.models import Heartbeat, Operation
from microservice.status import OperationStatus
from runtime.broker_url import transport_options
from runtime.celery_app import app
from tests import factories
from tests.lab import faulty_proxy
from tests.lab.busy import within
from tests.lab.faulty_proxy import FaultyProxy

pytestmark = pytest.mark.django_db


def worker(seconds_ago=1, slots=8):
    return Heartbeat.objects.create(
        worker=f"w{seconds_ago}", seen=timezone.now() - timedelta(seconds=seconds_ago), slots=slots
    )


def test_live_without_queries(client, django_assert_num_queries):
    with django_assert_num_queries(0):
        answer = client.get("/healthz")
    assert (answer.status_code, answer.content) == (200, b"ok\n")


def test_ready_with_database_broker_and_worker(client, broker):
    worker()
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()) == (
        200,
        {"ready": True, "degraded": False, "database": "ok", "broker": "ok", "worker": "ok"},
    )


def test_not_ready_without_a_recent_worker(client, broker):
    assert client.get("/readyz").json()["worker"].startswith("none seen")
    worker(seconds_ago=61)
    answer = client.get("/readyz")
    assert answer.status_code == 503 and answer.json()["worker"] != "ok" and answer.json()["broker"] == "ok"


@pytest.mark.found("away")
@pytest.mark.parametrize(
    "mode", [faulty_proxy.REFUSE, faulty_proxy.FREEZE, b"-LOADING it is loading\r\n", b"\x00garbage", "replica", "full"]
)
def test_stays_ready_without_the_broker(client, broker, mode):
    """A greeting proves nothing: a replica and a full server greet as usual."""
    worker()
    with FaultyProxy(broker.path) as proxy, app_of(proxy.url) as check:
        assert check() == "ok"
        if mode == "replica":
            broker.ask("REPLICAOF 127.0.0.1 1")
        elif mode == "full":
            broker.ask("CONFIG SET maxmemory 1")
        else:
            proxy.mode = mode
        time.sleep(1.1)  # an answer is remembered for a second
        started = time.monotonic()
        try:
            answer = client.get("/readyz")
        finally:
            broker.kill()
        assert time.monotonic() - started < within(4)
        body = answer.json()
        assert (answer.status_code, body["ready"], body["degraded"], body["worker"]) == (200, True, True, "ok")
        assert body["broker"].startswith("away (") and "/" not in body["broker"]


@pytest.mark.found("away")
@pytest.mark.parametrize("error", [DatabaseError, InterfaceError, RuntimeError, OSError])
def test_probes_never_answer_500(client, broker, monkeypatch, error):
    client.raise_request_exception = False

    def away(*_, **__):
        raise error("connection to 10.0.0.1 as secret-user failed")

    monkeypatch.setattr(connection, "cursor", away)
    for path, status in (("/healthz", 200), ("/readyz", 503), ("/metrics", 503)):
        answer = client.get(path)
        assert answer.status_code == status, path
        assert b"secret-user" not in answer.content


@contextmanager
def app_of(url):
    """Let the product's own Celery app use another broker; yield a function that checks it."""
    before = app.conf.broker_url, app.conf.broker_transport_options
    app.conf.broker_url, app.conf.broker_read_url, app.conf.broker_write_url = url, url, url
    app.conf.broker_transport_options = transport_options("redis")
    try:
        yield lambda: broker_check.BrokerCheck().look(2)
    finally:
        app.conf.broker_url, app.conf.broker_transport_options = before
        app.conf.broker_read_url = app.conf.broker_write_url = before[0]


@pytest.mark.parametrize(
    ("meta", "told"),
    [
        ({}, True),
        ({"REMOTE_ADDR": "192.0.2.1"}, False),
        ({"HTTP_X_FORWARDED_FOR": "127.0.0.1"}, False),  # through a proxy that is not configured
        ({"REMOTE_ADDR": "10.0.0.1", "HTTP_X_FORWARDED_FOR": "192.0.2.1"}, False),
        ({"REMOTE_ADDR": "10.0.0.1", "HTTP_X_FORWARDED_FOR": "127.0.0.1"}, True),
        ({"REMOTE_ADDR": "192.0.2.1", "HTTP_AUTHORIZATION": "Bearer wrong"}, False),
    ],
)
def test_anonymous_callers_see_only_readiness(client, broker, settings, meta, told):
    settings.TRUSTED_PROXIES = ["10.0.0.1"]
    answer = client.get("/readyz", **meta)
    assert answer.status_code == 503
    assert answer.json()["ready"] is False
    assert (set(answer.json()) == {"ready", "degraded", "database", "broker", "worker"}) is told
    assert told or set(answer.json()) == {"ready"}


def test_authenticated_callers_see_details(client, admin_user, broker):
    client.force_login(admin_user)
    assert "worker" in client.get("/readyz", REMOTE_ADDR="192.0.2.1").json()


def test_counts_metrics_from_rows(client):
    worker()
    worker(seconds_ago=90)
    deployment = factories.running(3)
    Operation.objects.filter(pk=deployment.operations.first().pk).update(status=OperationStatus.QUEUED)
    type(deployment).objects.filter(pk=deployment.pk).update(created=timezone.now() - timedelta(seconds=100))
    answer = client.get("/metrics")
    lines = answer.content.decode().splitlines()
    for line in (
        'deployer_deployments{status="running"} 1.0',
        'deployer_operations{status="running"} 2.0',
        'deployer_operations{status="queued"} 1.0',
        'deployer_operations{status="unknown"} 0.0',
        "deployer_workers 1.0",
        "deployer_worker_slots 8.0",
        "deployer_workers_without_broker 0.0",
    ):
        assert line in lines
    age = next(float(line.split()[1]) for line in lines if line.startswith("deployer_queue_age_seconds "))
    assert 99 < age < 110
    assert answer["Content-Type"].startswith("text/plain")


def test_metrics_have_constant_queries(client):
    def cost():
        with CaptureQueriesContext(connection) as queries:
            client.get("/metrics")
        return len(queries)

    few = cost()
    factories.running(20)
    assert cost() == few <= 4
