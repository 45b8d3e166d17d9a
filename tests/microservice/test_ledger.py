"""Claims, fences, leases and endings, with the real ledger thread on the real database. No host is touched."""

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
from tests.lab.busy import within
from worker import writer
from worker.results import Ending
from worker.writer import Ledger

from . import fleet

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def ledgers(transactional_db):
    """Makes ledgers as worker processes have them; ends them with the test."""
    made = []

    def make(name="w1", slots=16):
        made.append(Ledger(name, slots))
        return made[-1]

    yield make
    for one in made:
        one.close()


def upgrade(count=3, name="shop", **more) -> Deployment:
    service = fleet.service(name)
    old, new = fleet.versions(service, 2)
    fleet.instances(old, fleet.hosts(count, prefix=name))
    return actions.request(SYSTEM, service, old, "upgrade", "all", new.pk, **more)


def done(claim, **more) -> Ending:
    return Ending(claim.operation, more.pop("status", OperationStatus.SUCCEEDED), **more)


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


def test_each_operation_is_claimed_once_however_many_ask(ledgers):
    deployment = upgrade(10)
    desks = [ledgers("w1"), ledgers("w2")]
    taken, start = [], threading.Barrier(24)

    def ask(desk):
        start.wait()
        taken.append(desk.claim())

    threads = [threading.Thread(target=ask, args=(desks[n % 2],)) for n in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    numbers = [claim.operation.pk for claim in taken if claim]
    assert sorted(numbers) == sorted(deployment.operations.values_list("pk", flat=True))
    deployment.refresh_from_db()
    assert deployment.status == DeploymentStatus.RUNNING and deployment.started


def test_an_ending_writes_version_status_and_unlock_and_ends_the_deployment(ledgers):
    deployment, desk = upgrade(2), ledgers()
    while claim := desk.claim():
        assert claim.fresh and desk.finish(done(claim))
    deployment.refresh_from_db()
    assert deployment.status == DeploymentStatus.SUCCEEDED
    assert not MicroServiceInstance.objects.exclude(locked=False, version=deployment.dest_version).exists()
    assert desk.in_flight == 0


def test_an_end_and_the_next_claim_are_asked_for_at_once(ledgers):
    deployment, desk = upgrade(2), ledgers(slots=1)
    first = desk.claim()
    kept, second = desk.next(done(first))
    assert kept and second.operation.pk != first.operation.pk
    assert desk.next(done(second)) == (True, None)
    deployment.refresh_from_db()
    assert deployment.status == DeploymentStatus.SUCCEEDED


def test_operations_that_end_together_and_differently_are_each_written_as_they_ended(ledgers):
    deployment, desk = upgrade(5), ledgers()
    claims = [desk.claim() for _ in range(5)]
    endings = [done(claim) for claim in claims[:3]]
    bad = {"status": OperationStatus.UNDONE, "undo_status": UndoStatus.UNDONE}
    endings += [done(claim, **bad, error=f"no {claim.operation.pk}") for claim in claims[3:]]
    threads = [threading.Thread(target=desk.finish, args=(ending,)) for ending in endings]
    with desk.held_back():
        for thread in threads:
            thread.start()
        time.sleep(0.3)
    for thread in threads:
        thread.join()
    rows = list(deployment.operations.order_by("pk"))
    assert [row.status for row in rows] == ["succeeded"] * 3 + ["undone"] * 2
    assert [row.error for row in rows] == ["", "", "", *(f"no {row.pk}" for row in rows[3:])]
    assert all(row.finished and row.lease is None and not row.owner for row in rows)


def test_a_failure_past_the_budget_stops_what_has_not_begun(ledgers):
    deployment, desk = upgrade(3), ledgers(slots=1)
    claim = desk.claim()
    desk.finish(done(claim, status=OperationStatus.UNDONE, undo_status=UndoStatus.UNDONE, error="no"))
    assert desk.claim() is None
    deployment.refresh_from_db()
    assert deployment.status == DeploymentStatus.FAILED
    assert sorted(deployment.operations.values_list("status", flat=True)) == ["not_started", "not_started", "undone"]
    assert sorted(MicroServiceInstance.objects.values_list("locked", "status")) == [(False, 0), (False, 0), (False, 12)]


def lapse():
    Operation.objects.filter(status=OperationStatus.RUNNING).update(lease=timezone.now() - timedelta(seconds=1))


def test_what_nobody_keeps_alive_is_taken_over_under_a_higher_fence_and_the_late_worker_writes_nothing(ledgers):
    deployment = upgrade(1)
    late, next_one = ledgers("late"), ledgers("next")
    first = late.claim()
    lapse()
    second = wait_for(next_one.claim, 5)  # the late worker may be looking at the row in this very moment
    assert second.operation.pk == first.operation.pk and not second.fresh
    assert second.operation.fence > first.operation.fence
    late.progress_of(first.operation.pk).output(0, b"too late")
    late.tell(late.progress_of(first.operation.pk))
    assert late.finish(done(first, status=OperationStatus.FAILED)) is False
    assert not Output.objects.exists()
    assert Operation.objects.get().status == OperationStatus.RUNNING
    assert next_one.finish(done(second))
    deployment.refresh_from_db()
    assert deployment.status == DeploymentStatus.SUCCEEDED


def test_a_worker_finds_out_that_its_operation_was_taken_over(ledgers, settings):
    settings.OPERATION_LEASE_SECONDS = 2
    upgrade(1)
    late, next_one = ledgers("late"), ledgers("next")
    first = late.claim()
    Operation.objects.update(owner="somebody else", fence=first.operation.fence + 1)
    assert wait_for(lambda: late.progress_of(first.operation.pk).lost, 5)
    assert next_one.claim() is None


def test_an_operation_whose_thread_hangs_is_taken_over_and_its_late_word_is_refused(
    ledgers, settings, monkeypatch, caplog
):
    settings.OPERATION_LEASE_SECONDS = 2
    upgrade(1)
    desk = ledgers("w1")
    first = desk.claim()
    hung = desk.progress_of(first.operation.pk)
    hung.here()
    monkeypatch.setattr(writer, "HUNG", 1.0)
    assert wait_for(lambda: hung.lost, 10), "its lease would be renewed for ever"
    assert "its thread hangs" in caplog.text and "in wait_for" in caplog.text, "the log says where"
    monkeypatch.undo()
    second = wait_for(desk.claim, 10)
    assert second.operation.pk == first.operation.pk and second.operation.fence > first.operation.fence
    assert desk.finish(done(first, status=OperationStatus.FAILED)) is False, "it came back, under a fence of the past"
    assert not desk.progress_of(second.operation.pk).lost, "what it said has not disturbed the one who took over"
    assert desk.finish(done(second))
    assert not MicroServiceInstance.objects.get().locked


def test_what_was_claimed_is_dealt_out_in_turn_and_nobody_gets_more_than_asked_for(ledgers):
    assert writer.shares([1, 2, 3, 4, 5], [1, 3, 4]) == [[1], [2, 4], [3, 5]]
    assert writer.shares([1], [2, 2]) == [[1], []] and writer.shares([], []) == []
    upgrade(5)
    desk = ledgers()
    assert [len(desk.claim_some(3)), len(desk.claim_some(3)), len(desk.claim_some(3))] == [3, 2, 0]


def test_a_lease_is_renewed_as_long_as_its_worker_lives(ledgers, settings):
    settings.OPERATION_LEASE_SECONDS = 2
    upgrade(1)
    desk, other = ledgers("w1"), ledgers("w2")
    claim = desk.claim()
    deadline = time.monotonic() + 4
    while time.monotonic() < deadline:
        assert other.claim() is None
        time.sleep(0.2)
    assert desk.finish(done(claim))


def test_fences_of_a_new_instance_are_above_every_fence_of_the_one_before(ledgers):
    deployment, desk = upgrade(1), ledgers()
    claim = desk.claim()
    desk.finish(done(claim))
    instance = MicroServiceInstance.objects.get()
    host, service = instance.host, instance.microservice
    actions.delete(SYSTEM, service, [instance.pk])
    gone = desk.claim()
    desk.finish(done(gone))
    assert not MicroServiceInstance.objects.exists()
    actions.install(SYSTEM, service, deployment.dest_version, [host.pk])
    assert desk.claim().operation.fence > gone.operation.fence > claim.operation.fence


def test_a_silent_host_is_asked_again_later_and_given_up_at_the_deadline(ledgers, settings):
    deployment, desk = upgrade(1), ledgers()
    claim = desk.claim()
    desk.finish(done(claim, status=OperationStatus.UNKNOWN, error="It did not answer."))
    row = Operation.objects.get()
    assert (row.status, row.asked, row.owner) == (OperationStatus.UNKNOWN, 1, "") and row.due > timezone.now()
    assert desk.claim() is None and MicroServiceInstance.objects.get().locked
    now = timezone.now()
    Operation.objects.update(due=now - timedelta(seconds=1), unknown_since=now - timedelta(days=1))
    again = desk.claim()
    assert again.operation.pk == row.pk and not again.fresh
    desk.finish(done(again, status=OperationStatus.UNKNOWN, error="It did not answer."))
    deployment.refresh_from_db()
    assert deployment.status == DeploymentStatus.FAILED
    assert "could not be asked" in Operation.objects.get().error
    assert not MicroServiceInstance.objects.get().locked


def test_news_of_an_operation_becomes_rows_and_events_within_a_moment(ledgers):
    upgrade(1)
    desk = ledgers()
    claim = desk.claim()
    progress = desk.progress_of(claim.operation.pk)
    progress.plan(["prepare", "link"])
    progress.events([event(Kind.STARTED, 1), event(Kind.DONE, 1, old_state="1.0", new_state="2.0", exit_status=0)])
    progress.output(0, b"hello ")
    progress.output(6, b"world")
    desk.tell(progress)
    assert wait_for(lambda: Step.objects.count() == 2, 3)
    assert list(Step.objects.values_list("position", "status", "old_state", "new_state")) == [
        (0, "pending", "", ""),
        (1, "done", "1.0", "2.0"),
    ]
    assert bytes(Output.objects.get().data) == b"hello world"
    assert {"step", "output", "operation", "deployment"} <= set(Event.objects.values_list("kind", flat=True))
    progress.output(11, b"!")
    desk.finish(done(claim))
    assert Operation.objects.get().output_size == 12
    assert [bytes(row.data) for row in Output.objects.order_by("start")] == [b"hello world", b"!"]


def test_the_number_of_statements_of_a_tick_does_not_grow_with_its_operations(ledgers):
    counts = []
    for number in (2, 12):
        upgrade(number, name=f"shop{number}")
        desk = ledgers(f"w{number}", slots=64)
        claims = [desk.claim() for _ in range(number)]
        counts.append(statements_of(lambda claims=claims, desk=desk: finish_together(desk, claims)))
    assert counts[1] <= counts[0] + 2


def finish_together(desk, claims):
    threads = [threading.Thread(target=desk.finish, args=(done(claim),)) for claim in claims]
    with desk.held_back():
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


def test_a_worker_that_is_told_to_stop_claims_nothing_and_lets_go_of_what_it_has(ledgers):
    upgrade(2)
    stopping, other = ledgers("stopping"), ledgers("other")
    claim = stopping.claim()
    stopping.stop()
    assert stopping.claim() is None and stopping.stopping
    stopping.finish(done(claim, status=OperationStatus.RUNNING))
    taken = {other.claim().operation.pk, other.claim().operation.pk}
    assert claim.operation.pk in taken


def test_a_cancel_reaches_the_worker_that_has_the_operation(ledgers, settings):
    settings.OPERATION_LEASE_SECONDS = 2
    deployment, desk = upgrade(1), ledgers()
    claim = desk.claim()
    actions.cancel(SYSTEM, deployment)
    assert wait_for(lambda: desk.progress_of(claim.operation.pk).cancelled, 5)
    desk.finish(done(claim, status=OperationStatus.CANCELLED, undo_status=UndoStatus.UNDONE))
    deployment.refresh_from_db()
    assert deployment.status == DeploymentStatus.CANCELLED
    assert MicroServiceInstance.objects.get().status == InstanceStatus.RUNNING


def test_events_are_never_passed_over_by_a_reader_however_many_write(ledgers):
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


def test_an_install_that_is_asked_for_during_a_delete_waits_for_its_end(ledgers):
    deployment, desk = upgrade(1), ledgers()
    desk.finish(done(desk.claim()))
    old = MicroServiceInstance.objects.get()
    actions.delete(SYSTEM, old.microservice, [old.pk])
    going = desk.claim()
    install = actions.install(SYSTEM, old.microservice, deployment.dest_version, [old.host_id], port=81)
    assert desk.claim() is None, "the delete has not ended"
    desk.finish(done(going))
    claim = desk.claim()
    assert claim.operation.deployment_id == install.pk and claim.fresh
    assert claim.operation.fence > going.operation.fence
    desk.finish(done(claim))
    new = MicroServiceInstance.objects.get()
    assert (new.pk != old.pk, new.port, new.version, new.locked) == (True, 81, deployment.dest_version, False)


def test_a_delete_that_failed_is_tried_again_until_it_is_done(ledgers):
    upgrade(1)
    desk = ledgers()
    desk.finish(done(desk.claim()))
    instance = MicroServiceInstance.objects.get()
    actions.delete(SYSTEM, instance.microservice, [instance.pk])
    for tries in (1, 2):
        desk.finish(done(desk.claim(), status=OperationStatus.UNDONE, undo_status=UndoStatus.UNDONE, error="no"))
        instance.refresh_from_db()
        assert (instance.status, instance.tries, instance.locked) == (InstanceStatus.DELETE_FAILED, tries, False)
        assert instance.again_at > timezone.now() and retries.try_remainders() == 0
        MicroServiceInstance.objects.update(again_at=timezone.now())
        assert retries.try_remainders() == 1 and retries.try_remainders() == 0
    desk.finish(done(desk.claim()))
    assert not MicroServiceInstance.objects.exists()


# ---- past the budget -------------------------------------------------------------------------------------------------


def play(desk, fails: set[int]) -> list[int]:
    """Claims and ends all there is; the claims numbered in `fails` (from 0) fail. Answers the instances, in order."""
    order = []
    while claim := desk.claim():
        went_wrong = len(order) in fails
        order.append(claim.operation.instance_number)
        status = OperationStatus.UNDONE if went_wrong else OperationStatus.SUCCEEDED
        desk.finish(done(claim, status=status, undo_status=UndoStatus.UNDONE if went_wrong else UndoStatus.NONE))
    return order


@pytest.mark.parametrize(("on_failure", "back"), [("hold", []), ("revert_batch", [2]), ("revert_all", [2, 1, 0])])
def test_past_the_budget_what_succeeded_goes_back_as_the_strategy_says_last_first(ledgers, on_failure, back):
    strategy = {"batch_size": 2, "on_failure": on_failure}
    deployment, desk = upgrade(6, strategy=strategy), ledgers(slots=1)
    order = play(desk, fails={3})  # batches of two: 0 and 1 are done, 2 is done, 3 fails, 4 and 5 never start
    deployment.refresh_from_db()
    assert deployment.status == DeploymentStatus.FAILED
    statuses = list(deployment.operations.values_list("status", flat=True))
    assert statuses == ["succeeded"] * 3 + ["undone"] + ["not_started"] * 2
    numbers = list(deployment.operations.values_list("instance_number", flat=True))
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


def test_a_canary_goes_first_by_itself_and_a_pause_between_batches_waits_for_somebody(ledgers):
    strategy = {"canary": 1, "batch_size": 2, "pause_between": True}
    deployment, desk = upgrade(4, strategy=strategy), ledgers(slots=8)
    claim = desk.claim()
    assert desk.claim() is None, "the canary is alone"
    desk.finish(done(claim))
    deployment.refresh_from_db()
    assert deployment.status == DeploymentStatus.PAUSED and desk.claim() is None
    actions.resume(SYSTEM, deployment)
    batch = [desk.claim(), desk.claim()]
    assert all(batch) and desk.claim() is None
    for claim in batch:
        desk.finish(done(claim))
    actions.resume(SYSTEM, deployment)
    desk.finish(done(desk.claim()))
    deployment.refresh_from_db()
    assert deployment.status == DeploymentStatus.SUCCEEDED


def test_two_deployments_of_one_service_run_side_by_side_over_different_instances(ledgers):
    first, desk = upgrade(4), ledgers()
    assert first.operations.count() == 4
    service, old, new = first.microservice, first.from_version, first.dest_version
    more = fleet.instances(old, fleet.hosts(2, prefix="more"))
    second = actions.request(SYSTEM, service, old, "upgrade", [row.host_id for row in more], new.pk)
    owners = {desk.claim().operation.deployment_id for _ in range(6)}
    assert owners == {first.pk, second.pk}


def test_hosts_that_turn_silent_or_answer_again_are_told_with_the_end_of_their_operations(ledgers):
    from asset.models import Asset

    upgrade(3)
    Asset.objects.update(reachable=True)
    Asset.objects.filter(pk=Asset.objects.first().pk).update(reachable=False)
    desk = ledgers()
    for claim in [desk.claim() for _ in range(3)]:
        desk.finish(done(claim, reached=True))
    assert [row.data["id"] for row in Event.objects.filter(kind="host")] == [Asset.objects.first().pk]
    assert set(Asset.objects.values_list("reachable", flat=True)) == {True}
    assert Asset.objects.filter(reachable_since=None).count() == 2
