"""The request for a build may name a callback of its own: told of each end of this build, recorded and tried again."""

import base64
import hashlib
import hmac
import json
import logging
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from access.callers import SYSTEM
from audit.models import History
from builds import build_callbacks, build_requests, execution
from builds.models import Build
from callbacks import request_callbacks
from callbacks.models import Callback, Delivery, DeliveryState
from messages.rendering import literal
from microservice.models import MicroServiceVersion
from microservice.status import BuildStatus
from tests.callbacks.factories import SECRET, create_callback, send_all
from tests.callbacks.receiver import Receiver

from .steps import pending, state

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("store", "quick"), pytest.mark.found("builds")]
URL = "https://ci.example.org/hooks/s3cr3t-path"


@pytest.fixture
def receiver(settings):
    settings.CALLBACK_ALLOWED_NETWORKS = ["127.0.0.0/8"]
    with Receiver() as one:
        yield one


def build(caller, version, **fields):
    return caller.post(f"/services/shop/versions/{version.pk}/build", fields)


def bodies(receiver) -> list[dict]:
    return [json.loads(got.body)["data"] for got in receiver.got]


def test_is_told_of_the_end_and_gets_its_state_back(api, service, receiver):
    version, caller = pending(service), api()
    wanted = {"id": 7, "weights": [1.5, 1e300, 12345678901234567890], "text": "ü😀", "none": None}
    made = build(caller, version, callback_url=receiver.url, callback_headers={"X-Job": "hush"}, callback_state=wanted)
    assert made.status_code == 202, made.content
    shown = made.json()["callbacks"]
    assert [(one["server"], one["state"], one["attempts"]) for one in shown] == [
        (f"http://127.0.0.1:{receiver.port}", "waiting", 0)
    ]
    execution.work()
    assert state(version) == BuildStatus.SUCCESS
    assert [row.state for row in send_all()] == [DeliveryState.DELIVERED]
    got = receiver.got[0]
    assert (got.headers["x-job"], "webhook-signature" in got.headers) == ("hush", False)
    assert got.headers["webhook-id"] and got.headers["webhook-timestamp"]
    data = bodies(receiver)[0]
    assert data["callback_state"] == wanted
    assert (data["version"]["status_str"], data["build"]["status_str"]) == ("success", "success")
    assert (data["build"]["id"], data["version"]["sha256"] != "") == (made.json()["id"], True)
    now = caller.get(f"/services/shop/versions/{version.pk}/builds/").json()["data"][0]["callbacks"][0]
    assert (now["state"], now["attempts"], now["answer_status"], now["error"]) == ("delivered", 1, 200, "")


@pytest.mark.parametrize("how", [BuildStatus.FAILED, BuildStatus.TIMEOUT, BuildStatus.DUPLICATE])
def test_is_told_of_every_kind_of_end(api, service, receiver, how):
    version = pending(service)
    build(api(), version, callback_url=receiver.url)
    assert build_requests.end(Build.objects.get(), how, literal("it ended so"))
    assert not build_requests.end(Build.objects.get(), how, literal("once more"))
    assert len(send_all()) == 1
    data = bodies(receiver)[0]
    assert (data["build"]["status"], data["build"]["detail"]) == (how, "it ended so")
    assert "callback_state" not in data


def test_is_told_of_each_end_and_of_no_other_build(api, service, receiver):
    version, caller = pending(service), api()
    build(caller, version, callback_url=receiver.url, callback_state="first")
    first = Build.objects.get()
    Build.objects.update(origin="gitlab", reference="7")
    build_requests.end(first, BuildStatus.FAILED, literal("x"))
    assert build_requests.reopen(Build.objects.get(), "8", "")
    build_requests.end(first, BuildStatus.FAILED, literal("y"))
    send_all()
    assert [data["build"]["detail"] for data in bodies(receiver)] == ["x", "y"]
    build(caller, version, again=True)
    build_requests.end(Build.objects.first(), BuildStatus.FAILED, literal("z"))
    build_requests.end(build_requests.start(SYSTEM, pending(service, "2.0")), BuildStatus.FAILED, literal("z"))
    assert send_all() == [] and len(receiver.got) == 2


def test_subscriptions_are_told_as_before(api, service, receiver):
    create_callback(receiver.url, events=["build.ended"])
    build(api(), pending(service), callback_url=receiver.url, callback_state=[1])
    build_requests.end(Build.objects.get(), BuildStatus.FAILED, literal("x"))
    send_all()
    assert sorted("callback_state" in data for data in bodies(receiver)) == [False, True]


def test_names_the_image(api, service, receiver):
    version = pending(service)
    build(api(), version, callback_url=receiver.url)
    image = f"registry.example.org/team/shop@sha256:{'a' * 64}"
    MicroServiceVersion.objects.update(image=image, image_tag="registry.example.org/team/shop:1.0")
    build_requests.end(Build.objects.get(), BuildStatus.SUCCESS)
    send_all()
    said = bodies(receiver)[0]["version"]
    assert (said["image"], said["image_tag"]) == (image, "registry.example.org/team/shop:1.0")


