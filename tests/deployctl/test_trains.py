"""deployctl trains: planned, started, shown, and controlled."""

import pytest

from deployctl.exits import Exit
from microservice.models import Deployment, MicroServiceInstance, MicroServiceVersion, Train
from microservice.status import OperationStatus
from microservice.trains import advance
from tests import factories
from tests.microservice.deployments.requests import end_all

pytestmark = pytest.mark.django_db(transaction=True)
STAGES = ("--stage", "api=2.0", "--stage", "shop=2.0,web=2.0")


@pytest.fixture
def services(transactional_db):
    hosts = factories.hosts(1)
    for name in ("api", "shop", "web"):
        factories.instances(factories.versions(factories.service(name), 2)[0], hosts)


def test_started_shown_and_controlled(said, services):
    status, output, _ = said("trains", "start", "autumn", *STAGES, "--plan")
    assert status == 0 and "stage 2  web 2.0: host1" in output and "upgrade from 1.0" in output
    assert not Train.objects.exists()
    status, output, _ = said("trains", "start", "autumn", *STAGES, "--note", "release", "--no-wait")
    number = str(Train.objects.get().pk)
    assert status == 0 and f"train {number}  autumn  running  (0 of 3 succeeded)" in output
    end_all(Deployment.objects.get(), OperationStatus.UNDONE)
    advance.sweep()
    assert "autumn  held" in said("trains", "list")[1]
    assert "Stage 1 did not succeed: api." in said("trains", "status", number)[1]
    status, output, error = said("trains", "resume", number, "--timeout", "1")
    assert status == Exit.TIMEOUT and "It continues" in error
    end_all(Deployment.objects.order_by("pk").last(), OperationStatus.SUCCEEDED)
    advance.sweep()
    assert "(1 of 3 succeeded)" in said("trains", "cancel", number)[1]
    status, output, _ = said("trains", "revert", number, "--no-wait")
    assert status == 0 and "revert queued" in output
    assert said("trains", "resume", "999")[0] == Exit.USAGE_ERROR


def test_result_is_the_exit_status(said, services):
    MicroServiceInstance.objects.filter(microservice__name="api").update(
        version=MicroServiceVersion.objects.get(microservice__name="api", version="2.0")
    )
    status, output, _ = said("trains", "start", "nothing", "--stage", "api=2.0")
    assert status == 0 and "succeeded  (1 of 1 succeeded)" in output
    number = str(Train.objects.get().pk)
    assert said("trains", "revert", number)[0] == Exit.FAILED, "there was nothing to send back"


@pytest.mark.parametrize(
    "words",
    [(), ("--stage", "api"), ("--stage", "api="), ("--stage", ""), ("--stage", "api=9.9"), ("--stage", "none=1.0")],
)
def test_what_is_wrong_is_refused(said, services, words):
    assert said("trains", "start", "autumn", *words)[0] == Exit.USAGE_ERROR
    assert not Train.objects.exists()
