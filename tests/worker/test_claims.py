"""Claims, leases and fences: one worker for each operation, the next one when its lease runs out."""

import threading
import time

import pytest

from access.callers import SYSTEM
from microservice.deployments import actions
from microservice.models import MicroServiceInstance, Operation, Output
from microservice.status import DeploymentStatus, OperationStatus
from tests.microservice.deployments.requests import install
from worker import writer

from .operations import done, lapse, upgrade, wait_for

pytestmark = pytest.mark.django_db(transaction=True)


def test_operation_is_claimed_once(writers):
    deployment = upgrade(10)
    batches = [writers("w1"), writers("w2")]
    taken, start = [], threading.Barrier(24)

    def ask(batch):
        start.wait()
        taken.append(batch.claim())

    threads = [threading.Thread(target=ask, args=(batches[n % 2],)) for n in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    numbers = [claim.operation.pk for claim in taken if claim]
    assert sorted(numbers) == sorted(deployment.operations.values_list("pk", flat=True))
    deployment.refresh_from_db()
    assert deployment.status == DeploymentStatus.RUNNING and deployment.started


def test_expired_lease_is_taken_over(writers):
    deployment = upgrade(1)
    late, next_one = writers("late"), writers("next")
    first = late.claim()
    lapse()
    second = wait_for(next_one.claim, 5)  # the late worker may be looking at the row in this very moment
    assert second.operation.pk == first.operation.pk and not second.fresh
    assert second.operation.fence > first.operation.fence
    late.progress_of(first.operation.pk).output(0, b"too late")
    late.report(late.progress_of(first.operation.pk))
    assert late.finish(done(first, status=OperationStatus.FAILED)) is False
    assert not Output.objects.exists()
    assert Operation.objects.get().status == OperationStatus.RUNNING
    assert next_one.finish(done(second))
    deployment.refresh_from_db()
    assert deployment.status == DeploymentStatus.SUCCEEDED


def test_worker_notices_takeover(writers, settings):
    settings.OPERATION_LEASE_SECONDS = 2
    upgrade(1)
    late, next_one = writers("late"), writers("next")
    first = late.claim()
    Operation.objects.update(owner="another worker", fence=first.operation.fence + 1)
    assert wait_for(lambda: late.progress_of(first.operation.pk).lost, 5)
    assert next_one.claim() is None


def test_hung_operation_is_taken_over(writers, settings, monkeypatch, caplog):
    settings.OPERATION_LEASE_SECONDS = 2
    upgrade(1)
    batch = writers("w1")
    first = batch.claim()
    hung = batch.progress_of(first.operation.pk)
    hung.heartbeat()
    monkeypatch.setattr(writer, "HUNG_AFTER", 1.0)
    assert wait_for(lambda: hung.lost, 10), "its lease would be renewed for ever"
    assert "its thread hangs" in caplog.text and "in wait_for" in caplog.text, "the log says where"
    monkeypatch.undo()
    second = wait_for(batch.claim, 10)
    assert second.operation.pk == first.operation.pk and second.operation.fence > first.operation.fence
    assert batch.finish(done(first, status=OperationStatus.FAILED)) is False, "its late result has an old fence"
    assert not batch.progress_of(second.operation.pk).lost, "the new claim is not affected"
    assert batch.finish(done(second))
    assert not MicroServiceInstance.objects.get().locked


def test_claims_are_dealt_in_turn(writers):
    assert writer.deal([1, 2, 3, 4, 5], [1, 3, 4]) == [[1], [2, 4], [3, 5]]
    assert writer.deal([1], [2, 2]) == [[1], []] and writer.deal([], []) == []
    upgrade(5)
    batch = writers()
    assert [len(batch.claim_many(3)), len(batch.claim_many(3)), len(batch.claim_many(3))] == [
        3,
        2,
        0,
    ]


def test_lease_is_renewed(writers, settings):
    settings.OPERATION_LEASE_SECONDS = 2
    upgrade(1)
    batch, other = writers("w1"), writers("w2")
    claim = batch.claim()
    deadline = time.monotonic() + 4
    while time.monotonic() < deadline:
        assert other.claim() is None
        time.sleep(0.2)
    assert batch.finish(done(claim))


def test_new_instance_has_higher_fences(writers):
    deployment, batch = upgrade(1), writers()
    claim = batch.claim()
    batch.finish(done(claim))
    instance = MicroServiceInstance.objects.get()
    host, service = instance.host, instance.microservice
    actions.delete(SYSTEM, service, [instance.pk])
    gone = batch.claim()
    batch.finish(done(gone))
    assert not MicroServiceInstance.objects.exists()
    install(SYSTEM, deployment.dest_version, [host.pk])
    assert batch.claim().operation.fence > gone.operation.fence > claim.operation.fence


def test_stopping_worker_releases_operations(writers):
    upgrade(2)
    stopping, other = writers("stopping"), writers("other")
    claim = stopping.claim()
    stopping.stop()
    assert stopping.claim() is None and stopping.stopping
    stopping.finish(done(claim, status=OperationStatus.RUNNING))
    taken = {other.claim().operation.pk, other.claim().operation.pk}
    assert claim.operation.pk in taken


def test_install_waits_for_delete(writers):
    deployment, batch = upgrade(1), writers()
    batch.finish(done(batch.claim()))
    old = MicroServiceInstance.objects.get()
    actions.delete(SYSTEM, old.microservice, [old.pk])
    going = batch.claim()
    installed = install(SYSTEM, deployment.dest_version, [old.host_id], port=81)
    assert batch.claim() is None, "the delete has not ended"
    batch.finish(done(going))
    claim = batch.claim()
    assert claim.operation.deployment_id == installed.pk and claim.fresh
    assert claim.operation.fence > going.operation.fence
    batch.finish(done(claim))
    new = MicroServiceInstance.objects.get()
    assert (new.pk != old.pk, new.port, new.version, new.locked) == (True, 81, deployment.dest_version, False)
