"""Cancel, pause and resume a deployment; break a lock."""

import pytest

from access.problems import Problem
from audit.models import History
from microservice.deployments import actions
from microservice.models import Deployment, MicroServiceInstance, Operation
from microservice.status import DeploymentStatus, InstanceStatus, OperationStatus
from tests.microservice.deployments.requests import ANN, send

pytestmark = pytest.mark.django_db


def test_cancel_before_start_restores_instances(shop):
    MicroServiceInstance.objects.filter(pk=shop.instances[0].pk).update(status=InstanceStatus.REVERT_FAILED)
    deployment = actions.cancel(ANN, send(shop))
    assert deployment.status == DeploymentStatus.CANCELLED
    assert {row.status for row in deployment.operations.all()} == {OperationStatus.CANCELLED}
    assert sorted(MicroServiceInstance.objects.values_list("locked", "status")) == [(False, 0), (False, 0), (False, 13)]


def test_cancel_waits_for_running_operations(shop):
    deployment = send(shop)
    first = deployment.operations.first()
    Operation.objects.filter(pk=first.pk).update(status=OperationStatus.RUNNING)
    Deployment.objects.filter(pk=deployment.pk).update(status=DeploymentStatus.RUNNING)
    assert actions.cancel(ANN, deployment).status == DeploymentStatus.CANCELLING
    first.refresh_from_db()
    assert first.cancel_requested and first.status == OperationStatus.RUNNING


def test_resume_restores_status(shop):
    deployment = actions.pause(ANN, send(shop))
    assert deployment.status == DeploymentStatus.PAUSED
    assert actions.resume(ANN, deployment).status == DeploymentStatus.QUEUED


def test_force_unlock(shop):
    deployment = send(shop, host=[shop.instances[0].host_id])
    instance = MicroServiceInstance.objects.get(pk=shop.instances[0].pk)
    with pytest.raises(Problem):
        actions.break_lock(ANN, instance, "  ")
    actions.break_lock(ANN, instance, "host burned down")
    instance.refresh_from_db()
    deployment.refresh_from_db()
    assert (instance.locked, instance.status) == (False, InstanceStatus.RUNNING)
    assert deployment.status == DeploymentStatus.FAILED
    assert History.objects.first().reason == "host burned down"
