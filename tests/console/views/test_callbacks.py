"""Callbacks on pages: URLs, secrets, deliveries and test messages."""

import re

import pytest

from access.callers import SYSTEM
from builds import build_requests
from callbacks import outbox, request_callbacks, subscriptions
from callbacks.models import Callback, Delivery, DeliveryState, EventType
from messages.rendering import literal
from microservice.models import MicroServiceVersion
from microservice.status import BuildStatus
from tests import factories
from tests.callbacks.factories import send_all
from tests.callbacks.receiver import Receiver

pytestmark = pytest.mark.django_db


@pytest.fixture
def receiver(settings):
    settings.CALLBACK_ALLOWED_NETWORKS = ["127.0.0.0/8"]
    with Receiver() as running:
        yield running


def form(url: str, **more) -> dict:
    return {"url": url, "events": [EventType.BUILD_ENDED, EventType.DEPLOYMENT_FAILED], "active": "on", **more}


def test_adds_changes_and_deletes_callback(admin, receiver):
    assert "No callbacks yet" in admin.get("/callbacks/").content.decode()
    made = admin.post("/callbacks/new/", form(receiver.url, headers="X-Team: shop\nAuthorization: Bearer abc-123"))
    secret = re.search(r"whsec_[\w+/=]+", made.content.decode())[0]
    row = Callback.objects.get()
    assert row.secret.reveal() == secret and row.events == ["build.ended", "deployment.failed"]
    pages = "".join(admin.get(f"/callbacks/{row.pk}/{page}").content.decode() for page in ("", "edit/"))
    assert secret not in pages and "abc-123" not in pages and "X-Team" in pages and "Build ended" in pages

    admin.post(f"/callbacks/{row.pk}/edit/", form(receiver.url, events=[EventType.LOCK_BROKEN]))
    row.refresh_from_db()
    assert row.secret.reveal() == secret and "abc-123" in row.headers.reveal() and row.events == ["lock.broken"]
    changed = admin.post(f"/callbacks/{row.pk}/edit/", form(receiver.url, new_secret="on", without_headers="on"))
    row.refresh_from_db()
    assert row.secret.reveal() in changed.content.decode().replace("&#x2B;", "+") and row.secret.reveal() != secret
    assert row.headers == ""
    admin.post(f"/callbacks/{row.pk}/delete/")
    assert not Callback.objects.exists()


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("url", "ftp://x", "must be an http"),
        ("url", "http://10.0.0.1/", "may not reach"),
        ("events", [], "required"),
        ("headers", "nonsense", "has no"),
        ("headers", "Host: x", "is not a header that can be set"),
        ("secret", "x", "whsec_"),
    ],
)
def test_shows_error_at_field(admin, field, value, words):
    answer = admin.post("/callbacks/new/", form("https://hooks.example/x") | {field: value})
    assert answer.status_code == 422 and words in answer.content.decode() and not Callback.objects.exists()


def test_sends_test_delivery(admin, receiver):
    row = subscriptions.create(SYSTEM, {"url": receiver.url, "events": ["build.ended"]})[0]
    outbox.enqueue(EventType.BUILD_ENDED, "build.ended:1:2", {"service": "shop<script>"})
    page = admin.post(f"/callbacks/{row.pk}/test/").content.decode()
    assert "Test delivered" in page and "webhook-signature" in page and "shop&lt;script&gt;" in page
    assert len(receiver.got) == 1
    page = admin.get(f"/callbacks/{row.pk}/").content.decode()
    assert "delivered" in page and "pending" in page
    real = Delivery.objects.get(name="build.ended:1:2")
    Delivery.objects.filter(pk=real.pk).update(state=DeliveryState.FAILED, attempts=9)
    admin.post(f"/callbacks/{row.pk}/deliveries/{real.pk}/")
    real.refresh_from_db()
    assert (real.state, real.attempts) == (DeliveryState.PENDING, 0)
    assert admin.post(f"/callbacks/{row.pk}/deliveries/999/").status_code in (302, 404)


def test_callbacks_need_admin(admin, operator, cost):
    row = subscriptions.create(SYSTEM, {"url": "https://hooks.example/1", "events": ["build.ended"]})[0]
    for address in ("/callbacks/", "/callbacks/new/", f"/callbacks/{row.pk}/", f"/callbacks/{row.pk}/edit/"):
        assert operator.get(address).status_code == 403
    assert operator.post(f"/callbacks/{row.pk}/delete/").status_code == 403 and Callback.objects.exists()
    small, page = cost(admin, "/callbacks/"), cost(admin, f"/callbacks/{row.pk}/")
    for number in range(20):
        subscriptions.create(SYSTEM, {"url": f"https://hooks.example/{number}", "events": ["build.ended"]})
        outbox.enqueue(EventType.BUILD_ENDED, f"build.ended:{number}", {})
    assert (cost(admin, "/callbacks/"), cost(admin, f"/callbacks/{row.pk}/")) == (small, page)


def test_shows_the_callbacks_of_a_build(admin, viewer, receiver):
    service = factories.service("shop", build_url="https://git.example.org/shop.git", build_command="true")
    version = MicroServiceVersion.objects.create(microservice=service, version="1.0", ref="main")
    wanted = request_callbacks.requested({"callback_url": receiver.url, "callback_headers": {"X-Api-Key": "hush"}})
    build = build_requests.start(SYSTEM, version, callback=wanted)
    row, page = Callback.objects.get(), f"/services/shop/versions/{version.pk}/"
    shown = admin.get(page).content.decode()
    assert row.server in shown and "when the build ends" in shown and f"/callbacks/{row.pk}/" in shown
    receiver.answers = [(500, {}, b"hush-answer", 0), (200, {}, b"ok", 0)]
    build_requests.end(build, BuildStatus.FAILED, literal("no compiler"))
    send_all()
    shown = viewer.get(page).content.decode()
    assert "answered with status 500" in shown and f"/callbacks/{row.pk}/" not in shown
    assert "/hook?a=b" not in shown and "hush" not in shown, "neither the path nor what the receiver answers"
    listed = admin.get("/callbacks/").content.decode()
    assert row.server in listed and "shop 1.0" in listed and "No callbacks yet" in listed
    own = admin.get(f"/callbacks/{row.pk}/").content.decode()
    assert "shop 1.0" in own and "not signed" in own and f"/callbacks/{row.pk}/edit/" not in own
    assert admin.get(f"/callbacks/{row.pk}/edit/").status_code == 302
    admin.post(f"/callbacks/{row.pk}/deliveries/{Delivery.objects.get().pk}/")
    send_all()
    assert "200" in admin.get(f"/callbacks/{row.pk}/").content.decode() and len(receiver.got) == 2
    version.delete()
    assert "deleted" in admin.get("/callbacks/").content.decode()
