"""Batches, canaries and failure budgets, from claim to end."""

import pytest

from access.callers import SYSTEM
from microservice.deployments import actions
from microservice.models import MicroServiceInstance
from microservice.status import DeploymentStatus, OperationStatus, UndoStatus
from tests import factories
from tests.microservice.deployments.requests import change_version, other

from .operations import done, upgrade

pytestmark = pytest.mark.django_db(transaction=True)


def test_exceeded_failure_budget_stops_pending(writers):
    deployment, batch = upgrade(3), writers(slots=1)
    claim = batch.claim()
    batch.finish(done(claim, status=OperationStatus.UNDONE, undo_status=UndoStatus.UNDONE, error=other("no")))
    assert batch.claim() is None
    deployment.refresh_from_db()
    assert deployment.status == DeploymentStatus.FAILED
    assert sorted(deployment.operations.values_list("status", flat=True)) == ["not_started", "not_started", "undone"]
    assert sorted(MicroServiceInstance.objects.values_list("locked", "status")) == [(False, 0), (False, 0), (False, 12)]


def play(batch, fails: set[int]) -> list[int]:
    """Claim and end all operations; the claims numbered in `fails` (from 0) fail. Return the instances, in order."""
    order = []
    while claim := batch.claim():
        went_wrong = len(order) in fails
        order.append(claim.operation.instance_id_snapshot)
        status = OperationStatus.UNDONE if went_wrong else OperationStatus.SUCCEEDED
        batch.finish(done(claim, status=status, undo_status=UndoStatus.UNDONE if went_wrong else UndoStatus.NONE))
    return order


@pytest.mark.parametrize(("on_failure", "back"), [("hold", []), ("revert_batch", [2]), ("revert_all", [2, 1, 0])])
def test_exceeded_budget_rolls_back_in_reverse(writers, on_failure, back):
    strategy = {"batch_size": 2, "on_failure": on_failure}
    deployment, batch = upgrade(6, strategy=strategy), writers(slots=1)
    order = play(batch, fails={3})  # batches of two: 0 and 1 are done, 2 is done, 3 fails, 4 and 5 never start
    deployment.refresh_from_db()
    assert deployment.status == DeploymentStatus.FAILED
    statuses = list(deployment.operations.values_list("status", flat=True))
    assert statuses == ["succeeded"] * 3 + ["undone"] + ["not_started"] * 2
    numbers = list(deployment.operations.values_list("instance_id_snapshot", flat=True))
    assert order[4:] == [numbers[place] for place in back]
    versions = list(MicroServiceInstance.objects.order_by("pk").values_list("version", flat=True))
    gone_back = [place in back or place > 2 for place in range(6)]
    assert versions == [
        deployment.from_version_id if back_there else deployment.dest_version_id for back_there in gone_back
    ]
    assert not MicroServiceInstance.objects.filter(locked=True).exists()
    if back:
        follower = deployment.followers.get()
        assert (follower.status, follower.requested_by) == (DeploymentStatus.SUCCEEDED, f"deployment {deployment.pk}")


def test_canary_and_pause_between_batches(writers):
    strategy = {"canary": 1, "batch_size": 2, "pause_between": True}
    deployment, batch = upgrade(4, strategy=strategy), writers(slots=8)
    claim = batch.claim()
    assert batch.claim() is None, "the canary is alone"
    batch.finish(done(claim))
    deployment.refresh_from_db()
    assert deployment.status == DeploymentStatus.PAUSED and batch.claim() is None
    actions.resume(SYSTEM, deployment)
    claims = [batch.claim(), batch.claim()]
    assert all(claims) and batch.claim() is None
    for claim in claims:
        batch.finish(done(claim))
    actions.resume(SYSTEM, deployment)
    batch.finish(done(batch.claim()))
    deployment.refresh_from_db()
    assert deployment.status == DeploymentStatus.SUCCEEDED


def test_deployments_of_one_service_run_in_parallel(writers):
    first, batch = upgrade(4), writers()
    assert first.operations.count() == 4
    old, new = first.from_version, first.dest_version
    more = factories.instances(old, factories.hosts(2, prefix="more"))
    second = change_version(SYSTEM, old, new.pk, "upgrade", host=[row.host_id for row in more])
    owners = {batch.claim().operation.deployment_id for _ in range(6)}
    assert owners == {first.pk, second.pk}
