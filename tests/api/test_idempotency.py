"""Idempotency-Key: done once, answered with the same bytes, never stuck."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier, Event

import pytest
from django.db import connections
from django.utils import timezone

from access.models import IdempotencyKey, Token
from api import idempotency
from api.resources import services
from audit.models import History
from microservice import catalog
from microservice.models import MicroService
from microservice.publishing import upload
from tests import factories
from tests.api.archives import GOOD

pytestmark = pytest.mark.django_db

SHOP = {"name": "shop"}


def test_equal_requests_run_once(api):
    caller = api()
    first = caller.post("/services/", SHOP, Idempotency_Key="a")
    for path in ("/services/", "/services"):
        again = caller.post(path, SHOP, Idempotency_Key="a")
        assert (again.status_code, again.content, again["Location"]) == (201, first.content, first["Location"])
        assert again["Idempotency-Replayed"] == "true"
        assert again["Content-Type"] == first["Content-Type"]
    assert "Idempotency-Replayed" not in first
    assert MicroService.objects.count() == History.objects.filter(subject="service").count() == 1


def test_refuses_a_key_with_another_body(api):
    caller = api()
    caller.post("/services/", SHOP, Idempotency_Key="a")
    for answer in (
        caller.post("/services/", {"name": "other"}, Idempotency_Key="a"),
        caller.post("/services/?x=1", SHOP, Idempotency_Key="a"),
        caller.post("/tokens/", SHOP, Idempotency_Key="a"),
    ):
        assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")
    assert MicroService.objects.count() == 1


def test_keys_belong_to_a_caller(api):
    assert api().post("/services/", SHOP, Idempotency_Key="a").status_code == 201
    assert api().post("/services/", {"name": "b"}, Idempotency_Key="a").status_code == 201  # another token
    assert api(name="bob").post("/services/", {"name": "c"}, Idempotency_Key="a").status_code == 201


def test_stores_refusals_too(api):
    factories.service("shop")
    caller = api()
    first = caller.post("/services/", SHOP, Idempotency_Key="a")
    MicroService.objects.all().delete()
    again = caller.post("/services/", SHOP, Idempotency_Key="a")
    assert (first.status_code, again.status_code, again.content) == (409, 409, first.content)
    assert again["Content-Type"] == "application/problem+json"


def test_replays_check_rights_anew(api):
    """A refusal for a missing right is not stored: the request may be repeated once the caller has the right."""
    caller = api("read", "tokens")
    body = {"name": "ci", "scopes": ["deploy"]}
    assert caller.post("/tokens/", body, Idempotency_Key="a").status_code == 403
    Token.objects.update(scopes=["read", "tokens", "deploy"])
    assert caller.post("/tokens/", body, Idempotency_Key="a").status_code == 201


def test_does_not_store_internal_errors(api, monkeypatch):
    def record_and_die(caller, *rest, **more):
        raise RuntimeError("dies behind the insert")

    caller = api()
    with monkeypatch.context() as patch:
        patch.setattr(catalog.services, "record", record_and_die)
        assert caller.post("/services/", SHOP, Idempotency_Key="a").status_code == 500
    assert not MicroService.objects.exists()
    again = caller.post("/services/", SHOP, Idempotency_Key="a")
    assert again.status_code == 201
    assert "Idempotency-Replayed" not in again


def test_late_failures_roll_back(api, monkeypatch):
    """The service is created and its answer fails: with a key, neither is kept, so the request may be repeated."""

    def fail(service):
        raise RuntimeError("no answer")

    caller = api()
    with monkeypatch.context() as patch:
        patch.setattr(services, "serialize", fail)
        assert caller.post("/services/", SHOP, Idempotency_Key="a").status_code == 500
    assert not MicroService.objects.exists()
    assert caller.post("/services/", SHOP, Idempotency_Key="a").status_code == 201


@pytest.mark.parametrize("key", ["", "x" * 256, "a b", "ü", "a\tb"])
def test_rejects_invalid_keys(api, key):
    answer = api().post("/services/", SHOP, Idempotency_Key=key)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/header/Idempotency-Key")


def test_keys_are_free_after_their_lease(api):
    """As after a SIGKILL between the claim and the commit: the row says that it is in progress."""
    caller = api()
    caller.post("/services/", SHOP, Idempotency_Key="a")
    MicroService.objects.all().delete()
    IdempotencyKey.objects.update(status=None, body=b"", lease=timezone.now() + timedelta(seconds=30))
    waiting = caller.post("/services/", SHOP, Idempotency_Key="a")
    assert (waiting.status_code, waiting.json()["code"]) == (409, "idempotency_in_progress")
    assert waiting["Retry-After"] == "1"
    assert not MicroService.objects.exists()
    IdempotencyKey.objects.update(lease=timezone.now() - timedelta(seconds=1))
    assert caller.post("/services/", SHOP, Idempotency_Key="a").status_code == 201
    assert MicroService.objects.count() == 1


def test_overtaken_requests_roll_back(api, monkeypatch):
    """Slower than its lease: by the time it is done, another request holds the key."""
    create = catalog.create_service

    def slow(caller, fields):
        made = create(caller, fields)
        IdempotencyKey.objects.update(lease=timezone.now() + timedelta(seconds=99))
        return made

    monkeypatch.setattr(catalog, "create_service", slow)
    answer = api().post("/services/", SHOP, Idempotency_Key="a")
    assert (answer.status_code, answer.json()["code"]) == (409, "idempotency_in_progress")
    assert not MicroService.objects.exists()


def test_keys_expire_after_a_day(api, monkeypatch):
    caller = api()
    caller.post("/services/", SHOP, Idempotency_Key="a")
    IdempotencyKey.objects.update(created=timezone.now() - timedelta(hours=23))
    assert caller.post("/services/", {"name": "b"}, Idempotency_Key="a").status_code == 422
    IdempotencyKey.objects.update(created=timezone.now() - timedelta(hours=25))
    assert caller.post("/services/", {"name": "b"}, Idempotency_Key="a").status_code == 201
    IdempotencyKey.objects.update(created=timezone.now() - timedelta(hours=25))
    monkeypatch.setattr(idempotency, "_pruned", -idempotency.PRUNE_INTERVAL)
    caller.post("/services/", {"name": "c"}, Idempotency_Key="other")
    assert [row.key for row in IdempotencyKey.objects.all()] == ["other"]


def test_rows_do_not_reveal_bodies(api):
    """The fingerprint is keyed: a plain hash of the body would give a password away to a dictionary."""
    import hashlib

    api().post("/services/", SHOP, Idempotency_Key="a")
    assert IdempotencyKey.objects.get().fingerprint != hashlib.sha256(b'{"name": "shop"}').hexdigest()
    assert b"shop" not in bytes(IdempotencyKey.objects.get().body)


@pytest.mark.django_db(transaction=True)
def test_concurrent_equal_requests_create_one_service(api, transactional_db):
    caller, start = api(), Barrier(50)

    def post(_):
        try:
            start.wait()
            answer = caller.post("/services/", SHOP, Idempotency_Key="a")
            return answer.status_code, answer.content if answer.status_code == 201 else answer.json()["code"]
        finally:
            connections.close_all()

    with ThreadPoolExecutor(50) as pool:
        answers = Counter(pool.map(post, range(50)))
    assert {status for status, _ in answers} <= {201, 409}
    assert {code for status, code in answers if status == 409} <= {"idempotency_in_progress"}
    assert len([1 for status, _ in answers if status == 201]) == 1  # one body, however often it was given
    assert MicroService.objects.count() == History.objects.filter(subject="service").count() == 1
    assert caller.post("/services/", SHOP, Idempotency_Key="a").status_code == 201


@pytest.mark.django_db(transaction=True)
def test_renews_the_lease_of_a_slow_upload(api, monkeypatch):
    """As a form: an equal request waits meanwhile, and later ones get the same bytes."""
    factories.service("shop")
    caller, slowly, seen = api(), upload.publish, []

    def publish(*words):
        deadline = timezone.now() + idempotency.LEASE * 2
        while timezone.now() < deadline:
            Event().wait(0.05)
        seen.append(post().json()["code"])
        return slowly(*words)

    def post():
        form = (
            b'--x\r\nContent-Disposition: form-data; name="version"\r\n\r\n1.0\r\n--x\r\nContent-Disposition: '
            b'form-data; name="package"; filename="p"\r\n\r\n' + GOOD + b"\r\n--x--\r\n"
        )
        return caller.post(
            "/services/shop/versions/", form, content_type="multipart/form-data; boundary=x", Idempotency_Key="a"
        )

    monkeypatch.setattr(idempotency, "LEASE", timedelta(seconds=0.6))
    monkeypatch.setattr(upload, "publish", publish)
    first, again = post(), post()
    assert (first.status_code, seen) == (201, ["idempotency_in_progress"]), first.content
    assert (again.status_code, again.content, again["Idempotency-Replayed"]) == (201, first.content, "true")
