"""The event stream: every event once and in order, one reader for all subscribers, slots shared fairly."""

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
def broadcaster():
    own = event_stream.Broadcaster(slots=3, poll_interval=0.02)
    yield own
    with own._lock:
        own._subscribers.clear()
    wait_until(lambda: own._thread is None, what="the broadcaster's thread ends")


def ids(subscriber, count, seconds=5):
    found, deadline = [], time.monotonic() + seconds
    while len(found) < count and time.monotonic() < deadline:
        if item := subscriber.next(0.1):
            found.append(item.id)
    return found


def test_delivers_wanted_events_in_order(broadcaster):
    mine, other = factories.running(), factories.running(name="other")
    everything = broadcaster.join()
    only_mine = broadcaster.join(lambda item: item.deployment_id == mine.pk)
    made = [factories.event(deployment, number=n) for n in range(50) for deployment in (mine, other)]
    assert ids(everything, 100) == [event.pk for event in made]
    assert ids(only_mine, 50) == [event.pk for event in made if event.deployment_id == mine.pk]
    assert only_mine.next(0.1) is None


def test_event_has_its_service(broadcaster):
    deployment = factories.running()
    subscriber = broadcaster.join()
    factories.event(deployment, "operation", status="running")
    item = subscriber.next(5)
    assert (item.service_id, item.kind, item.data) == (deployment.microservice_id, "operation", {"status": "running"})


def test_begins_with_new_events(broadcaster):
    deployment = factories.running()
    factories.event(deployment)
    subscriber = broadcaster.join()
    later = factories.event(deployment)
    assert ids(subscriber, 1) == [later.pk]


def test_drops_slow_subscriber(broadcaster, monkeypatch):
    monkeypatch.setattr(event_stream, "QUEUE_SIZE", 10)
    deployment = factories.running()
    slow = broadcaster.join()
    monkeypatch.setattr(event_stream, "QUEUE_SIZE", 1000)
    quick = broadcaster.join()
    made = Event.objects.bulk_create([Event(deployment=deployment, kind="step") for _ in range(100)])
    expected = [event.pk for event in made]
    assert ids(quick, 100) == expected
    assert slow.dropped and not quick.dropped
    assert ids(slow, 10) == expected[:10]
    started = time.monotonic()
    assert slow.next(10) is None
    assert time.monotonic() - started < within(1)


def test_rejects_subscriber_without_slot(broadcaster):
    subscribers = [broadcaster.join() for _ in range(3)]
    with pytest.raises(event_stream.TooManyStreams):
        broadcaster.join()
    broadcaster.join(slot=False)
    subscribers[0].close()
    subscribers[0].close()
    broadcaster.join()
    with pytest.raises(event_stream.TooManyStreams):
        broadcaster.join()


def test_reads_nothing_without_subscribers(broadcaster):
    subscriber = broadcaster.join()
    thread = broadcaster._thread
    subscriber.close()
    thread.join(60)
    assert not thread.is_alive()
    again = broadcaster.join()
    made = factories.event(factories.running())
    assert ids(again, 1) == [made.pk]


def test_concurrent_join_and_leave(broadcaster):
    deployment = factories.running()
    broadcaster.slots = 1000
    for _ in range(30):
        broadcaster.join().close()
        subscriber = broadcaster.join()
        made = factories.event(deployment)
        assert ids(subscriber, 1, seconds=3) == [made.pk]
        subscriber.close()


def test_many_subscribers_cost_one_reader(broadcaster, monkeypatch):
    deployment = factories.running()
    broadcaster.slots = 1000
    looks = []
    real = events.any_after
    monkeypatch.setattr(events, "any_after", lambda *arguments: looks.append(1) or real(*arguments))
    subscribers = [broadcaster.join() for _ in range(100)]
    made = factories.event(deployment)
    assert all(ids(subscriber, 1) == [made.pk] for subscriber in subscribers)
    looks.clear()
    began = time.monotonic()
    wait_until(lambda: len(looks) >= 10, what="the reader looks on")
    assert len(looks) <= 5 + (time.monotonic() - began) / broadcaster.poll_interval


def test_eager_subscriber_is_polled_faster(broadcaster):
    """Even if the broadcaster already waits when the subscriber joins."""
    deployment = factories.running()
    broadcaster.poll_interval = 30
    usual = broadcaster.join()
    time.sleep(0.2)
    eager = broadcaster.join(eager=True)
    time.sleep(0.2)
    began = time.monotonic()
    made = factories.event(deployment)
    assert ids(eager, 1) == [made.pk]
    assert time.monotonic() - began < within(1)
    assert ids(usual, 1) == [made.pk]
    eager.close()


def test_survives_database_errors(broadcaster, monkeypatch):
    from django.db import OperationalError

    deployment = factories.running()
    real, failures = events.after, [OperationalError("gone")] * 3

    def sometimes(*arguments):
        if failures:
            raise failures.pop()
        return real(*arguments)

    monkeypatch.setattr(events, "after", sometimes)
    subscriber = broadcaster.join()
    made = factories.event(deployment)
    assert ids(subscriber, 1) == [made.pk]
    assert not failures


def test_concurrent_writers_lose_nothing(broadcaster):
    deployment = factories.running()
    subscriber = broadcaster.join()

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


def test_changes_without_deployment(broadcaster):
    service, host = factories.running().microservice, factories.hosts(1)[0]
    subscriber = broadcaster.join()
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


def test_out_of_order_commits(broadcaster):
    """On SQLite the second waits for the first; on PostgreSQL it does not, and its row has the higher id."""
    service = factories.running().microservice
    subscriber, overtaken, over = broadcaster.join(), threading.Event(), threading.Event()

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


def test_sweep_publishes_after_crash(broadcaster, monkeypatch):
    service = factories.running().microservice
    subscriber = broadcaster.join()
    with monkeypatch.context() as dead:
        dead.setattr(chain, "_seal_quietly", lambda: None)
        record(SYSTEM, "change", "service", service, service=service)
    assert subscriber.next(0.3) is None
    chain.seal()
    assert subscriber.next(5).data["action"] == "change"


def test_prunes_old_events_but_the_newest():
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


def test_limits_slots_per_account():
    made = event_stream.Broadcaster(slots=6, poll_interval=0.02, per_account=2)
    mine = [made.join(account="vera") for _ in range(2)]
    with pytest.raises(event_stream.TooManyStreams):
        made.join(account="vera")
    others = [made.join(account="alice"), made.join(account="bob")]
    mine.pop().close()
    mine.append(made.join(account="vera"))
    for subscriber in (*mine, *others):
        subscriber.close()


def test_largest_account_gives_up_a_slot():
    made = event_stream.Broadcaster(slots=4, poll_interval=0.02)
    greedy = [made.join(account="vera") for _ in range(4)]
    alice = made.join(account="alice")
    assert [subscriber.dropped for subscriber in greedy] == [False, False, False, True]  # her newest one
    second = made.join(account="alice")
    assert sum(subscriber.dropped for subscriber in greedy) == 2
    with pytest.raises(event_stream.TooManyStreams):  # two and two: no account has more than the others
        made.join(account="alice")
    with pytest.raises(event_stream.TooManyStreams):
        made.join()
    assert made.subscriber_count == 4
    for subscriber in (*greedy, alice, second):
        subscriber.close()
    assert made.subscriber_count == 0


def test_leaves_threads_for_short_requests():
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
    for subscriber in held:
        subscriber.close()
        subscriber.close()
    assert [long.enter(), long.enter(), long.enter()] == [True, True, False]
