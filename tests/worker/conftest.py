"""Writers as worker processes have them, and workers whose broker fails."""

import pytest

from tests.lab.faulty_proxy import FaultyProxy
from tests.lab.fleet import Fleet
from tests.lab.worker import Worker
from worker.writer import BatchWriter


@pytest.fixture
def writers(transactional_db):
    """Yield a function that makes writers as worker processes have them; they end with the test."""
    made = []

    def make(name="w1", slots=16):
        made.append(BatchWriter(name, slots))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def fleet(transactional_db, sshds):
    """Return a service on two real hosts."""
    return Fleet(sshds(2))


@pytest.fixture
def proxy(broker):
    """Yield a proxy to the broker that fails on request."""
    with FaultyProxy(broker.path) as proxy:
        yield proxy


@pytest.fixture
def deaf_worker(environment, tmp_path):
    """Yield `deaf_worker(url)`: it starts a worker that is ready once it works, whatever its broker does."""
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
