"""People, the sweep and the end of a freeze come at the same moment: a deployment begins once, or not at all."""

import pytest
from django.utils import timezone

from audit.models import History
from microservice.deployments import actions
from microservice.deployments.waiting import look
from microservice.models import Approval, Deployment, DeploymentRequest, MicroServiceInstance, Operation
from microservice.status import DeploymentStatus
from tests.microservice.deployments.test_environment_races import race
from tests.microservice.deployments.test_waiting import Site, plan

pytestmark = pytest.mark.django_db(transaction=True)
ROUNDS = 5
QUEUED, CANCELLED = DeploymentStatus.QUEUED, DeploymentStatus.CANCELLED


@pytest.fixture
def site(store) -> Site:
    return Site()


def says_yes(site: Site, number: int, deployment: Deployment):
    token = plan(deployment).token
    return lambda: actions.approve(site.caller(number), Deployment.objects.get(pk=deployment.pk), token)


def looks(deployment: Deployment):
    return lambda: look.look_again([deployment.pk])


def begun_once(deployment: Deployment) -> None:
    deployment.refresh_from_db()
    assert deployment.status == QUEUED
    assert sorted(deployment.operations.values_list("instance", flat=True)) == sorted(
        MicroServiceInstance.objects.filter(lock_deployment=deployment, locked=True).values_list("pk", flat=True)
    )
    assert Operation.objects.count() == deployment.operations.count() == 3
    deeds = History.objects.filter(subject="deployment", subject_id=deployment.pk, action="deploy")
    assert deeds.count() == 1, "it began twice"


def forget(site: Site) -> None:
    MicroServiceInstance.objects.update(locked=False, lock_deployment=None, status=0, last_operation=None)
    Operation.objects.all().delete()
    DeploymentRequest.objects.all().delete()
    Deployment.objects.all().delete()


def test_two_people_at_once_count_once_each(site):
    site.asks(approvals=2)
    for _ in range(ROUNDS):
        waits = site.ask()
        yes = [says_yes(site, number, waits) for number in (1, 1, 2, 2)]
        answers = race(*yes, looks(waits), look.sweep)
        assert set(answers) <= {"", "deployment_state"}, answers  # the second click of whoever was last
        assert sorted(Approval.objects.values_list("name", flat=True)) == ["ben", "cat"]
        begun_once(waits)
        forget(site)


def test_it_begins_once_however_many_look(site):
    for _ in range(ROUNDS):
        waits = site.ask()
        site.production.approvals = 0
        site.production.save()
        DeploymentRequest.objects.update(look_at=timezone.now())
        race(*[looks(waits)] * 4, look.sweep, look.sweep)
        look.look_again([waits.pk])  # each of them may have found it held
        begun_once(waits)
        site.asks(approvals=1)
        forget(site)


@pytest.mark.parametrize("how", ["reject", "cancel"])
def test_a_no_and_a_yes_at_once(site, how):
    """One of them comes first. What a yes began, the cancel that comes after it ends as any other."""
    for _ in range(ROUNDS):
        waits = site.ask()

        def no(deployment=waits):
            fresh = Deployment.objects.select_related("microservice").get(pk=deployment.pk)
            return (
                actions.reject(site.caller(2), fresh, "not now")
                if how == "reject"
                else actions.cancel(site.caller(2), fresh)
            )

        answers = race(no, says_yes(site, 1, waits))
        assert set(answers) <= {"", "deployment_state"}, answers
        waits.refresh_from_db()
        if waits.status == CANCELLED:
            assert not MicroServiceInstance.objects.filter(locked=True).exists()
            assert not Operation.objects.exclude(status="cancelled").exists()
        else:
            begun_once(waits)
        forget(site)
