"""The event stream: every event once and in order, one reader for all, slots shared fairly, nothing read for no one."""

import threading
import time
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.utils import timezone

from access.callers import SYSTEM
from access.turns import Turns
from audit import chain, events
from audit.history import record
from audit.models import Event
from microservice import event_stream
from microservice.output import expiry
from tests import factories
from tests.lab.busy import within
from tests.lab.network import wait_until

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def one():
    made = event_stream.Broadcaster(slots=3, poll_interval=0.02)
    yield made
    made._subscribers.clear()
    wait_until(lambda: made._thread is None, what="the broadcaster's thread ends")


def ids(subscriber, count, seconds=5):
    found, deadline = [], time.monotonic() + seconds
    while len(found) < count and time.monotonic() < deadline:
        if item := subscriber.next(0.1):
            found.append(item.id)
    return found


def test_each_watcher_gets_what_it_wants_once_and_in_order(one):
    mine, other = factories.running(), factories.running(name="other")
    everything = one.join()
    only_mine = one.join(lambda item: item.deployment_id == mine.pk)
    made = [factories.event(deployment, number=n) for n in range(50) for deployment in (mine, other)]
    assert ids(everything, 100) == [event.pk for event in made]
    assert ids(only_mine, 50) == [event.pk for event in made if event.deployment_id == mine.pk]
    assert only_mine.next(0.1) is None


def test_an_item_says_which_service_it_is_about(one):
    deployment = factories.running()
    subscriber = one.join()
    factories.event(deployment, "operation", status="running")
    item = subscriber.next(5)
    assert (item.service_id, item.kind, item.data) == (deployment.microservice_id, "operation", {"status": "running"})


def test_what_happened_before_somebody_joined_is_not_handed_out(one):
    deployment = factories.running()
    factories.event(deployment)
    subscriber = one.join()
    later = factories.event(deployment)
    assert ids(subscriber, 1) == [later.pk]


def test_who_reads_too_slowly_is_let_go_and_the_others_are_not(one, monkeypatch):
    monkeypatch.setattr(event_stream, "QUEUE_SIZE", 10)
    deployment = factories.running()
    slow = one.join()
    monkeypatch.setattr(event_stream, "QUEUE_SIZE", 1000)
    quick = one.join()
    made = Event.objects.bulk_create([Event(deployment=deployment, kind="step") for _ in range(100)])
    expected = [event.pk for event in made]
    assert ids(quick, 100) == expected
    assert slow.dropped and not quick.dropped
    assert ids(slow, 10) == expected[:10]
    started = time.monotonic()
    assert slow.next(10) is None
    assert time.monotonic() - started < within(1)


def test_beyond_the_slots_there_is_no_room_until_somebody_leaves(one):
    subscribers = [one.join() for _ in range(3)]
    with pytest.raises(event_stream.TooManyStreams):
        one.join()
    one.join(slot=False)
    subscribers[0].close()
    subscribers[0].close()
    one.join()
    with pytest.raises(event_stream.TooManyStreams):
        one.join()


def test_nothing_is_read_while_nobody_watches(one):
    subscriber = one.join()
    thread = one._thread
    subscriber.close()
    thread.join(60)
    assert not thread.is_alive()
    again = one.join()
    made = factories.event(factories.running())
    assert ids(again, 1) == [made.pk]


def test_joining_and_leaving_at_once_never_leaves_a_watcher_without_a_reader(one):
    deployment = factories.running()
    one.slots = 1000
    for _ in range(30):
        one.join().close()
        subscriber = one.join()
        made = factories.event(deployment)
        assert ids(subscriber, 1, seconds=3) == [made.pk]
        subscriber.close()


def test_a_hundred_watchers_cost_as_many_queries_as_one(one, monkeypatch):
    deployment = factories.running()
    one.slots = 1000
    looks = []
    real = events.any_after
    monkeypatch.setattr(events, "any_after", lambda *arguments: looks.append(1) or real(*arguments))
    subscribers = [one.join() for _ in range(100)]
    made = factories.event(deployment)
    assert all(ids(subscriber, 1) == [made.pk] for subscriber in subscribers)
    looks.clear()
    time.sleep(0.4)
    assert 3 <= len(looks) <= 25


def test_who_only_waits_for_an_answer_need_not_wait_for_the_usual_look(one):
    """Also where the broadcaster is asleep already when it comes."""
    deployment = factories.running()
    one.poll_interval = 30
    usual = one.join()
    time.sleep(0.2)
    eager = one.join(eager=True)
    time.sleep(0.2)
    began = time.monotonic()
    made = factories.event(deployment)
    assert ids(eager, 1) == [made.pk]
    assert time.monotonic() - began < within(1)
    assert ids(usual, 1) == [made.pk]
    eager.close()


def test_a_database_that_fails_once_ends_no_ones_watch(one, monkeypatch):
    from django.db import OperationalError

    deployment = factories.running()
    real, failures = events.after, [OperationalError("gone")] * 3

    def sometimes(*arguments):
        if failures:
            raise failures.pop()
        return real(*arguments)

    monkeypatch.setattr(events, "after", sometimes)
    subscriber = one.join()
    made = factories.event(deployment)
    assert ids(subscriber, 1) == [made.pk]
    assert not failures


