"""Callbacks: written with what they tell, signed, sent, tried again, kept, and kept away from private networks."""
import base64
import hashlib
import hmac
import json
import socket
from datetime import timedelta

import pytest
from django.db import transaction
from django.utils import timezone

from access.callers import SYSTEM
from access.problems import Problem
from callbacks import outbox, rules, sender, signing, wire
from callbacks.models import Callback, Delivery, State, Telling
from microservice import advance, events, versions
from microservice.requests import control
from microservice.status import BuildStatus, DeploymentStatus, OperationStatus
from tests.callbacks.receiver import Receiver
from tests.microservice import fleet
from tests.microservice.api.conftest import api, store  # noqa: F401

pytestmark = pytest.mark.django_db
SECRET = "whsec_" + base64.b64encode(b"k" * 24).decode()


@pytest.fixture
def receiver(settings):
    settings.CALLBACK_ALLOW = ["127.0.0.0/8"]
    with Receiver() as one:
        yield one


def callback(url: str, **fields) -> Callback:
    return rules.create(SYSTEM, {"url": url, "secret": SECRET, **fields})[0]


def told(name="deployment.ended:1", event=Telling.DEPLOYMENT_ENDED) -> None:
    outbox.tell(event, name, {"x": "ü"})


def send_all() -> list[Delivery]:
    return [sender.attempt(row) for row in sender.claim(8)]


# --- the signature ----------------------------------------------------------------------------------------------------


def test_a_signature_is_the_one_that_standard_webhooks_gives_as_its_example():
    made = signing.headers("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330,
                           b'{"test": 2432232314}')
    assert made["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize("secret", ["whsec_", "whsec_!!!", "whsec_c2hvcnQ=", "plain words", "whsec_" + "A" * 200])
def test_a_secret_that_is_none_is_refused(secret):
    with pytest.raises(Problem) as problem:
        callback("https://example.org/", secret=secret)
    assert problem.value.errors[0]["pointer"] == "/secret"


# --- sending ----------------------------------------------------------------------------------------------------------


def test_a_message_arrives_signed_with_its_headers_and_both_sides_are_kept(receiver):
    callback(receiver.url, headers={"X-Team": "red", "Authorization": "Basic cGFzc3dvcmQ="})
    told()
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
    assert (row.state, row.answer_status, row.answer, row.attempts) == (State.DELIVERED, 200, "thanks", 1)
    assert (row.headers["X-Team"], row.headers["Authorization"]) == ("red", "[secret]")
    assert row.headers["webhook-id"] == row.message_id == got.headers["webhook-id"]
    assert send_all() == []


def test_what_fails_is_tried_again_with_growing_pauses_for_a_day_with_the_same_id(receiver):
    receiver.answers = [(500, {}, b"later", 0)]
    callback(receiver.url)
    told()
    pauses = []
    for _ in range(60):
        row = send_all()[0]
        if row.state != State.PENDING:
            break
        pauses.append((row.due - timezone.now()).total_seconds())
        assert send_all() == []
        # The clock goes on: everything else moves into the past.
        Delivery.objects.update(due=timezone.now(), until=row.until - (row.due - timezone.now()))
    assert row.state == State.FAILED
    assert pauses == sorted(pauses, key=round)
    assert 60 < pauses[3] < sum(pauses) <= 86400
    assert sum(pauses) > 86400 - 2 * max(pauses)
    assert len({got.headers["webhook-id"] for got in receiver.got}) == 1
    assert row.error == "answered 500"


def test_what_was_given_up_is_sent_again_by_hand(receiver):
    receiver.answers = [(500, {}, b"", 0), (200, {}, b"ok", 0)]
    callback(receiver.url)
    told()
    Delivery.objects.update(until=timezone.now())
    row = send_all()[0]
    assert row.state == State.FAILED
    rules.redeliver(SYSTEM, row)
    assert send_all()[0].state == State.DELIVERED
    assert receiver.got[0].body == receiver.got[1].body
    assert receiver.got[0].headers["webhook-id"] == receiver.got[1].headers["webhook-id"]


def test_what_is_being_sent_is_not_sent_by_hand_too(receiver):
    callback(receiver.url)
    told()
    row = sender.claim(8)[0]
    with pytest.raises(Problem, match="being sent"):
        rules.redeliver(SYSTEM, row)


def test_a_delivery_is_claimed_once_and_again_when_its_lease_has_run_out(receiver):
    callback(receiver.url)
    told()
    assert len(sender.claim(8)) == 1
    assert sender.claim(8) == []
    Delivery.objects.update(lease=timezone.now() - timedelta(seconds=1))
    assert sender.claim(8)[0].attempts == 2


def test_one_callback_takes_no_more_than_its_share_of_the_hands(receiver):
    slow, other = callback(receiver.url), callback(receiver.url)
    for number in range(10):
        told(f"deployment.ended:{number}")
    rows = sender.claim(8)
    assert sorted(row.callback_id for row in rows) == [slow.pk] * 2 + [other.pk] * 2
    assert sender.claim(8) == []


def test_a_server_that_is_not_there_is_an_error_in_words(receiver):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        callback(f"http://127.0.0.1:{free.getsockname()[1]}/")
        told()
        row = send_all()[0]
    assert (row.state, row.answer_status) == (State.PENDING, None)
    assert "refused" in row.error.lower()


def test_an_answer_is_clipped(receiver):
    receiver.answers = [(200, {}, b"x" * 100_000, 0)]
    callback(receiver.url)
    told()
    assert len(send_all()[0].answer) == wire.CLIPPED


def test_a_server_that_is_slow_is_left_at_the_deadline(receiver, monkeypatch):
    monkeypatch.setattr(wire, "DEADLINE", 0.5)
    receiver.answers = [(200, {}, b"", 3)]
    callback(receiver.url)
    told()
    row = send_all()[0]
    assert row.answer_status is None
    assert row.took < 2500
    assert "no answer within" in row.error


def test_a_server_that_answers_a_byte_at_a_time_is_left_at_the_deadline(settings, monkeypatch):
    import threading
    import time

    monkeypatch.setattr(wire, "DEADLINE", 0.6)
    settings.CALLBACK_ALLOW = ["127.0.0.1"]
    with socket.create_server(("127.0.0.1", 0)) as server:
        def drip():
            peer, _ = server.accept()
            try:
                for _ in range(40):
                    peer.sendall(b"H")
                    time.sleep(0.1)
            except OSError:
                pass
            finally:
                peer.close()

        thread = threading.Thread(target=drip, daemon=True)
        thread.start()
        answer = wire.post(f"http://127.0.0.1:{server.getsockname()[1]}/", {}, b"")
        thread.join(5)
    assert answer.status is None
    assert answer.took < 2500


# --- where they may not go --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("address", [
    "127.0.0.1", "10.1.2.3", "192.168.1.1", "172.16.0.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1",
    "255.255.255.255", "::1", "::", "fe80::1", "fc00::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1",
    "64:ff9b::a00:1", "2002:7f00:1::", "nonsense",
])
def test_private_addresses_are_refused(address):
    assert not wire.allowed(address)


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946", "64:ff9b::5db8:d822"])
def test_public_addresses_are_allowed(address):
    assert wire.allowed(address)


