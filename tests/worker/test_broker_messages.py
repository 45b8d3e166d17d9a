"""Lost, late or repeated messages do no harm: the rows are the queue, whatever broker carries the wake-ups."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from microservice import wake
from microservice.models import Deployment
from microservice.status import DeploymentStatus
from tests.lab.network import wait_until
from tests.lab.rabbitmq import RabbitMq
from tests.lab.worker import ROOT, Worker

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]
SLOW = 'touch "$SHARED/in"; sleep 6'


def started(fleet) -> bool:
    return all((fleet.folder(number) / "shared" / "in").exists() for number in range(2))


def test_survives_emptied_broker(fleet, worker, broker):
    worker()
    fleet.install()
    fleet.service.pre_command = SLOW
    fleet.service.save()
    first = fleet.go("upgrade", 0, 1, wait=False)
    wait_until(lambda: started(fleet), 20)
    broker.kill()
    broker.start()  # empty
    assert fleet.ended(first).status == DeploymentStatus.SUCCEEDED
    fleet.agrees(1)
    assert fleet.trace().count("start 2.0") == 1
    # The worker that lost its broker is woken by the new one, or finds the work by itself.
    assert fleet.go("revert", 1, 0).status == DeploymentStatus.SUCCEEDED


def test_repeated_messages_start_nothing_twice(fleet, worker, broker):
    worker()
    worker()
    fleet.install()
    deployment = fleet.go("upgrade", 0, 1, wait=False)
    wake.send(50)
    assert fleet.ended(deployment).status == DeploymentStatus.SUCCEEDED
    wake.send(50)
    time.sleep(1)
    assert [fleet.trace(number).count("start 2.0") for number in range(2)] == [1, 1]
    assert {row.takeovers for row in deployment.operations.all()} == {0}


def test_short_visibility_timeout_starts_nothing_twice(fleet, worker):
    worker(BROKER_VISIBILITY_TIMEOUT="2")
    worker(BROKER_VISIBILITY_TIMEOUT="2")
    fleet.install()
    fleet.service.pre_command = SLOW
    fleet.service.save()
    deployment = fleet.go("upgrade", 0, 1, wait=False)
    assert fleet.ended(deployment).status == DeploymentStatus.SUCCEEDED
    assert [fleet.trace(number).count("start 2.0") for number in range(2)] == [1, 1]


ASK = """
import sys, time, django
django.setup()
from access.callers import SYSTEM
from microservice.models import MicroServiceVersion
from tests.microservice.deployments.requests import install
one = MicroServiceVersion.objects.get(pk=int(sys.argv[1]))
install(SYSTEM, one, [int(pk) for pk in sys.argv[2:]])
time.sleep(2)  # as a web process does: it lives on while its messages are sent
"""


def test_rabbitmq_starts_nothing_twice(fleet, environment, short_tmp: Path):
    with RabbitMq(short_tmp / "rabbit") as rabbit:
        environment |= {"BROKER_URL": rabbit.url, "DJANGO_SETTINGS_MODULE": "deployer.settings"}
        # A sweep so rare that only a message can have woken the worker.
        with Worker({**environment, "SWEEP_INTERVAL": "120"}, short_tmp / "worker.log") as one:
            time.sleep(1)  # its first sweep is over
            command = [sys.executable, "-c", ASK, str(fleet.versions[0].pk), *(str(host.pk) for host in fleet.assets)]
            subprocess.run(command, env=environment, cwd=ROOT, check=True)
            assert fleet.ended(Deployment.objects.get(), 30).status == DeploymentStatus.SUCCEEDED
            fleet.agrees(0)
            assert "received" in one.log(), "woken by a message"