def test_signs_with_the_secret_of_the_request(api, service, receiver):
    build(api(), pending(service), callback_url=receiver.url, callback_secret=SECRET)
    build_requests.end(Build.objects.get(), BuildStatus.FAILED, literal("x"))
    send_all()
    got = receiver.got[0]
    signed = f"{got.headers['webhook-id']}.{got.headers['webhook-timestamp']}.".encode() + got.body
    mac = base64.b64encode(hmac.new(b"k" * 24, signed, hashlib.sha256).digest()).decode()
    assert got.headers["webhook-signature"] == f"v1,{mac}"


def test_open_build_tells_whoever_asked_for_it(api, service, receiver):
    version, caller = pending(service), api()
    first = build(caller, version, callback_url=receiver.url, callback_state=1)
    again = build(caller, version, callback_url=receiver.url, callback_state=1)
    other = build(caller, version, callback_url=receiver.url, callback_state=2)
    plain = build(caller, version)
    assert {one.json()["id"] for one in (first, again, other, plain)} == {first.json()["id"]}
    assert (len(again.json()["callbacks"]), len(plain.json()["callbacks"])) == (1, 2)
    build_requests.end(Build.objects.get(), BuildStatus.FAILED, literal("x"))
    send_all()
    assert sorted(data["callback_state"] for data in bodies(receiver)) == [1, 2]
    late = build(caller, version, callback_url=receiver.url)
    assert (late.status_code, Callback.objects.count()) == (409, 2), "what is refused leaves no callback"


def test_a_callback_that_comes_too_late_is_refused(api, service, monkeypatch):
    """The build ends between the look at it and the callback: it would never be told."""
    version, caller = pending(service), api()
    build(caller, version)
    join = build_callbacks.join

    def late(who, open_build, wanted):
        build_requests.end(open_build, BuildStatus.FAILED, literal("x"))
        return join(who, open_build, wanted)

    monkeypatch.setattr(build_callbacks, "join", late)
    answer = build(caller, version, callback_url=URL)
    assert (answer.status_code, answer.json()["code"]) == (409, "concurrent_update")
    assert not Callback.objects.exists()


def test_limits_the_callbacks_of_a_build(api, service):
    version, caller = pending(service), api()
    for number in range(request_callbacks.MAX_CALLBACKS):
        assert build(caller, version, callback_url=f"{URL}/{number}").status_code == 202
    answer = build(caller, version, callback_url=f"{URL}/more")
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (422, "request_callbacks_max")
    assert build(caller, version, callback_url=f"{URL}/0").status_code == 202


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"callback_url": "ftp://a.example/"}, "/callback_url"),
        ({"callback_url": "https://me:pw@a.example/"}, "/callback_url"),
        ({"callback_url": "http://127.0.0.1/"}, "/callback_url"),
        ({"callback_url": "http://169.254.169.254/latest"}, "/callback_url"),
        ({"callback_url": "http://[::1]/"}, "/callback_url"),
        ({"callback_url": URL + "x" * 2000}, "/callback_url"),
        ({"callback_headers": {"X-A": "b"}}, "/callback_url"),
        ({"callback_state": "b"}, "/callback_url"),
        ({"callback_secret": SECRET}, "/callback_url"),
        ({"callback_url": URL, "callback_headers": {"Host": "b"}}, "/callback_headers/Host"),
        ({"callback_url": URL, "callback_headers": {"webhook-id": "b"}}, "/callback_headers/webhook-id"),
        ({"callback_url": URL, "callback_headers": {"X-A": "b\r\nc: d"}}, "/callback_headers/X-A"),
        ({"callback_url": URL, "callback_headers": {"X-A": 1}}, "/callback_headers/X-A"),
        ({"callback_url": URL, "callback_headers": {f"X-{n}": "" for n in range(21)}}, "/callback_headers"),
        ({"callback_url": URL, "callback_secret": "short"}, "/callback_secret"),
        ({"callback_url": URL, "callback_state": "x" * 4096}, "/callback_state"),
        ({"callback_url": 1}, "/callback_url"),
    ],
)
def test_names_the_field_that_is_wrong(api, service, fields, pointer):
    answer = build(api(), pending(service), **fields)
    assert answer.status_code == 422, answer.content
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]
    assert not Build.objects.exists() and not Callback.objects.exists()


def test_state_is_json_that_everyone_can_read(api, service):
    path = f"/services/shop/versions/{pending(service).pk}/build"
    deep, deeper = "[" * 10 + "]" * 10, '{"a":' * 52 + "1" + "}" * 52
    for text, status in (("1e999", 422), (deeper, 422), (deep, 202), ("null", 202)):
        body = f'{{"callback_url": "{URL}", "callback_state": {text}}}'
        assert api().post(path, body.encode()).status_code == status, text
    assert set(Callback.objects.values_list("returned", flat=True)) == {deep, "null"}


