"""What the sweep finds, and what is written twice because an answer was lost. No host is touched."""

from datetime import timedelta

import pytest
from django.db import ProgrammingError
from django.utils import timezone

from access.callers import SYSTEM
from microservice.models import Deployment, Heartbeat, Operation, Output
from microservice.status import DeploymentStatus, OperationStatus
from tests import factories
from tests.microservice.deployments.requests import change_version
from worker import execution, recovery
from worker.progress import Progress, write_progress
from worker.writer import BatchWriter

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def batch(transactional_db, monkeypatch):
    """The ledger of this process, with room for four operations; the sweep uses it."""
    made = BatchWriter("sweeping", 4)
    monkeypatch.setattr(execution, "process_writer", lambda: made)
    yield made
    made.close()


def upgrade(count: int, name: str = "shop") -> Deployment:
    old, new = factories.versions(factories.service(name), 2)
    factories.instances(old, factories.hosts(count, prefix=name))
    return change_version(SYSTEM, old, new.pk, "upgrade", host="all")


def test_what_nobody_claimed_is_found_by_the_sweep(batch):
    """As when every message was lost, or the process died between its commit and the message."""
    assert recovery.sweep() == 0
    deployment = upgrade(3)
    assert recovery.sweep() == 3
    upgrade(7, "other")
    assert recovery.sweep() == 4, "never more than there is room for"
    Deployment.objects.exclude(pk=deployment.pk).update(status=DeploymentStatus.PAUSED)
    assert recovery.sweep() == 3, "what is paused is not due"


def test_what_nobody_keeps_alive_or_is_to_be_asked_again_is_found_by_the_sweep(batch):
    upgrade(3)
    soon, past = (timezone.now() + timedelta(seconds=sign * 30) for sign in (1, -1))
    rows = Operation.objects.all()
    rows.update(status=OperationStatus.RUNNING, owner="somebody", lease=soon)
    assert recovery.sweep() == 0
    rows.filter(pk=rows.first().pk).update(lease=past)
    assert recovery.sweep() == 1
    rows.filter(pk=rows.last().pk).update(status=OperationStatus.UNKNOWN, owner="", lease=None, due=soon)
    assert recovery.sweep() == 1
    rows.filter(pk=rows.last().pk).update(due=past)
    assert recovery.sweep() == 2


def test_the_sweep_of_a_worker_that_stops_finds_nothing_and_still_shows_that_it_lives(batch):
    upgrade(1)
    batch.stop()
    assert recovery.sweep() == 0
    recovery.update_heartbeat()
    recovery.update_heartbeat()
    assert Heartbeat.objects.get().worker == "sweeping"


def test_a_deployment_whose_operations_have_all_ended_is_ended_by_the_sweep(batch):
    deployment = upgrade(2)
    Operation.objects.update(status=OperationStatus.SUCCEEDED)
    Deployment.objects.update(status=DeploymentStatus.RUNNING)
    recovery.sweep()
    deployment.refresh_from_db()
    assert deployment.status == DeploymentStatus.SUCCEEDED and deployment.finished


def test_a_transaction_whose_answer_was_lost_is_written_again_without_doubling_anything(db):
    """The ledger keeps what it gathered until it knows of the commit; else the same bytes go to the same place."""
    upgrade(1)
    operation = Operation.objects.get()
    progress = Progress(operation)
    progress.plan(["prepare", "stop"])
    progress.output(0, b"whole")
    for _ in range(2):
        write_progress([(progress, progress.take())])
    assert [(row.start, bytes(row.data)) for row in Output.objects.all()] == [(0, b"whole")]
    assert operation.steps.count() == 2
    operation.refresh_from_db()
    assert operation.output_size == 5


def test_without_a_broker_the_sweep_comes_more_often(settings, monkeypatch):
    settings.SWEEP_INTERVAL = 120
    monkeypatch.setattr(recovery, "broker_connection", True)
    assert recovery.pace() == 120
    monkeypatch.setattr(recovery, "broker_connection", False)
    assert recovery.pace() <= 1
    settings.SWEEP_INTERVAL = 0.5
    assert recovery.pace() == 0.5


@pytest.mark.found("away")
@pytest.mark.parametrize("broken", ["terminate_stuck_sessions", "retries.retry_failed_deletes"])
def test_an_error_in_one_part_of_the_sweep_hinders_no_other(batch, monkeypatch, broken):
    """A store that is away, a right that the database's role has not: what was lost is found all the same."""
    done = []

    def fails():
        raise (
            ProgrammingError("permission denied")
            if broken == "terminate_stuck_sessions"
            else OSError("the store is away")
        )

    monkeypatch.setattr(
        recovery if broken == "terminate_stuck_sessions" else recovery.retries, broken.rpartition(".")[2], fails
    )
    upgrade(2)
    monkeypatch.setattr(recovery.chain, "seal", lambda: done.append("sealed"))
    assert recovery.sweep() == 2
    assert done == ["sealed"]
