"""Live events: from rows, then from the broadcaster, each once and without a gap; slots, rights and the end."""

import json
import threading
import time

import pytest
from django.db import connection, connections
from django.utils import timezone

from access.models import Token
from api.resources import events
from audit.models import Event
from microservice import event_stream, stream_events
from microservice.models import Deployment
from microservice.status import DeploymentStatus
from tests import factories
from tests.lab.network import wait_until

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def own_broadcaster(monkeypatch):
    """Replace the broadcaster by a quick one with few slots, whose thread ends with the test."""
    own = event_stream.Broadcaster(slots=4, poll_interval=0.02)
    monkeypatch.setattr(event_stream, "broadcaster", own)
    yield own
    for subscriber in list(own._subscribers):
        subscriber.close()
    wait_until(lambda: own._thread is None, what="the broadcaster's thread ends")


class Reader:
    """Reads one stream part by part, as a browser would."""

    def __init__(self, answer):
        self.answer = answer
        # One part may hold several events.
        self.parts = (piece + b"\n\n" for part in answer.streaming_content for piece in part.split(b"\n\n")[:-1])

    def event(self):
        """(id, kind, data) of the next event; None at the end of the stream."""
        for part in self.parts:
            lines = dict(
                line.split(": ", 1) for line in part.decode().splitlines() if line and not line.startswith(":")
            )
            if "id" in lines:
                return int(lines["id"]), lines["event"], json.loads(lines["data"])
        return None

    def ids(self, count):
        return [self.event()[0] for _ in range(count)]

    def close(self):
        self.answer.close()


def end(deployment):
    Deployment.objects.filter(pk=deployment.pk).update(status=DeploymentStatus.SUCCEEDED)
    return factories.event(deployment, "deployment", status="succeeded")


def test_headers_disable_proxy_buffering(api):
    answer = api("read").get(f"/deployments/{factories.running().pk}/events", **{"Accept-Encoding": "gzip"})
    assert answer["Content-Type"] == "text/event-stream; charset=utf-8"
    assert answer["X-Accel-Buffering"] == "no" and "no-cache" in answer["Cache-Control"]
    assert "Content-Encoding" not in answer
    assert next(iter(answer.streaming_content)) == b"retry: 2000\n\n"
    answer.close()


def test_streams_a_deployment_from_its_first_event(api):
    deployment, other = factories.running(), factories.running(name="other")
    before = [factories.event(deployment, "operation", id=number, status="running") for number in range(3)]
    factories.event(other)
    reader = Reader(api().get(f"/deployments/{deployment.pk}/events"))
    number, kind, data = reader.event()
    assert (number, kind, data["id"], data["deployment_id"]) == (before[0].pk, "operation", 0, deployment.pk)
    assert reader.ids(2) == [row.pk for row in before[1:]]
    factories.event(other)
    live = [factories.event(deployment) for _ in range(3)]
    assert reader.ids(3) == [row.pk for row in live]
    reader.close()


def test_resumes_after_the_last_id(api):
    deployment = factories.running()
    rows = [factories.event(deployment) for _ in range(6)]
    path = f"/deployments/{deployment.pk}/events"
    last = rows[2].pk
    for reader in (
        Reader(api().get(path, **{"Last-Event-ID": str(last)})),
        Reader(api().get(f"{path}?last_event_id={last}")),
        Reader(api().get(f"{path}?last_event_id={rows[0].pk}", **{"Last-Event-ID": str(last)})),
        Reader(api().get(f"/events?last_event_id={last}")),
    ):
        assert reader.ids(3) == [row.pk for row in rows[3:]]
        reader.close()


@pytest.mark.parametrize("last", ["x", "-1", "1;2", "9" * 30, "１"])
def test_rejects_invalid_last_ids(api, last):
    path = f"/deployments/{factories.running().pk}/events"
    assert api().get(f"{path}?last_event_id={last}").status_code == 422
    assert api().get(path, **{"Last-Event-ID": last.encode().decode("latin-1")}).status_code == 422


def test_sends_events_written_during_replay_once(api):
    deployment = factories.running()
    first = [factories.event(deployment) for _ in range(20)]
    written = []

    def write():
        for _ in range(60):
            written.append(factories.event(deployment).pk)
        written.append(end(deployment).pk)
        connection.close()

    answer = api().get(f"/deployments/{deployment.pk}/events")
    writer = threading.Thread(target=write)
    writer.start()
    reader, found = Reader(answer), []
    while event := reader.event():
        found.append(event[0])
        time.sleep(0.002)
    writer.join()
    assert found == [row.pk for row in first] + written


def test_sends_each_event_once(api, monkeypatch):
    monkeypatch.setattr(events, "KEEPALIVE", 0.05)
    deployment = factories.running()
    reader = Reader(api().get(f"/deployments/{deployment.pk}/events"))
    first = factories.event(deployment)
    (subscriber,) = event_stream.broadcaster._subscribers
    wait_until(lambda: not subscriber._queue.empty(), what="the broadcaster hands it out")
    assert reader.ids(1) == [first.pk]
    assert next(reader.parts) == b": keep-alive\n\n"
    second = factories.event(deployment)
    assert reader.ids(1) == [second.pk]
    reader.close()