def test_a_setting_admits_a_network_and_no_other(settings):
    settings.CALLBACK_ALLOW = ["10.1.0.0/16"]
    assert wire.allowed("10.1.2.3")
    assert not wire.allowed("10.2.0.1")


@pytest.mark.parametrize("url", [
    "http://127.0.0.1/", "http://[::1]/", "https://10.0.0.1:8443/", "ftp://example.org/", "http:///x", "nonsense", "",
    "http://user:pw@example.org/", "http://example.org/#x", "http://example.org:99999/", "http://example.org/ x",
    "http://exa\nmple.org/", "http://[::1/", "file:///etc/passwd",
])
def test_an_address_that_is_none_is_refused_at_once(url):
    with pytest.raises(Problem) as problem:
        callback(url)
    assert problem.value.errors[0]["pointer"] == "/url"


@pytest.mark.parametrize("host", ["localhost", "2130706433", "0x7f.1", "127.1"])
def test_a_name_of_a_private_address_is_refused_when_it_is_sent_and_not_tried_again(host):
    with Receiver() as receiver:
        callback_url = f"http://{host}:{receiver.port}/"
        Callback.objects.create(url=callback_url, secret=SECRET, events=list(Telling.values))
        told()
        row = send_all()[0]
        assert receiver.got == []
    assert row.state == State.FAILED
    assert "may not reach" in row.error


