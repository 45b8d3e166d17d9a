"""A broker that is away, or answers an error, is of no consequence: rows are carried out, nobody waits, and no worker
ends. Real workers, a real broker, and between them a door that does what networks and servers do."""
import time

import pytest

from microservice.models import Heartbeat
from microservice.status import DeploymentStatus
from tests.lab import moody
from tests.lab.moody import Moody
from tests.lab.worker import Worker

from .test_execution import until
from .world import World

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.found("away")]
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
def here(transactional_db, sshds):
    return World(sshds(2))


@pytest.fixture
def door(broker):
    with Moody(broker.path) as door:
        yield door


@pytest.fixture
def deaf_worker(environment, tmp_path):
    """`deaf_worker(url)`: a worker that is ready when it works, whatever its broker does."""
    started: list[Worker] = []

    def start(url: str, **more: str) -> Worker:
        one = Worker({**environment, "BROKER_URL": url, "SWEEP_EVERY": "3", **more},
                     tmp_path / f"worker{len(started)}.log", sign=Worker.WORKING)
        started.append(one)
        one.start()
        return one

    yield start
    for one in started:
        one.stop()


def listens() -> bool:
    return any(row.without_broker is None for row in Heartbeat.objects.all())


@pytest.mark.parametrize("kind", MOODS)
def test_a_broker_that_is_away_at_the_start_stops_nothing(here, door, deaf_worker, kind):
    door.mood = MOODS[kind]
    worker = deaf_worker(door.url)
    here.install(0)
    here.agrees(0)
    assert worker.running() and not listens()
    door.mood = moody.PASS
    until(listens, SOON)
    assert worker.running() and "Traceback" not in worker.log()


def test_a_broker_that_goes_away_later_stops_nothing_however_it_goes(here, door, deaf_worker):
    """One worker, whose own sweep is so rare that a message must have woken it when the broker is back."""
    worker = deaf_worker(door.url, SWEEP_EVERY="120")
    until(listens, SOON)
    here.install(0)
    version = 0
    for kind in ("replica", "another program", "refused", "frozen", "lost"):
        door.mood = MOODS[kind]
        version = 1 - version
        begun = time.monotonic()
        ended = here.go("upgrade" if version else "revert", 1 - version, version)
        assert ended.status == DeploymentStatus.SUCCEEDED, kind
        print(f"{kind}: carried out after {time.monotonic() - begun:.1f} s")
        until(lambda: not listens(), SOON)
        door.mood = moody.PASS
        begun = time.monotonic()
        until(listens, SOON)
        print(f"{kind}: heard again after {time.monotonic() - begun:.1f} s")
        assert worker.running(), kind
    here.agrees(version)


def test_a_worker_without_a_broker_stops_when_it_is_told_to(here, door, deaf_worker):
    for mood in (moody.REFUSE, moody.FREEZE, ANSWERS["replica"]):
        door.mood = moody.PASS
        worker = deaf_worker(door.url)
        until(listens, SOON)
        door.mood = mood
        time.sleep(2)
        begun = time.monotonic()
        worker.process.terminate()
        worker.process.wait(20)
        assert worker.process.returncode == 0 and time.monotonic() - begun < 20
        Heartbeat.objects.all().delete()