def test_resuming_leaves_no_gap(api):
    deployment = factories.running()
    rows = [factories.event(deployment).pk for _ in range(30)]
    found, last = [], 0
    while len(found) < 30:
        reader = Reader(api().get(f"/deployments/{deployment.pk}/events", **{"Last-Event-ID": str(last)}))
        found += reader.ids(min(7, 30 - len(found)))
        last = found[-1]
        reader.close()
    assert found == rows


def test_closes_after_the_last_event(api, own_broadcaster):
    deployment = factories.running()
    factories.event(deployment)
    reader = Reader(api().get(f"/deployments/{deployment.pk}/events"))
    reader.ids(1)
    last = end(deployment)
    number, _, data = reader.event()
    assert (number, data["status"]) == (last.pk, "succeeded")
    assert reader.event() is None
    assert own_broadcaster.subscriber_count == 0
    replayed = Reader(api().get(f"/deployments/{deployment.pk}/events"))
    assert len(replayed.ids(2)) == 2 and replayed.event() is None
    over = api().get(f"/deployments/{deployment.pk}/events", **{"Last-Event-ID": str(last.pk)})
    assert (over.status_code, over.content) == (204, b"")


def test_streams_all_events_from_now(api):
    one, two = factories.running(), factories.running(name="other")
    factories.event(one)
    reader = Reader(api().get("/events"))
    rows = [end(one), factories.event(two)]
    assert reader.ids(2) == [row.pk for row in rows]
    reader.close()


def test_hides_events_of_other_services(api):
    one, two = factories.running(), factories.running(name="other")
    before = [factories.event(two), factories.event(one)]
    reader = Reader(api(services=[one.microservice_id]).get(f"/events?last_event_id={before[0].pk - 1}"))
    assert reader.ids(1) == [before[1].pk]
    factories.event(two)
    mine = factories.event(one)
    assert reader.ids(1) == [mine.pk]
    reader.close()


def test_everyone_hears_of_a_freeze(api):
    """It belongs to no service and no host."""
    event = Event.objects.create(kind="freeze", data={"action": "create", "id": 7}, created=timezone.now())
    reader = Reader(api(services=[factories.running().microservice_id]).get(f"/events?last_event_id={event.pk - 1}"))
    assert reader.event()[:2] == (event.pk, "freeze")
    reader.close()


def test_refuses_streams_beyond_the_slots(api):
    path = f"/deployments/{factories.running().pk}/events"
    open_streams = [api().get(path) for _ in range(4)]
    refused = api().get("/events")
    assert (refused.status_code, refused.json()["code"], refused["Retry-After"]) == (503, "no_stream_slot", "5")
    open_streams[0].close()  # never read from: its slot is given back all the same
    again = api().get("/events")
    assert again.status_code == 200
    for answer in (*open_streams, again):
        answer.close()


def test_streams_hold_no_database_connection(api):
    deployment = factories.running()
    factories.event(deployment)
    answer = api().get(f"/deployments/{deployment.pk}/events")
    held = []

    def watch():
        reader = Reader(answer)
        reader.ids(1)
        reader.event()
        held.append(connections["default"].connection)

    subscriber = threading.Thread(target=watch)
    subscriber.start()
    time.sleep(0.3)
    factories.event(deployment)
    subscriber.join(60)
    answer.close()
    assert held == [None]


def test_sends_comments_while_idle(api, monkeypatch):
    monkeypatch.setattr(events, "KEEPALIVE", 0.05)
    answer = api().get(f"/deployments/{factories.running().pk}/events")
    parts = iter(answer.streaming_content)
    assert [next(parts) for _ in range(3)] == [b"retry: 2000\n\n", b": keep-alive\n\n", b": keep-alive\n\n"]
    answer.close()


def test_ends_soon_after_revocation(api, monkeypatch):
    monkeypatch.setattr(events, "KEEPALIVE", 0.05)
    monkeypatch.setattr(events, "RIGHTS_INTERVAL", 0.1)
    deployment = factories.running()
    reader = Reader(api().get(f"/deployments/{deployment.pk}/events"))
    for _ in range(6):
        next(reader.parts)
    Token.objects.update(revoked="2026-01-01T00:00:00Z")
    assert reader.event() is None


def test_drops_slow_readers_who_then_resume(api, monkeypatch):
    monkeypatch.setattr(event_stream, "QUEUE_SIZE", 5)
    monkeypatch.setattr(events, "KEEPALIVE", 0.05)
    deployment = factories.running()
    reader = Reader(api().get(f"/deployments/{deployment.pk}/events"))
    assert [next(reader.parts) for _ in range(2)][1] == b": keep-alive\n\n"  # it has read the rows, and waits
    rows = [factories.event(deployment).pk for _ in range(40)]
    (subscriber,) = event_stream.broadcaster._subscribers
    wait_until(lambda: subscriber.dropped)
    found = []
    while event := reader.event():
        found.append(event[0])
    assert found == rows[: len(found)] and len(found) < 40
    again = Reader(api().get(f"/deployments/{deployment.pk}/events", **{"Last-Event-ID": str(found[-1])}))
    assert again.ids(40 - len(found)) == rows[len(found) :]
    again.close()


def test_values_cannot_inject_fields():
    item = stream_events.StreamEvent(1, 2, 3, None, "step", {"error": "a\nevent: evil\r\ndata: {}\n\n"}, "now")
    lines = item.text.decode().split("\n")
    assert [line.partition(":")[0] for line in lines] == ["id", "event", "data", "", ""]
    assert json.loads(lines[2].removeprefix("data: "))["error"].endswith("\n\n")