def test_a_name_is_resolved_once_and_that_address_is_spoken_to(receiver, monkeypatch):
    """DNS rebinding: whoever answers differently the second time is not asked a second time."""
    asked = []
    real = socket.getaddrinfo

    def rebinding(host, port, *rest, **more):
        if host != "rebind.example":
            return real(host, port, *rest, **more)
        asked.append(host)
        address = "127.0.0.1" if len(asked) == 1 else "10.0.0.1"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    callback(f"http://rebind.example:{receiver.port}/")
    told()
    assert send_all()[0].state == State.DELIVERED
    assert len(asked) == 1
    assert receiver.got[0].headers["host"] == f"rebind.example:{receiver.port}"


def test_a_name_with_one_private_address_among_others_is_refused(monkeypatch):
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, port, *_: [
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in ("93.184.216.34", "10.0.0.1")])
    with pytest.raises(wire.Refused):
        wire.resolve("mixed.example", 80)


def test_redirects_are_not_followed(receiver):
    receiver.answers = [(307, {"Location": "/elsewhere"}, b"", 0)]
    callback(receiver.url)
    told()
    row = send_all()[0]
    assert (row.answer_status, row.state) == (307, State.PENDING)
    assert [got.path for got in receiver.got] == ["/hook?a=b"]


@pytest.mark.parametrize("headers", [
    {"Host": "x"}, {"webhook-id": "x"}, {"Content-Length": "1"}, {"a b": "x"}, {"X-A": "a\r\nb"}, {"": "x"},
    {"X-A": "x" * 3000}, {f"X-{number}": "" for number in range(30)},
])
def test_headers_that_would_change_the_message_are_refused(headers):
    with pytest.raises(Problem) as problem:
        callback("https://example.org/", headers=headers)
    assert problem.value.errors[0]["pointer"].startswith("/headers")


# --- what is told -----------------------------------------------------------------------------------------------------


def names() -> list[str]:
    return sorted(Delivery.objects.values_list("event", flat=True))


def test_what_is_rolled_back_is_never_told():
    callback("https://example.org/")
    with pytest.raises(RuntimeError), transaction.atomic():
        told()
        raise RuntimeError
    assert names() == []


def test_the_same_is_told_once():
    callback("https://example.org/")
    told()
    told()
    assert names() == ["deployment.ended"]


def test_only_what_a_callback_asked_for_is_told_to_it():
    callback("https://example.org/", events=["lock.broken"])
    callback("https://example.org/", active=False)
    told()
    assert names() == []


@pytest.mark.parametrize(("status", "event"), [
    (DeploymentStatus.SUCCEEDED, "deployment.ended"), (DeploymentStatus.CANCELLED, "deployment.ended"),
    (DeploymentStatus.FAILED, "deployment.failed"),
])
def test_a_deployments_start_and_end_are_told_with_names(status, event):
    callback("https://example.org/")
    made = fleet.running()
    made.status = DeploymentStatus.QUEUED
    events.write([advance.become(made, DeploymentStatus.RUNNING)])
    assert names() == ["deployment.started"]
    if status == DeploymentStatus.CANCELLED:
        events.write([advance.become(made, DeploymentStatus.CANCELLING)])
    events.write([advance.become(made, status, "because")])
    assert names() == sorted(["deployment.started", event])
    data = json.loads(Delivery.objects.get(event=event).body)["data"]["deployment"]
    assert (data["service"], data["status"], data["reason"]) == ("shop", str(status), "because")


def test_failed_and_undone_instances_are_told_and_good_ones_not():
    callback("https://example.org/")
    made = fleet.running(4)
    operations = list(made.operations.all())
    ends = (OperationStatus.FAILED, OperationStatus.UNDONE, OperationStatus.SUCCEEDED, OperationStatus.CANCELLED)
    for operation, status in zip(operations, ends, strict=True):
        operation.status, operation.error = status, "it broke"
    events.write([events.of_operation(operation) for operation in operations])
    assert names() == ["instance.failed"] * 2
    data = json.loads(Delivery.objects.first().body)["data"]
    assert (data["operation"]["error"], data["deployment"]["service"]) == ("it broke", "shop")


def test_the_number_of_statements_does_not_grow_with_what_is_told(django_assert_max_num_queries):
    callback("https://example.org/")
    made = fleet.running(40)
    operations = list(made.operations.all())
    for operation in operations:
        operation.status = OperationStatus.FAILED
    with django_assert_max_num_queries(7):  # two looks for callbacks, two for names, one insert, one of the events
        events.write([events.of_operation(operation) for operation in operations])
    assert len(names()) == 40


