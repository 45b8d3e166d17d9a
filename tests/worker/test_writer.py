"""Results, progress and leases written by the real writing thread to the real database. No host is contacted."""

import threading
import time
from datetime import timedelta

import pytest
from django.db import connections
from django.utils import timezone

from access.callers import SYSTEM
from audit.models import Event
from deployer.engine.journal import Kind
from microservice.deployments import actions, delete_retries
from microservice.models import MicroServiceInstance, Operation, Output, Step
from microservice.status import DeploymentStatus, InstanceStatus, OperationStatus, UndoStatus
from tests.microservice.deployments.requests import other

from .operations import done, event, upgrade, wait_for

pytestmark = pytest.mark.django_db(transaction=True)


def test_ending_updates_rows(writers):
    deployment, batch = upgrade(2), writers()
    while claim := batch.claim():
        assert claim.fresh and batch.finish(done(claim))
    deployment.refresh_from_db()
    assert deployment.status == DeploymentStatus.SUCCEEDED
    assert not MicroServiceInstance.objects.exclude(locked=False, version=deployment.dest_version).exists()
    assert batch.in_flight == 0


def test_ending_and_claim_share_a_batch(writers):
    deployment, batch = upgrade(2), writers(slots=1)
    first = batch.claim()
    kept, second = batch.next(done(first))
    assert kept and second.operation.pk != first.operation.pk
    assert batch.next(done(second)) == (True, None)
    deployment.refresh_from_db()
    assert deployment.status == DeploymentStatus.SUCCEEDED


def test_simultaneous_endings_keep_their_results(writers):
    deployment, batch = upgrade(5), writers()
    claims = [batch.claim() for _ in range(5)]
    results = [done(claim) for claim in claims[:3]]
    bad = {"status": OperationStatus.UNDONE, "undo_status": UndoStatus.UNDONE}
    results += [done(claim, **bad, error=other(f"no {claim.operation.pk}")) for claim in claims[3:]]
    threads = [threading.Thread(target=batch.finish, args=(result,)) for result in results]
    with batch.paused():
        for thread in threads:
            thread.start()
        time.sleep(0.3)
    for thread in threads:
        thread.join()
    rows = list(deployment.operations.order_by("pk"))
    assert [row.status for row in rows] == ["succeeded"] * 3 + ["undone"] * 2
    assert [row.error for row in rows] == ["", "", "", *(f"no {row.pk}" for row in rows[3:])]
    assert all(row.finished and row.lease is None and not row.owner for row in rows)


def test_silent_host_is_retried_until_deadline(writers, settings):
    deployment, batch = upgrade(1), writers()
    claim = batch.claim()
    batch.finish(done(claim, status=OperationStatus.UNKNOWN, error=other("It did not answer.")))
    row = Operation.objects.get()
    assert (row.status, row.poll_count, row.owner) == (OperationStatus.UNKNOWN, 1, "") and row.due > timezone.now()
    assert batch.claim() is None and MicroServiceInstance.objects.get().locked
    now = timezone.now()
    Operation.objects.update(due=now - timedelta(seconds=1), unknown_since=now - timedelta(days=1))
    again = batch.claim()
    assert again.operation.pk == row.pk and not again.fresh
    batch.finish(done(again, status=OperationStatus.UNKNOWN, error=other("It did not answer.")))
    deployment.refresh_from_db()
    assert deployment.status == DeploymentStatus.FAILED
    assert "could not be reached" in Operation.objects.get().error
    assert not MicroServiceInstance.objects.get().locked


def test_progress_becomes_rows_and_events(writers):
    upgrade(1)
    batch = writers()
    claim = batch.claim()
    progress = batch.progress_of(claim.operation.pk)
    progress.plan(["prepare", "link"])
    progress.events([event(Kind.STARTED, 1), event(Kind.DONE, 1, old_state="1.0", new_state="2.0", exit_status=0)])
    progress.output(0, b"hello ")
    progress.output(6, b"world")
    batch.report(progress)
    assert wait_for(lambda: Step.objects.count() == 2, 3)
    assert list(Step.objects.values_list("position", "status", "old_state", "new_state")) == [
        (0, "pending", "", ""),
        (1, "done", "1.0", "2.0"),
    ]
    assert bytes(Output.objects.get().data) == b"hello world"
    assert {"step", "output", "operation", "deployment"} <= set(Event.objects.values_list("kind", flat=True))
    progress.output(11, b"!")
    batch.finish(done(claim))
    assert Operation.objects.get().output_size == 12
    assert [bytes(row.data) for row in Output.objects.order_by("start")] == [b"hello world", b"!"]


