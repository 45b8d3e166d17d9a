"""A version and its package in one POST of multipart/form-data."""

import base64
import hashlib

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test.client import BOUNDARY, MULTIPART_CONTENT, encode_multipart

from access.models import IdempotencyKey
from audit.models import History
from microservice.models import MicroServiceVersion
from microservice.status import BuildStatus
from tests import factories
from tests.api.archives import GOOD, rewritten

pytestmark = pytest.mark.django_db


@pytest.fixture
def post(api):
    factories.service("shop")

    def send(fields=None, package=GOOD, name="package", caller=None, **headers):
        parts = {"version": "1.0", **(fields or {})}
        if package is not None:
            parts[name] = SimpleUploadedFile("shop.tar.gz", package)
        body = encode_multipart(BOUNDARY, parts)
        return (caller or post_as).post("/services/shop/versions/", body, content_type=MULTIPART_CONTENT, **headers)

    post_as = api()
    return send


def test_form_publishes_version_and_package(post, store):
    answer = post({"ref": "main", "description": "one call"})
    body = answer.json()
    assert (answer.status_code, body["status"], body["ref"]) == (201, BuildStatus.SUCCESS, "main"), body
    assert (store / body["file_path"]).read_bytes() == rewritten(GOOD)
    assert body["source_sha256"] == hashlib.sha256(GOOD).hexdigest()
    assert answer["Location"].endswith(f"/versions/{body['id']}")
    assert History.objects.filter(subject="version").count() == 2


def test_repeated_forms_are_equal(post):
    first, again = post(), post()
    assert (first.status_code, again.status_code, again.json()["id"]) == (201, 200, first.json()["id"])
    other = post(package=GOOD + b"")
    assert other.status_code == 200
    assert MicroServiceVersion.objects.count() == 1


def test_a_bad_package_leaves_no_version(post, store):
    answer = post(package=b"no archive")
    assert (answer.status_code, answer.json()["code"]) == (422, "bad_package")
    assert not MicroServiceVersion.objects.exists()
    assert not [path for path in store.rglob("*") if path.is_file()]


def test_a_bad_name_leaves_no_package(post, store):
    answer = post({"version": "../1"})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/version")
    assert not [path for path in store.rglob("*") if path.is_file()]


@pytest.mark.parametrize("wrong", [{"name": "file"}, {"package": None}])
def test_file_field_is_package(post, wrong):
    answer = post(**wrong)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/package")


def test_rejects_unknown_fields(post):
    assert post({"sha": "1"}).status_code == 422


def test_verifies_the_digest(post):
    right = base64.b64encode(hashlib.sha256(GOOD).digest()).decode()
    wrong = base64.b64encode(hashlib.sha256(b"").digest()).decode()
    refused = post(Content_Digest=f"sha-256=:{wrong}:")
    assert (refused.status_code, refused.json()["code"]) == (422, "digest_mismatch")
    assert post(Content_Digest=f"sha-256=:{right}:").status_code == 201


def test_idempotency_key_replays_equal_forms(post):
    first = post(Idempotency_Key="a")
    again = post(Idempotency_Key="a")
    assert (again.status_code, again.content, again["Idempotency-Replayed"]) == (201, first.content, "true")
    other = post({"description": "other"}, Idempotency_Key="a")
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert IdempotencyKey.objects.count() == 1


def test_refuses_other_bytes_under_the_same_key(post):
    post(Idempotency_Key="a")
    assert post(package=b"no archive", Idempotency_Key="a").json()["code"] == "idempotency_key_reused"


def test_other_endpoints_accept_no_forms(api):
    body = encode_multipart(BOUNDARY, {"name": "shop"})
    answer = api().post("/services/", body, content_type=MULTIPART_CONTENT)
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")


def test_rejects_broken_forms(api):
    factories.service("shop")
    for content_type in ("multipart/form-data", "multipart/form-data; boundary=" + "x" * 300):
        answer = api().post("/services/shop/versions/", b"--x\r\n", content_type=content_type)
        assert answer.status_code == 400, answer.content


def test_reads_nothing_without_the_right(api, post):
    assert post(caller=api("read")).status_code == 403