def test_without_callbacks_a_bad_end_costs_one_look_and_a_good_one_nothing(django_assert_num_queries):
    operation = fleet.running().operations.get()
    for status, statements in ((OperationStatus.FAILED, 1), (OperationStatus.SUCCEEDED, 0)):
        operation.status = status
        with django_assert_num_queries(statements):
            outbox.fill([events.of_operation(operation)])


def test_a_broken_lock_is_told():
    callback("https://example.org/")
    instance = fleet.running().operations.get().instance
    instance.locked, instance.lock_deployment = True, instance.operations.get().deployment
    instance.save()
    control.break_lock(SYSTEM, instance, "it hangs")
    data = json.loads(Delivery.objects.get(event="lock.broken").body)["data"]
    assert (data["reason"], data["broken_by"]) == ("it hangs", "system")


def test_the_end_of_a_build_is_told():
    callback("https://example.org/")
    version = fleet.versions(fleet.service(), 1, BuildStatus.PENDING)[0]
    version.microservice = fleet.MicroService.objects.get()
    versions.change(SYSTEM, version, {"status": BuildStatus.BUILDING})
    assert names() == []
    versions.change(SYSTEM, version, {"status": BuildStatus.FAILED})
    assert json.loads(Delivery.objects.get().body)["data"]["version"]["status_str"] == "failed"


# --- the API ----------------------------------------------------------------------------------------------------------


def test_a_callback_over_the_api_from_its_making_to_its_end(api, receiver):  # noqa: F811
    some = api()
    made = some.post("/callbacks/", {"url": receiver.url, "headers": {"X-Api-Key": "hush"}})
    assert made.status_code == 201, made.content
    assert made.json()["secret"].startswith("whsec_")
    path = f"/callbacks/{made.json()['id']}"
    shown = some.get(path)
    assert b"whsec_" not in shown.content
    assert b"hush" not in shown.content
    assert shown.json()["events"] == list(Telling.values)
    tried = some.post(f"{path}/test").json()
    assert (tried["state"], tried["answer_status"], tried["answer"]) == ("delivered", 200, "thanks")
    assert json.loads(receiver.got[0].body)["type"] == "test"
    told()
    send_all()
    again = some.post(f"{path}/test").json()
    assert json.loads(again["body"])["type"] == "deployment.ended"
    assert receiver.got[1].headers["webhook-id"] == receiver.got[2].headers["webhook-id"]
    rows = some.get(f"{path}/deliveries").json()
    assert rows["count"] == 3
    assert b"hush" not in some.get(f"{path}/deliveries").content
    old = next(row for row in rows["data"] if row["event"] == "deployment.ended")
    assert some.post(f"{path}/deliveries/{old['id']}/redeliver").json()["state"] == "pending"
    assert some.post(f"{path}/deliveries/999/redeliver").status_code == 404
    assert some.patch(path, {"active": False, "events": ["lock.broken"]}).json()["events"] == ["lock.broken"]
    assert some.patch(path, {"url": "https://elsewhere.example/"}).status_code == 422
    assert some.delete(path).status_code == 204
    assert some.get(path).status_code == 404


def test_a_test_that_is_refused_says_why(api):  # noqa: F811
    row = Callback.objects.create(url="http://localhost:9/", secret=SECRET, events=["lock.broken"])
    answer = api().post(f"/callbacks/{row.pk}/test").json()
    assert (answer["state"], answer["answer_status"]) == ("failed", None)
    assert "CALLBACK_ALLOW" in answer["error"]


@pytest.mark.parametrize("body", [
    {}, {"url": "https://example.org/", "events": ["x"]}, {"url": "https://example.org/", "events": []},
    {"url": "https://example.org/", "headers": {"a": 1}}, {"url": 1},
])
def test_a_wrong_callback_is_told_where(api, body):  # noqa: F811
    assert api().post("/callbacks/", body).status_code == 422
    assert not Callback.objects.exists()


def test_the_secret_is_encrypted_in_the_database():
    from django.db import connection

    callback("https://example.org/", headers={"X-Key": "hush"})
    with connection.cursor() as cursor:
        cursor.execute("SELECT secret, headers FROM callback")
        secret, headers = cursor.fetchone()
    assert SECRET not in secret
    assert "hush" not in headers