def test_statements_per_tick_are_constant(writers):
    counts = []
    for number in (2, 12):
        upgrade(number, name=f"shop{number}")
        batch = writers(f"w{number}", slots=64)
        claims = [batch.claim() for _ in range(number)]
        counts.append(statements_of(lambda claims=claims, batch=batch: finish_together(batch, claims)))
    assert counts[1] <= counts[0] + 2


def finish_together(batch, claims):
    threads = [threading.Thread(target=batch.finish, args=(done(claim),)) for claim in claims]
    with batch.paused():
        for thread in threads:
            thread.start()
        time.sleep(0.3)
    for thread in threads:
        thread.join()


def statements_of(call) -> int:
    """How many statements all threads together send while `call` runs."""
    from django.db.backends.utils import CursorWrapper

    counted = []
    plain = CursorWrapper._execute, CursorWrapper._executemany
    CursorWrapper._execute = lambda self, sql, *a, **k: (counted.append(sql), plain[0](self, sql, *a, **k))[1]
    try:
        call()
    finally:
        CursorWrapper._execute = plain[0]
    return len(counted)


def test_cancel_reaches_worker(writers, settings):
    settings.OPERATION_LEASE_SECONDS = 2
    deployment, batch = upgrade(1), writers()
    claim = batch.claim()
    actions.cancel(SYSTEM, deployment)
    assert wait_for(lambda: batch.progress_of(claim.operation.pk).cancelled, 5)
    batch.finish(done(claim, status=OperationStatus.CANCELLED, undo_status=UndoStatus.UNDONE))
    deployment.refresh_from_db()
    assert deployment.status == DeploymentStatus.CANCELLED
    assert MicroServiceInstance.objects.get().status == InstanceStatus.RUNNING


def test_reader_misses_no_event(writers):
    """Ids become visible in their order, also when transactions that took theirs earlier commit later."""
    from django.db import transaction

    from audit import events

    deployment = upgrade(1)
    stop, seen, failures = threading.Event(), [], []

    def write(number):
        try:
            for n in range(20):
                with transaction.atomic():
                    time.sleep(0.001 * (number % 3))
                    events.write([Event(deployment=deployment, kind="step", data={"n": n, "by": number})])
                    time.sleep(0.001 * (number % 2))
        except Exception as error:  # noqa: BLE001 - whatever a writer meets is the test's to show
            failures.append(error)
        finally:
            connections.close_all()

    def read():
        last = 0
        while True:
            ended = stop.is_set()
            for row in events.after(last):
                last = row.pk
                seen.append(row.pk)
            if ended:
                break
        connections.close_all()

    reader = threading.Thread(target=read)
    writers = [threading.Thread(target=write, args=(n,)) for n in range(6)]
    for thread in [reader, *writers]:
        thread.start()
    for thread in writers:
        thread.join()
    stop.set()
    reader.join()
    assert not failures
    assert seen == list(Event.objects.order_by("pk").values_list("pk", flat=True))


def test_failed_delete_is_retried(writers):
    upgrade(1)
    batch = writers()
    batch.finish(done(batch.claim()))
    instance = MicroServiceInstance.objects.get()
    actions.delete(SYSTEM, instance.microservice, [instance.pk])
    for tries in (1, 2):
        failed = done(batch.claim(), status=OperationStatus.UNDONE, undo_status=UndoStatus.UNDONE, error=other("no"))
        batch.finish(failed)
        instance.refresh_from_db()
        assert (instance.status, instance.delete_attempts, instance.locked) == (
            InstanceStatus.DELETE_FAILED,
            tries,
            False,
        )
        assert instance.retry_at > timezone.now() and delete_retries.retry_failed_deletes() == 0
        MicroServiceInstance.objects.update(retry_at=timezone.now())
        assert delete_retries.retry_failed_deletes() == 1 and delete_retries.retry_failed_deletes() == 0
    batch.finish(done(batch.claim()))
    assert not MicroServiceInstance.objects.exists()


def test_ending_records_host_contact(writers):
    from asset.models import Asset

    upgrade(3)
    Asset.objects.update(reachable=True)
    Asset.objects.filter(pk=Asset.objects.first().pk).update(reachable=False)
    batch = writers()
    for claim in [batch.claim() for _ in range(3)]:
        batch.finish(done(claim, reached=True))
    assert [row.data["id"] for row in Event.objects.filter(kind="host")] == [Asset.objects.first().pk]
    assert set(Asset.objects.values_list("reachable", flat=True)) == {True}
    assert Asset.objects.filter(reachable_since=None).count() == 2
