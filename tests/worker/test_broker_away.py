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
from tests.lab import moody
from tests.lab.busy import within
from tests.lab.fleet import Fleet
from tests.lab.moody import Moody
from tests.lab.network import wait_until
from tests.lab.rabbitmq import RabbitMq
from tests.lab.sentinel import Watched
from tests.lab.web import Web
from tests.lab.worker import ROOT, Worker

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True), pytest.mark.found("away")]
ANSWERS = {
    "replica": b"-READONLY You can't write against a read only replica.\r\n",
    "full disk": b"-MISCONF Valkey is configured to save RDB snapshots, but it is unable to persist on disk.\r\n",
    "loading": b"-LOADING Valkey is loading the dataset in memory\r\n",
    "no password": b"-NOAUTH Authentication required.\r\n",
    "wrong password": b"-WRONGPASS invalid username-password pair or user is disabled.\r\n",
    "full memory": b"-OOM command not allowed when used memory > 'maxmemory'.\r\n",
    "another program": b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
    "garbage": bytes(range(256)),
}
MOODS = {**ANSWERS, "refused": moody.REFUSE, "frozen": moody.FREEZE, "lost": moody.LOSE}
SOON = 10.0  # seconds within which everything works again, and within which the rows are begun meanwhile


@pytest.fixture
def fleet(transactional_db, sshds):
    return Fleet(sshds(2))


@pytest.fixture
def door(broker):
    with Moody(broker.path) as door:
        yield door


@pytest.fixture
def deaf_worker(environment, tmp_path):
    """`deaf_worker(url)` starts a worker that counts as ready when it works, whatever its broker does."""
    started: list[Worker] = []

    def start(url: str, **more: str) -> Worker:
        one = Worker(
            {**environment, "BROKER_URL": url, "SWEEP_INTERVAL": "3", **more},
            tmp_path / f"worker{len(started)}.log",
            sign=Worker.WORKING,
        )
        started.append(one)
        one.start()
        return one

    yield start
    for one in started:
        one.stop()


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


def listens() -> bool:
    return any(row.without_broker is None for row in Heartbeat.objects.all())


@pytest.mark.parametrize("kind", ANSWERS)
def test_worker_survives_broker_error(door, deaf_worker, kind):
    door.mood = ANSWERS[kind]
    worker = deaf_worker(door.url)
    worker.wait_for("the broker is unreachable (")
    time.sleep(1)
    assert worker.running() and "Traceback" not in worker.log()


@pytest.mark.parametrize("kind", ["replica", "no password", "refused", "frozen", "lost"])
def test_starts_without_broker(fleet, door, deaf_worker, kind):
    door.mood = MOODS[kind]
    worker = deaf_worker(door.url)
    fleet.install(0)
    fleet.agrees(0)
    assert worker.running() and not listens()
    door.mood = moody.PASS
    wait_until(listens, SOON)
    assert worker.running() and "Traceback" not in worker.log()


def test_works_on_without_broker(fleet, door, deaf_worker):
    """The worker sweeps so rarely that only a message can have woken it after the broker's return."""
    worker = deaf_worker(door.url, SWEEP_INTERVAL="120")
    wait_until(listens, SOON)
    fleet.install(0)
    version = 0
    for kind in ("replica", "another program", "refused", "frozen", "lost"):
        door.mood = MOODS[kind]
        version = 1 - version
        begun = time.monotonic()
        ended = fleet.go("upgrade" if version else "revert", 1 - version, version)
        assert ended.status == DeploymentStatus.SUCCEEDED, kind
        print(f"{kind}: carried out after {time.monotonic() - begun:.1f} s")
        wait_until(lambda: not listens(), SOON)
        door.mood = moody.PASS
        begun = time.monotonic()
        wait_until(listens, SOON)
        print(f"{kind}: heard again after {time.monotonic() - begun:.1f} s")
        assert worker.running(), kind
    fleet.agrees(version)


def test_stops_without_broker(fleet, door, deaf_worker):
    for mood in (moody.REFUSE, moody.FREEZE, ANSWERS["replica"]):
        door.mood = moody.PASS
        worker = deaf_worker(door.url)
        wait_until(listens, SOON)
        door.mood = mood
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
    with RabbitMq(short_tmp / "rabbit") as server, Moody(server.port, "amqp") as door:
        worker = deaf_worker(door.url, SWEEP_INTERVAL="120")
        wait_until(listens, SOON)
        request(fleet, environment, server.url, "install")
        version = 0
        for mood in (moody.FREEZE, moody.LOSE, ANSWERS["another program"], "killed"):
            if mood == "killed":
                server.stop()
            else:
                door.mood = mood
            wait_until(lambda: not listens(), 30)
            version = 1 - version
            fleet.go("upgrade" if version else "revert", 1 - version, version)
            if mood == "killed":
                server.start()
            else:
                door.mood = moody.PASS
            begun = time.monotonic()
            wait_until(listens, SOON)
            print(f"RabbitMQ, {mood!r}: heard again after {time.monotonic() - begun:.1f} s")
            assert worker.running(), mood
        before = worker.log().count("received")
        request(fleet, environment, server.url, "revert" if version else "upgrade")
        assert worker.log().count("received") > before, "woken by a message"


def test_answers_requests_without_broker(fleet, door, environment, deaf_worker, tmp_path):
    """A real web process and a real worker without a broker: 202 at once, and the request is carried out."""
    user = get_user_model().objects.create_user("ann", is_superuser=True)
    headers = {"Authorization": f"Bearer {make_token(user, 'test', ['read', 'deploy'])[1]}"}
    deaf_worker(door.url)
    fleet.install(0)
    version = 0
    with Web({**environment, "BROKER_URL": door.url}, tmp_path / "web.log") as web:
        usual = 0.0
        for kind in ("there", "there, and everything was loaded", "frozen", "refused", "lost", "replica"):
            door.mood = MOODS.get(kind, moody.PASS)
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
            if kind not in MOODS:
                usual = took
            # The machine may be busy; but a broker that is waited for costs three seconds at least.
            assert kind not in MOODS or took < 3 * usual + 2, f"{kind}: {took:.1f} s, and {usual:.1f} s with a broker"
            assert fleet.ended(Deployment.objects.latest("pk"), 30).status == DeploymentStatus.SUCCEEDED
            time.sleep(1.1)  # readyz remembers an answer for a second
            ready = requests.get(f"{web.url}/readyz", timeout=10)
            assert (ready.status_code, ready.json()["degraded"]) == (200, kind in MOODS), ready.text
