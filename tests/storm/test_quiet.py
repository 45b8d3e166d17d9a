"""The sweep repeats a failed delete by itself: the storm counts that as another operation."""

from datetime import timedelta

import pytest
from django.utils import timezone

from access.callers import SYSTEM
from asset.models import Asset
from microservice.deployments import actions, delete_retries
from microservice.models import MicroServiceInstance, Operation, Output
from microservice.status import OperationStatus
from tests import factories
from tests.lab.sshd import Sshd
from tests.microservice.deployments.requests import other
from worker.results import OperationResult
from worker.writer import BatchWriter

from .checks import check_round
from .places import SERVICE, Place
from .plan import Turn
from .quiet import Remainders, wait_for_ends
from .scene import Scene, Size
from .tally import Tally

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.found("removal")]
RAN = ["pre 1.0", "stop 1.0", "start 1.0", "undo-pre 1.0"]  # a delete whose stop failed late, and its undo


@pytest.fixture
def scene(tmp_path, settings):
    """One host with an instance, by rows and a folder; no process of the product."""
    made = Scene(tmp_path, Size("sqlite"), 1, Tally())
    made.service = factories.service(SERVICE)
    old, _ = factories.versions(made.service, 2)
    place = Place(1, Sshd(tmp_path / "sshd"), tmp_path / "h1")
    place.asset_id = Asset.objects.create(hostname="h1", ip="127.0.0.1").pk
    place.shared.mkdir(parents=True)
    place.folder.joinpath("current").symlink_to("releases/1.0")
    place.silent_service = True
    factories.instances(old, list(Asset.objects.all()))
    made.places.append(place)
    yield made
    place.end()


@pytest.fixture
def batch(transactional_db):
    made = BatchWriter("w1", 16)
    yield made
    made.close()


def carry_out(scene: Scene, batch: BatchWriter, times: int = 1) -> Operation:
    """End the next operation as undone: its commands ran so many times on the host, its row has one run's output."""
    operation = batch.claim().operation
    with (scene.places[0].shared / "trace").open("a") as trace:
        trace.writelines(f"{operation.pk} {line}\n" for line in RAN * times)
    output = "".join(f"said {line}\n" for line in RAN).encode()
    Output.objects.create(operation=operation, start=0, data=output)
    Operation.objects.filter(pk=operation.pk).update(output_size=len(output))
    assert batch.finish(OperationResult(operation, OperationStatus.UNDONE, error=other("stop failed")))
    return operation


def delete(scene: Scene) -> Turn:
    mine = MicroServiceInstance.objects.get()
    turn = Turn(scene.places[0], "delete", "delete", "1.0", "", fail="stop")
    turn.deployment = actions.delete(SYSTEM, scene.service, [mine.pk]).pk
    return turn


def test_repeated_delete_is_not_a_duplicate(scene, batch):
    turn = delete(scene)
    carry_out(scene, batch)
    MicroServiceInstance.objects.update(retry_at=timezone.now())  # half a minute later, in a slow round
    assert delete_retries.retry_failed_deletes() == 1
    carry_out(scene, batch)
    check_round(scene, [turn], broker=False)
    assert scene.tally.failures == [] and scene.tally.checked[3] == 2, "both of them were looked at"


def test_finds_duplicate_run(scene, batch):
    turn = delete(scene)
    carry_out(scene, batch, times=2)
    check_round(scene, [turn], broker=False)
    assert set(scene.tally.failed) == {3, 5, 6}, scene.tally.failures


def test_finds_run_of_ended_operation(scene, batch):
    turn = delete(scene)
    ended = carry_out(scene, batch)
    check_round(scene, [turn], broker=False, before={ended.pk})
    assert 7 in scene.tally.failed, scene.tally.failures


def test_compares_without_repeating_deletes(scene, batch):
    delete(scene)
    carry_out(scene, batch)
    due = timezone.now() + timedelta(seconds=20)
    MicroServiceInstance.objects.update(retry_at=due)
    remainders = Remainders(scene)
    wait_for_ends(scene, remainders)
    assert MicroServiceInstance.objects.get().retry_at > due + timedelta(hours=1)
    remainders.let_go()
    assert MicroServiceInstance.objects.get().retry_at == due

    MicroServiceInstance.objects.update(retry_at=timezone.now())
    assert remainders.hold(), "a sweep may have seen that it is due: so the storm looks once more"
    assert not remainders.hold() and delete_retries.retry_failed_deletes() == 0
    remainders.let_go()
    assert delete_retries.retry_failed_deletes() == 1
