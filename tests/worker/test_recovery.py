"""What the sweep finds, and writes that are repeated because an answer was lost. No host is contacted."""

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
    """Yield the ledger of this process, with room for four operations; the sweep uses it."""
    made = BatchWriter("sweeping", 4)
    monkeypatch.setattr(execution, "process_writer", lambda: made)
    yield made
    made.close()


def upgrade(count: int, name: str = "shop") -> Deployment:
    old, new = factories.versions(factories.service(name), 2)
    factories.instances(old, factories.hosts(count, prefix=name))
    return change_version(SYSTEM, old, new.pk, "upgrade", host="all")


def test_sweep_finds_unclaimed_operations(batch):
    """As when every message was lost, or the process died between its commit and the message."""
    assert recovery.sweep() == 0
    deployment = upgrade(3)
    assert recovery.sweep() == 3
    upgrade(7, "other")
    assert recovery.sweep() == 4, "never more than there is room for"
    Deployment.objects.exclude(pk=deployment.pk).update(status=DeploymentStatus.PAUSED)
    assert recovery.sweep() == 3, "what is paused is not due"


def test_sweep_finds_expired_and_due_operations(batch):
    upgrade(3)
    soon, past = (timezone.now() + timedelta(seconds=sign * 30) for sign in (1, -1))
    rows = Operation.objects.all()
    rows.update(status=OperationStatus.RUNNING, owner="another worker", lease=soon)
    assert recovery.sweep() == 0
    rows.filter(pk=rows.first().pk).update(lease=past)
    assert recovery.sweep() == 1
    rows.filter(pk=rows.last().pk).update(status=OperationStatus.UNKNOWN, owner="", lease=None, due=soon)
    assert recovery.sweep() == 1
    rows.filter(pk=rows.last().pk).update(due=past)
    assert recovery.sweep() == 2


def test_sweep_of_stopping_worker_only_beats(batch):
    upgrade(1)
    batch.stop()
    assert recovery.sweep() == 0
    recovery.update_heartbeat()
    recovery.update_heartbeat()
    assert Heartbeat.objects.get().worker == "sweeping"


def test_sweep_ends_finished_deployment(batch):
    deployment = upgrade(2)
    Operation.objects.update(status=OperationStatus.SUCCEEDED)
    Deployment.objects.update(status=DeploymentStatus.RUNNING)
    recovery.sweep()
    deployment.refresh_from_db()
    assert deployment.status == DeploymentStatus.SUCCEEDED and deployment.finished


def test_retried_transaction_doubles_nothing(db):
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


def test_sweep_is_more_frequent_without_broker(settings, monkeypatch):
    settings.SWEEP_INTERVAL = 120
    monkeypatch.setattr(recovery, "broker_connection", True)
    assert recovery.pace() == 120
    monkeypatch.setattr(recovery, "broker_connection", False)
    assert recovery.pace() <= 1
    settings.SWEEP_INTERVAL = 0.5
    assert recovery.pace() == 0.5


@pytest.mark.found("away")
@pytest.mark.parametrize("broken", ["terminate_stuck_sessions", "delete_retries.retry_failed_deletes"])
def test_sweep_parts_fail_independently(batch, monkeypatch, broken):
    """A store that is away, a right that the database's role has not: what was lost is found all the same."""
    done = []

    def fails():
        raise (
            ProgrammingError("permission denied")
            if broken == "terminate_stuck_sessions"
            else OSError("the store is away")
        )

    monkeypatch.setattr(
        recovery if broken == "terminate_stuck_sessions" else recovery.delete_retries, broken.rpartition(".")[2], fails
    )
    upgrade(2)
    monkeypatch.setattr(recovery.chain, "seal", lambda: done.append("sealed"))
    assert recovery.sweep() == 2
    assert done == ["sealed"]
