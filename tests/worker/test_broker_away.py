"""A broker that is unreachable or answers errors does no harm: rows are carried out, nothing waits, no worker ends.

Real workers and a real broker; a proxy between them does what networks and servers do.
"""

import subprocess
import sys
import time

import pytest
import requests
from django.contrib.auth import get_user_model

from access.tokens import make_token
from microservice.models import Deployment, Heartbeat
from microservice.status import DeploymentStatus
from tests.lab import faulty_proxy
from tests.lab.busy import within
from tests.lab.faulty_proxy import FaultyProxy
from tests.lab.fleet import Fleet
from tests.lab.network import wait_until
from tests.lab.rabbitmq import RabbitMq
from tests.lab.sentinel import Watched
from tests.lab.web import Web
from tests.lab.worker import ROOT

from .broker_faults import ANSWERS, MODES, listens

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True), pytest.mark.found("away")]

SOON = 10.0  # seconds within which everything works again, and within which the rows are begun meanwhile


ASK = """
import sys, time, django
django.setup()
from access.callers import SYSTEM
from microservice.models import MicroServiceVersion
from tests.microservice.deployments.requests import change_version, install
action, old, new, *hosts = sys.argv[1:]
one, two = (MicroServiceVersion.objects.get(pk=int(pk)) for pk in (old, new))
if action == "install":
    install(SYSTEM, one, [int(pk) for pk in hosts])
else:
    change_version(SYSTEM, *((two, one) if action == "revert" else (one, two)), action, host="all")
time.sleep(4)  # as a web process does: it lives on while its messages are sent
"""


def request(fleet: Fleet, environment: dict, url: str, action: str) -> None:
    """Send a request from a process of its own, whose messages go to this broker; wait until it is carried out."""
    words = [action, *(str(version.pk) for version in fleet.versions[:2]), *(str(host.pk) for host in fleet.assets)]
    subprocess.run(
        [sys.executable, "-c", ASK, *words],
        check=True,
        cwd=ROOT,
        timeout=90,
        env={**environment, "BROKER_URL": url, "DJANGO_SETTINGS_MODULE": "deployer.settings"},
    )
    assert fleet.ended(Deployment.objects.latest("pk"), 30).status == DeploymentStatus.SUCCEEDED


@pytest.mark.parametrize("kind", ANSWERS)
def test_worker_survives_broker_error(proxy, deaf_worker, kind):
    proxy.mode = ANSWERS[kind]
    worker = deaf_worker(proxy.url)
    worker.wait_for("the broker is unreachable (")
    time.sleep(1)
    assert worker.running() and "Traceback" not in worker.log()


@pytest.mark.parametrize("kind", ["replica", "no password", "refused", "frozen", "lost"])
def test_starts_without_broker(fleet, proxy, deaf_worker, kind):
    proxy.mode = MODES[kind]
    worker = deaf_worker(proxy.url)
    fleet.install(0)
    fleet.agrees(0)
    assert worker.running() and not listens()
    proxy.mode = faulty_proxy.PASS
    wait_until(listens, SOON)
    assert worker.running() and "Traceback" not in worker.log()


def test_works_on_without_broker(fleet, proxy, deaf_worker):
    """The worker sweeps so rarely that only a message can have woken it after the broker's return."""
    worker = deaf_worker(proxy.url, SWEEP_INTERVAL="120")
    wait_until(listens, SOON)
    fleet.install(0)
    version = 0
    for kind in ("replica", "another program", "refused", "frozen", "lost"):
        proxy.mode = MODES[kind]
        version = 1 - version
        begun = time.monotonic()
        ended = fleet.go("upgrade" if version else "revert", 1 - version, version)
        assert ended.status == DeploymentStatus.SUCCEEDED, kind
        print(f"{kind}: carried out after {time.monotonic() - begun:.1f} s")
        wait_until(lambda: not listens(), SOON)
        proxy.mode = faulty_proxy.PASS
        begun = time.monotonic()
        wait_until(listens, SOON)
        print(f"{kind}: heard again after {time.monotonic() - begun:.1f} s")
        assert worker.running(), kind
    fleet.agrees(version)