def test_events_of_writers_at_the_same_time_come_without_gap_or_double(one):
    deployment = factories.running()
    subscriber = one.join()

    def write():
        from django.db import transaction

        for _ in range(20):
            with transaction.atomic():
                events.write([Event(deployment=deployment, kind="step"), Event(deployment=deployment, kind="step")])
        connection.close()

    writers = [threading.Thread(target=write) for _ in range(4)]
    for thread in writers:
        thread.start()
    found = ids(subscriber, 160, seconds=20)
    for thread in writers:
        thread.join()
    assert found == sorted(set(found)) and len(found) == 160


def test_what_is_changed_without_a_deployment_is_told_too_and_a_request_to_deploy_is_not_told_twice(one):
    service, host = factories.running().microservice, factories.hosts(1)[0]
    subscriber = one.join()
    record(SYSTEM, "deploy", "deployment", None, service=service)
    record(SYSTEM, "create", "credential", None)
    record(SYSTEM, "change", "instance", service, service=service)
    record(SYSTEM, "trust", "host", host)
    item = subscriber.next(5)
    assert (item.kind, item.service_id, item.data["action"]) == ("instance", service.pk, "change")
    assert item.id == int(item.text.split(b"\n")[0].removeprefix(b"id: "))
    item = subscriber.next(5)
    assert (item.kind, item.service_id, item.data["id"]) == ("host", 0, host.pk)
    made = factories.event(factories.running(name="other"))
    assert ids(subscriber, 1) == [made.pk]


def test_a_change_that_is_committed_behind_a_later_one_is_told_all_the_same(one):
    """On SQLite the second waits for the first; on PostgreSQL it does not, and its row has the higher id."""
    service = factories.running().microservice
    subscriber, overtaken, over = one.join(), threading.Event(), threading.Event()

    def slow():
        with transaction.atomic():
            record(SYSTEM, "slow", "service", service, service=service)
            overtaken.set()
            over.wait(1 if connection.vendor == "sqlite" else 10)
        connection.close()

    thread = threading.Thread(target=slow)
    thread.start()
    overtaken.wait(60)
    record(SYSTEM, "quick", "service", service, service=service)
    first = subscriber.next(5)
    over.set()
    thread.join()
    second = subscriber.next(5)
    assert {first.data["action"], second.data["action"]} == {"slow", "quick"} and first.id < second.id
    if connection.vendor == "postgresql":
        assert first.data["action"] == "quick"


def test_a_change_whose_process_died_right_after_its_commit_is_told_by_the_sweep(one, monkeypatch):
    service = factories.running().microservice
    subscriber = one.join()
    with monkeypatch.context() as dead:
        dead.setattr(chain, "_seal_quietly", lambda: None)
        record(SYSTEM, "change", "service", service, service=service)
    assert subscriber.next(0.3) is None
    chain.seal()
    assert subscriber.next(5).data["action"] == "change"


def test_events_about_no_deployment_go_after_a_day_but_never_the_newest_of_all():
    long_ago = timezone.now() - timedelta(days=2)
    running = factories.running(1, "shop")
    of_deployment = set(Event.objects.filter(deployment=running).values_list("pk", flat=True))
    old, new, last = (
        Event.objects.create(kind="host", data={}, created=at).pk for at in (long_ago, timezone.now(), long_ago)
    )
    Event.objects.filter(deployment=running).update(created=long_ago)
    assert expiry.prune_events() >= 1 and expiry.prune_events() == 0
    left = set(Event.objects.values_list("pk", flat=True))
    assert old not in left and {new, last} | of_deployment <= left


def test_one_caller_has_so_many_slots_and_no_more():
    made = event_stream.Broadcaster(slots=6, poll_interval=0.02, per_account=2)
    mine = [made.join(account="vera") for _ in range(2)]
    with pytest.raises(event_stream.TooManyStreams):
        made.join(account="vera")
    others = [made.join(account="alice"), made.join(account="bob")]
    mine.pop().close()
    mine.append(made.join(account="vera"))
    for one in (*mine, *others):
        one.close()


def test_whoever_has_fewer_gets_a_slot_of_who_has_most():
    made = event_stream.Broadcaster(slots=4, poll_interval=0.02)
    greedy = [made.join(account="vera") for _ in range(4)]
    alice = made.join(account="alice")
    assert [one.dropped for one in greedy] == [False, False, False, True]  # her newest one
    second = made.join(account="alice")
    assert sum(one.dropped for one in greedy) == 2
    with pytest.raises(event_stream.TooManyStreams):  # two and two: nobody has more than the others
        made.join(account="alice")
    with pytest.raises(event_stream.TooManyStreams):
        made.join()
    assert made.subscriber_count == 4
    for one in (*greedy, alice, second):
        one.close()
    assert made.subscriber_count == 0


def test_streams_leave_threads_to_what_is_short():
    long = Turns(2)
    made = event_stream.Broadcaster(slots=4, poll_interval=0.02, turns=long)
    held = [made.join(), made.join()]
    with pytest.raises(event_stream.TooManyStreams):
        made.join()
    held.pop().close()
    assert long.enter()
    with pytest.raises(event_stream.TooManyStreams):
        made.join()
    long.leave()
    held.append(made.join())
    for one in held:
        one.close()
        one.close()
    assert [long.enter(), long.enter(), long.enter()] == [True, True, False]