def test_needs_the_right_to_build(api, service):
    assert build(api("read"), pending(service), callback_url=URL).status_code == 403
    assert not Callback.objects.exists()


def test_receiver_that_is_down_is_tried_again_and_redelivered(api, service, receiver):
    receiver.answers = [(500, {}, b"hush-answer", 0), (200, {}, b"ok", 0), (200, {}, b"ok", 0)]
    version, caller = pending(service), api()
    build(caller, version, callback_url=receiver.url)
    build_requests.end(Build.objects.get(), BuildStatus.FAILED, literal("x"))
    assert send_all()[0].state == DeliveryState.PENDING
    answer = caller.get(f"/services/shop/versions/{version.pk}/build")
    shown = answer.json()["callbacks"][0]
    assert (shown["state"], shown["answer_status"], shown["error_code"]) == ("pending", 500, "delivery.status")
    assert b"hush-answer" not in answer.content, "only administrators see what a receiver answers"
    assert send_all() == []
    Delivery.objects.update(due=timezone.now())
    assert send_all()[0].state == DeliveryState.DELIVERED
    path = f"/callbacks/{shown['id']}"
    rows = caller.get(f"{path}/deliveries").json()["data"]
    assert caller.post(f"{path}/deliveries/{rows[0]['id']}/redeliver").json()["state"] == "pending"
    assert send_all()[0].state == DeliveryState.DELIVERED
    assert len({got.headers["webhook-id"] for got in receiver.got}) == 1 and len(receiver.got) == 3


def test_administrators_find_and_delete_them(api, service):
    caller = api()
    create_callback("https://example.org/")
    number = build(caller, pending(service), callback_url=URL).json()["callbacks"][0]["id"]
    assert caller.get("/callbacks/").json()["count"] == 1
    listed = caller.get("/callbacks/?of_requests=true").json()["data"]
    assert [(one["id"], one["url"], one["request"]) for one in listed] == [
        (number, URL, f"build:{Build.objects.get().pk}")
    ]
    answer = caller.patch(f"/callbacks/{number}", {"active": False})
    assert (answer.status_code, answer.json()["code"]) == (409, "callback_of_request")
    assert caller.delete(f"/callbacks/{number}").status_code == 204
    build_requests.end(Build.objects.get(), BuildStatus.FAILED, literal("x"))
    assert not Delivery.objects.filter(callback__url=URL).exists()


def test_secrets_are_in_no_log_page_or_answer(api, service, receiver, caplog):
    caplog.set_level(logging.DEBUG)
    version, caller = pending(service), api()
    headers = {"Authorization": "Bearer hush-header", "X-Api-Key": "hush-key"}
    secret = "whsec_" + base64.b64encode(b"hush-secret-hush-secret").decode()
    url = receiver.url.replace("/hook", "/hush-path")
    made = build(caller, version, callback_url=url, callback_headers=headers, callback_secret=secret)
    build_requests.end(Build.objects.get(), BuildStatus.FAILED, literal("x"))
    send_all()
    number = made.json()["callbacks"][0]["id"]
    seen = [
        made.content.decode(),
        *(caller.get(path).content.decode() for path in (f"/services/shop/versions/{version.pk}/builds/", "/history/")),
        *(str(row.__dict__) for row in History.objects.all()),
        caplog.text,
    ]
    of_admins = [
        caller.get(path).content.decode() for path in (f"/callbacks/{number}", f"/callbacks/{number}/deliveries")
    ]
    assert not [text for text in seen + of_admins if "hush-header" in text or "hush-key" in text or secret in text]
    assert not [text for text in seen if "hush-path" in text], "the path of a URL may be a secret"
    with connection.cursor() as cursor:
        cursor.execute("SELECT headers, secret FROM callback")
        assert "hush" not in str(cursor.fetchone())


def test_are_removed_with_old_output(api, service, settings, receiver):
    settings.OUTPUT_RETENTION_DAYS = 30
    subscription = create_callback(receiver.url, events=["lock.broken"])
    caller = api()
    for number in ("1.0", "2.0", "3.0"):
        build(caller, pending(service, number), callback_url=receiver.url)
    old, waiting, new = Callback.objects.exclude(request="").order_by("pk")
    build_requests.end(Build.objects.get(version__version="1.0"), BuildStatus.FAILED, literal("x"))
    send_all()
    build_requests.end(Build.objects.get(version__version="2.0"), BuildStatus.FAILED, literal("x"))
    Callback.objects.exclude(pk=new.pk).update(created=timezone.now() - timedelta(days=31))
    assert request_callbacks.prune() == 1
    assert set(Callback.objects.values_list("pk", flat=True)) == {subscription.pk, waiting.pk, new.pk}
    assert not Delivery.objects.filter(callback=old.pk).exists()