def test_stops_without_broker(fleet, proxy, deaf_worker):
    for mode in (faulty_proxy.REFUSE, faulty_proxy.FREEZE, ANSWERS["replica"]):
        proxy.mode = faulty_proxy.PASS
        worker = deaf_worker(proxy.url)
        wait_until(listens, SOON)
        proxy.mode = mode
        time.sleep(2)
        worker.process.terminate()
        assert worker.process.wait(within(20)) == 0
        Heartbeat.objects.all().delete()


def test_follows_sentinel_failover(fleet, environment, deaf_worker, short_tmp):
    """The worker sweeps so rarely that only a message can have woken it after the failover."""
    with Watched(short_tmp / "s", password="of-the-broker") as servers:
        worker = deaf_worker(servers.url, SWEEP_INTERVAL="120")
        wait_until(listens, SOON)
        before = worker.log().count("received")
        request(fleet, environment, servers.url, "install")
        assert worker.log().count("received") > before, "woken by a message"
        servers.kill_master()
        wait_until(lambda: not listens(), 15)
        wait_until(listens, SOON)
        before = worker.log().count("received")
        request(fleet, environment, servers.url, "upgrade")
        assert worker.running() and worker.log().count("received") > before, "woken by a message of the new master"
        fleet.agrees(1)


def test_works_on_without_rabbitmq(fleet, deaf_worker, environment, short_tmp):
    with RabbitMq(short_tmp / "rabbit") as server, FaultyProxy(server.port, "amqp") as proxy:
        worker = deaf_worker(proxy.url, SWEEP_INTERVAL="120")
        wait_until(listens, SOON)
        request(fleet, environment, server.url, "install")
        version = 0
        for mode in (faulty_proxy.FREEZE, faulty_proxy.LOSE, ANSWERS["another program"], "killed"):
            if mode == "killed":
                server.stop()
            else:
                proxy.mode = mode
            wait_until(lambda: not listens(), 30)
            version = 1 - version
            fleet.go("upgrade" if version else "revert", 1 - version, version)
            if mode == "killed":
                server.start()
            else:
                proxy.mode = faulty_proxy.PASS
            begun = time.monotonic()
            wait_until(listens, SOON)
            print(f"RabbitMQ, {mode!r}: heard again after {time.monotonic() - begun:.1f} s")
            assert worker.running(), mode
        before = worker.log().count("received")
        request(fleet, environment, server.url, "revert" if version else "upgrade")
        assert worker.log().count("received") > before, "woken by a message"


def test_answers_requests_without_broker(fleet, proxy, environment, deaf_worker, tmp_path):
    """A real web process and a real worker without a broker: 202 at once, and the request is carried out."""
    user = get_user_model().objects.create_user("ann", is_superuser=True)
    headers = {"Authorization": f"Bearer {make_token(user, 'test', ['read', 'deploy'])[1]}"}
    deaf_worker(proxy.url)
    fleet.install(0)
    version = 0
    with Web({**environment, "BROKER_URL": proxy.url}, tmp_path / "web.log") as web:
        usual = 0.0
        for kind in ("there", "there, and everything was loaded", "frozen", "refused", "lost", "replica"):
            proxy.mode = MODES.get(kind, faulty_proxy.PASS)
            version, old = 1 - version, fleet.versions[version]
            word = "upgrade" if version else "revert"
            begun = time.monotonic()
            answer = requests.post(
                f"{web.url}/api/v1/services/shop/versions/{old.pk}/{word}",
                headers=headers,
                timeout=30,
                json={"host": "all", "dest_version": fleet.versions[version].pk},
            )
            took = time.monotonic() - begun
            assert answer.status_code == 202, answer.text
            if kind not in MODES:
                usual = took
            # The machine may be busy; but a broker that is waited for costs three seconds at least.
            assert kind not in MODES or took < 3 * usual + 2, f"{kind}: {took:.1f} s, and {usual:.1f} s with a broker"
            assert fleet.ended(Deployment.objects.latest("pk"), 30).status == DeploymentStatus.SUCCEEDED
            time.sleep(1.1)  # readyz remembers an answer for a second
            ready = requests.get(f"{web.url}/readyz", timeout=10)
            assert (ready.status_code, ready.json()["degraded"]) == (200, kind in MODES), ready.text
