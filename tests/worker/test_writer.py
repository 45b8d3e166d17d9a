"""Claims, fences, leases and results, with the real ledger thread on the real database. No host is touched."""

import threading
import time
from datetime import timedelta

import pytest
from django.db import connections
from django.utils import timezone

from access.callers import SYSTEM
from audit.models import Event
from deployer.engine.journal import JournalEvent, Kind
from microservice.deployments import actions, retries
from microservice.models import Deployment, MicroServiceInstance, Operation, Output, Step
from microservice.status import DeploymentStatus, InstanceStatus, OperationStatus, UndoStatus
from tests import factories
from tests.lab.busy import within
from tests.microservice.deployments.requests import change_version, install, other
from worker import writer
from worker.results import OperationResult
from worker.writer import BatchWriter

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def writers(transactional_db):
    """Makes writers as worker processes have them; ends them with the test."""
    made = []

    def make(name="w1", slots=16):
        made.append(BatchWriter(name, slots))
        return made[-1]

    yield make
    for one in made:
        one.close()


def upgrade(count=3, name="shop", **more) -> Deployment:
    service = factories.service(name)
    old, new = factories.versions(service, 2)
    factories.instances(old, factories.hosts(count, prefix=name))
    return change_version(SYSTEM, old, new.pk, "upgrade", host="all", **more)


def done(claim, **more) -> OperationResult:
    return OperationResult(claim.operation, more.pop("status", OperationStatus.SUCCEEDED), **more)


def event(kind=Kind.DONE, position=0, **more):
    return JournalEvent(
        **{
            "seq": 1,
            "at": 1e9,
            "kind": kind,
            "position": position,
            "step": "link",
            "old_state": "",
            "new_state": "",
            "exit_status": None,
            "detail": "",
            **more,
        }
    )


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


def test_exceeded_failure_budget_stops_pending(writers):
    deployment, batch = upgrade(3), writers(slots=1)
    claim = batch.claim()
    batch.finish(done(claim, status=OperationStatus.UNDONE, undo_status=UndoStatus.UNDONE, error=other("no")))
    assert batch.claim() is None
    deployment.refresh_from_db()
    assert deployment.status == DeploymentStatus.FAILED
    assert sorted(deployment.operations.values_list("status", flat=True)) == ["not_started", "not_started", "undone"]
    assert sorted(MicroServiceInstance.objects.values_list("locked", "status")) == [(False, 0), (False, 0), (False, 12)]


def lapse():
    Operation.objects.filter(status=OperationStatus.RUNNING).update(lease=timezone.now() - timedelta(seconds=1))


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
    Operation.objects.update(owner="somebody else", fence=first.operation.fence + 1)
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
    assert batch.finish(done(first, status=OperationStatus.FAILED)) is False, "it came back, under a fence of the past"
    assert not batch.progress_of(second.operation.pk).lost, "what it said has not disturbed the one who took over"
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


def test_stopping_worker_releases_operations(writers):
    upgrade(2)
    stopping, other = writers("stopping"), writers("other")
    claim = stopping.claim()
    stopping.stop()
    assert stopping.claim() is None and stopping.stopping
    stopping.finish(done(claim, status=OperationStatus.RUNNING))
    taken = {other.claim().operation.pk, other.claim().operation.pk}
    assert claim.operation.pk in taken


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


def wait_for(condition, seconds):
    """What the condition answers as soon as that is something; False when the time is over."""
    deadline = time.monotonic() + within(seconds)
    while time.monotonic() < deadline:
        if answer := condition():
            return answer
        time.sleep(0.02)
    return False


# ---- behind a delete -------------------------------------------------------------------------------------------------


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
        assert instance.retry_at > timezone.now() and retries.retry_failed_deletes() == 0
        MicroServiceInstance.objects.update(retry_at=timezone.now())
        assert retries.retry_failed_deletes() == 1 and retries.retry_failed_deletes() == 0
    batch.finish(done(batch.claim()))
    assert not MicroServiceInstance.objects.exists()


# ---- past the budget -------------------------------------------------------------------------------------------------


def play(batch, fails: set[int]) -> list[int]:
    """Claims and ends all there is; the claims numbered in `fails` (from 0) fail. Answers the instances, in order."""
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
