"""A lost, late or doubled message does no harm: the rows are the queue, whatever broker carries the wake-ups."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from microservice import wake
from microservice.models import Deployment
from microservice.status import DeploymentStatus
from tests.lab.rabbitmq import RabbitMq
from tests.lab.worker import ROOT, Worker

from .test_execution import until
from .world import World

pytestmark = pytest.mark.django_db(transaction=True)
SLOW = 'touch "$SHARED/in"; sleep 6'


@pytest.fixture
def here(transactional_db, sshds):
    return World(sshds(2))


def started(here) -> bool:
    return all((here.folder(number) / "shared" / "in").exists() for number in range(2))


def test_a_broker_killed_and_emptied_in_the_middle_of_a_deployment_does_no_harm(here, worker, broker):
    worker()
    here.install()
    here.service.pre_command = SLOW
    here.service.save()
    first = here.go("upgrade", 0, 1, wait=False)
    until(lambda: started(here), 20)
    broker.kill()
    broker.start()  # empty
    assert here.ended(first).status == DeploymentStatus.SUCCEEDED
    here.agrees(1)
    assert here.trace().count("start 2.0") == 1
    # The worker that lost its broker is woken by the new one, or finds the work by itself.
    assert here.go("revert", 1, 0).status == DeploymentStatus.SUCCEEDED


def test_messages_that_come_many_times_start_nothing_twice(here, worker, broker):
    worker()
    worker()
    here.install()
    deployment = here.go("upgrade", 0, 1, wait=False)
    wake.send(50)
    assert here.ended(deployment).status == DeploymentStatus.SUCCEEDED
    wake.send(50)
    time.sleep(1)
    assert [here.trace(number).count("start 2.0") for number in range(2)] == [1, 1]
    assert {row.takeovers for row in deployment.operations.all()} == {0}


def test_a_visibility_timeout_shorter_than_a_step_starts_nothing_twice(here, worker):
    worker(BROKER_VISIBILITY_TIMEOUT="2")
    worker(BROKER_VISIBILITY_TIMEOUT="2")
    here.install()
    here.service.pre_command = SLOW
    here.service.save()
    deployment = here.go("upgrade", 0, 1, wait=False)
    assert here.ended(deployment).status == DeploymentStatus.SUCCEEDED
    assert [here.trace(number).count("start 2.0") for number in range(2)] == [1, 1]


ASK = """
import sys, time, django
django.setup()
from access.callers import SYSTEM
from microservice import deployments
from microservice.models import MicroServiceVersion
one = MicroServiceVersion.objects.get(pk=int(sys.argv[1]))
deployments.install(SYSTEM, one.microservice, one, [int(pk) for pk in sys.argv[2:]])
time.sleep(2)  # as a web process does: it lives on while its messages are sent
"""


def test_the_same_on_rabbitmq(here, environment, short_tmp: Path):
    with RabbitMq(short_tmp / "rabbit") as rabbit:
        environment |= {"BROKER_URL": rabbit.url, "DJANGO_SETTINGS_MODULE": "deployer.settings"}
        # A sweep so rare that only a message can have woken the worker.
        with Worker({**environment, "SWEEP_INTERVAL": "120"}, short_tmp / "worker.log") as one:
            time.sleep(1)  # its first sweep is over
            command = [sys.executable, "-c", ASK, str(here.versions[0].pk), *(str(host.pk) for host in here.assets)]
            subprocess.run(command, env=environment, cwd=ROOT, check=True)
            assert here.ended(Deployment.objects.get(), 30).status == DeploymentStatus.SUCCEEDED
            here.agrees(0)
            assert "received" in one.log(), "woken by a message"
