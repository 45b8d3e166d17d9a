"""Tokens through the API."""

import hashlib
from datetime import timedelta

import pytest
from django.utils import timezone

from access.models import Token
from tests import factories
from tests.api.client import Api

pytestmark = pytest.mark.django_db


def test_shows_a_token_once_and_stores_its_hash(api):
    made = api().post("/tokens/", {"name": "ci", "scopes": ["read", "publish"]})
    assert made.status_code == 201
    token = made.json()["token"]
    row = Token.objects.get(pk=made.json()["id"])
    assert row.digest == hashlib.sha256(token.encode()).hexdigest()
    kept = [str(getattr(row, field.name)) for field in Token._meta.fields]
    assert not any(token in value for value in kept)
    assert token not in api().get("/tokens/").content.decode()
    assert Api(token).get("/services/").status_code == 200
    assert Api(token).post("/services/", {"name": "x"}).status_code == 403


def test_grants_no_rights_beyond_ones_own(api):
    caller = api("read", "publish", "tokens")
    answer = caller.post("/tokens/", {"name": "ci", "scopes": ["read", "admin"]})
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    assert caller.post("/tokens/", {"name": "ci", "scopes": ["publish"]}).status_code == 201


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("scopes", []),
        ("scopes", ["everything"]),
        ("scopes", "read"),
        ("name", ""),
        ("name", "x" * 65),
        ("name", "a\nb"),
        ("expires", "2020-01-01T00:00:00Z"),
        ("expires", "soon"),
        ("expires", "2030-01-01T00:00:00"),
        ("scopes", [["read"]]),
    ],
)
def test_points_at_invalid_fields(api, field, value):
    answer = api().post("/tokens/", {"name": "ci", "scopes": ["read"]} | {field: value})
    assert answer.status_code == 422, answer.content
    assert answer.json()["errors"][0]["pointer"].startswith(f"/{field}")


def test_scoped_tokens_create_no_wider_tokens(api):
    mine, other = factories.service("mine"), factories.service("other")
    caller = api(services=[mine.pk])
    assert caller.post("/tokens/", {"name": "x", "scopes": ["read"], "services": ["other"]}).status_code == 404
    made = caller.post("/tokens/", {"name": "x", "scopes": ["read"]})
    assert made.json()["services"] == [mine.pk]
    assert Api(made.json()["token"]).get(f"/services/{other.pk}").status_code == 404
    assert api().post("/tokens/", {"name": "y", "scopes": ["read"], "services": ["mine", other.pk]}).json()[
        "services"
    ] == [mine.pk, other.pk]


def test_revoked_tokens_are_refused_at_once(api):
    made = api().post("/tokens/", {"name": "ci", "scopes": ["read"]}).json()
    assert Api(made["token"]).get("/services/").status_code == 200
    assert api().delete(f"/tokens/{made['id']}").status_code == 204
    assert Api(made["token"]).get("/services/").status_code == 401
    assert made["id"] not in [row["id"] for row in api().get("/tokens/").json()["data"]]
    assert api().delete(f"/tokens/{made['id']}").status_code == 404


def test_only_administrators_see_others_tokens(api):
    hers = api().post("/tokens/", {"name": "ci", "scopes": ["read"]}).json()
    stranger = api("read", name="bob")
    assert hers["id"] not in [row["id"] for row in stranger.get("/tokens/").json()["data"]]
    assert stranger.delete(f"/tokens/{hers['id']}").status_code == 404
    assert hers["id"] in [row["id"] for row in api("admin", name="bob").get("/tokens/").json()["data"]]


def test_refuses_expired_tokens(api):
    end = (timezone.now() + timedelta(hours=1)).isoformat()
    made = api().post("/tokens/", {"name": "ci", "scopes": ["read"], "expires": end}).json()
    assert Api(made["token"]).get("/services/").status_code == 200
    Token.objects.filter(pk=made["id"]).update(expires=timezone.now())
    assert Api(made["token"]).get("/services/").status_code == 401


def test_replays_a_token_without_storing_it(api):
    from access.models import IdempotencyKey

    caller = api()
    first = caller.post("/tokens/", {"name": "ci", "scopes": ["read"]}, Idempotency_Key="k1")
    again = caller.post("/tokens/", {"name": "ci", "scopes": ["read"]}, Idempotency_Key="k1")
    assert again.json()["token"] == first.json()["token"]
    assert first.json()["token"].encode() not in bytes(IdempotencyKey.objects.get().body)


def test_tokens_manage_no_more_than_their_rights(api):
    soon = (timezone.now() + timedelta(hours=1)).isoformat()
    late = (timezone.now() + timedelta(hours=2)).isoformat()
    made = api().post("/tokens/", {"name": "short", "scopes": ["read", "tokens"], "expires": soon}).json()
    short = Api(made["token"])
    assert short.post("/tokens/", {"name": "x", "scopes": ["read"]}).json()["expires"] == made["expires"]
    assert short.post("/tokens/", {"name": "x", "scopes": ["read"], "expires": late}).status_code == 403
    assert short.post("/tokens/", {"name": "x", "scopes": ["deploy"]}).status_code == 403
    stronger = api().post("/tokens/", {"name": "strong", "scopes": ["deploy"]}).json()
    assert short.delete(f"/tokens/{stronger['id']}").status_code == 403
    assert short.delete(f"/tokens/{made['id']}").status_code == 204
    assert short.get("/services/").status_code == 401
