"""Callbacks are signed, sent, retried, and kept with request and response."""

import base64
import hashlib
import hmac
import json
import socket
from datetime import timedelta

import pytest
from django.utils import timezone

from access.callers import SYSTEM
from access.problems import Problem
from callbacks import http_client, outbox, redelivery, request_callbacks, sender, signing
from callbacks.models import Delivery, DeliveryState
from tests.lab.busy import within

from .factories import create_callback, enqueue, send_all

pytestmark = pytest.mark.django_db


def test_signs_as_the_example_of_standard_webhooks():
    made = signing.headers(
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}'
    )
    assert made["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize("secret", ["whsec_", "whsec_!!!", "whsec_c2hvcnQ=", "plain words", "whsec_" + "A" * 200])
def test_rejects_invalid_secrets(secret):
    with pytest.raises(Problem) as problem:
        create_callback("https://example.org/", secret=secret)
    assert problem.value.errors[0]["pointer"] == "/secret"


def test_keeps_request_and_answer(receiver):
    create_callback(receiver.url, headers={"X-Team": "red", "Authorization": "Basic cGFzc3dvcmQ="})
    enqueue()
    row = send_all()[0]
    got = receiver.got[0]
    signed = f"{got.headers['webhook-id']}.{got.headers['webhook-timestamp']}.".encode() + got.body
    mac = base64.b64encode(hmac.new(b"k" * 24, signed, hashlib.sha256).digest()).decode()
    assert got.headers["webhook-signature"] == f"v1,{mac}"
    assert abs(int(got.headers["webhook-timestamp"]) - timezone.now().timestamp()) < 10
    assert (got.path, got.headers["x-team"], got.headers["authorization"]) == ("/hook?a=b", "red", "Basic cGFzc3dvcmQ=")
    assert json.loads(got.body)["type"] == "deployment.ended"
    assert json.loads(got.body)["data"] == {"x": "ü"}
    row.refresh_from_db()
    assert (row.state, row.answer_status, row.answer, row.attempts) == (DeliveryState.DELIVERED, 200, "thanks", 1)
    assert (row.headers["X-Team"], row.headers["Authorization"]) == ("red", "[secret]")
    assert row.headers["webhook-id"] == row.message_id == got.headers["webhook-id"]
    assert send_all() == []


def test_retries_with_backoff_for_a_day(receiver):
    receiver.answers = [(500, {}, b"later", 0)]
    create_callback(receiver.url)
    enqueue()
    pauses = []
    for _ in range(60):
        row = send_all()[0]
        if row.state != DeliveryState.PENDING:
            break
        pauses.append((row.due - timezone.now()).total_seconds())
        assert send_all() == []
        # The clock goes on: everything else moves into the past.
        Delivery.objects.update(due=timezone.now(), until=row.until - (row.due - timezone.now()))
    assert row.state == DeliveryState.FAILED
    assert pauses == sorted(pauses, key=round)
    assert 60 < pauses[3] < sum(pauses) <= 86400
    assert sum(pauses) > 86400 - 2 * max(pauses)
    assert len({got.headers["webhook-id"] for got in receiver.got}) == 1
    assert row.error == "The receiver answered with status 500."


def test_redelivers_failed_deliveries(receiver):
    receiver.answers = [(500, {}, b"", 0), (200, {}, b"ok", 0)]
    create_callback(receiver.url)
    enqueue()
    Delivery.objects.update(until=timezone.now())
    row = send_all()[0]
    assert row.state == DeliveryState.FAILED
    redelivery.redeliver(SYSTEM, row)
    assert send_all()[0].state == DeliveryState.DELIVERED
    assert receiver.got[0].body == receiver.got[1].body
    assert receiver.got[0].headers["webhook-id"] == receiver.got[1].headers["webhook-id"]


def test_refuses_redelivery_while_sending(receiver):
    create_callback(receiver.url)
    enqueue()
    row = sender.claim(8)[0]
    with pytest.raises(Problem, match="being sent"):
        redelivery.redeliver(SYSTEM, row)


def test_claims_once_until_the_lease_expires(receiver):
    create_callback(receiver.url)
    enqueue()
    assert len(sender.claim(8)) == 1
    assert sender.claim(8) == []
    Delivery.objects.update(lease=timezone.now() - timedelta(seconds=1))
    assert sender.claim(8)[0].attempts == 2


def test_limits_deliveries_in_flight_per_server(receiver):
    slow, other = create_callback(receiver.url), create_callback("https://example.org/")
    create_callback(receiver.url + "&b=c", events=["lock.broken"])
    enqueue("lock.broken:1", "lock.broken")
    for number in range(10):
        enqueue(f"deployment.ended:{number}")
    rows = sender.claim(8)
    assert [row.callback_id for row in rows].count(other.pk) == 2
    assert sum(row.callback.server == slow.server for row in rows) == 2
    assert sender.claim(8) == []


def test_subscriptions_do_not_wait_for_the_callbacks_of_builds():
    """Whoever may start a build may name many servers that never answer."""
    for number in range(sender.MAX_SERVERS + 10):
        wanted = request_callbacks.requested({"callback_url": f"https://h{number}.example.org/"})
        request_callbacks.add(SYSTEM, f"build:{number}", wanted, None)
        outbox.enqueue_for(f"build:{number}", "build.ended", "build.ended:1", dict)
    mine = create_callback("https://h1.example.org/")
    enqueue()
    assert [row.callback_id for row in sender.claim(1)] == [mine.pk]
    assert [row.callback.server for row in sender.claim(3)] == [
        f"https://h{number}.example.org:443" for number in (0, 1, 2)
    ], "then the oldest first"


def test_keeps_connection_errors(receiver):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        create_callback(f"http://127.0.0.1:{free.getsockname()[1]}/")
        enqueue()
        row = send_all()[0]
    assert (row.state, row.answer_status) == (DeliveryState.PENDING, None)
    assert "refused" in row.error.lower()


def test_truncates_answers(receiver):
    receiver.answers = [(200, {}, b"x" * 100_000, 0)]
    create_callback(receiver.url)
    enqueue()
    assert len(send_all()[0].answer) == http_client.MAX_ANSWER


def test_cuts_off_slow_servers(receiver, monkeypatch):
    monkeypatch.setattr(http_client, "TIMEOUT", 0.5)
    receiver.answers = [(200, {}, b"", 3)]
    create_callback(receiver.url)
    enqueue()
    row = send_all()[0]
    assert row.answer_status is None
    assert row.took < within(2500)
    assert "no answer within" in row.error


def test_cuts_off_dripping_servers(settings, monkeypatch):
    import threading
    import time

    monkeypatch.setattr(http_client, "TIMEOUT", 0.6)
    settings.CALLBACK_ALLOWED_NETWORKS = ["127.0.0.1"]
    with socket.create_server(("127.0.0.1", 0)) as server:

        def drip():
            peer, _ = server.accept()
            try:
                for _ in range(600):
                    peer.sendall(b"H")
                    time.sleep(0.1)
            except OSError:
                pass
            finally:
                peer.close()

        thread = threading.Thread(target=drip, daemon=True)
        thread.start()
        answer = http_client.post(f"http://127.0.0.1:{server.getsockname()[1]}/", {}, b"")
        thread.join(30)
    assert answer.status is None
    assert answer.took < within(2500)


@pytest.mark.found("away")
def test_unexpected_errors_fail_one_delivery_only(receiver, caplog):
    """A secret whose key is lost: it was sent every minute for ever, without a word to anyone."""
    broken, good = create_callback(receiver.url), create_callback(receiver.url)
    type(broken).objects.filter(pk=broken.pk).update(headers="{no json: canary")
    enqueue()
    rows = send_all()
    assert len(rows) == 2 and len(receiver.got) == 1
    row = Delivery.objects.get(callback=broken)
    assert (row.state, row.lease, row.attempts) == (DeliveryState.PENDING, None, 1) and row.due > timezone.now()
    assert "could not be sent" in row.error and "canary" not in row.error + caplog.text
    assert Delivery.objects.get(callback=good).state == DeliveryState.DELIVERED
    Delivery.objects.filter(pk=row.pk).update(due=timezone.now(), until=timezone.now())
    send_all()
    row.refresh_from_db()
    assert row.state == DeliveryState.FAILED
