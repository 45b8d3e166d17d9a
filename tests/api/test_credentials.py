"""Credentials through the API: secrets go in and never come out."""

import pytest

from asset.models import Credential
from audit.models import History
from tests import factories

pytestmark = pytest.mark.django_db
SECRET = {"name": "pw", "kind": "password", "secret": "canary-8841"}


def test_credential_lifecycle_never_shows_the_secret(api):
    made = api().post("/credentials/", SECRET)
    assert made.status_code == 201, made.content
    path = f"/credentials/{made.json()['id']}"
    assert made["Location"] == f"/api/v1{path}"
    answers = [
        made,
        api("read").get("/credentials/"),
        api("read").get(path),
        api().patch(path, {"name": "pw2"}),
        api().patch(path, {"secret": "canary-8842"}),
        api().get("/history/"),
    ]
    assert [answer.status_code for answer in answers] == [201, 200, 200, 200, 200, 200]
    assert all(b"canary" not in answer.content and b'"secret"' not in answer.content for answer in answers)
    assert Credential.objects.get().secret.reveal() == "canary-8842"
    assert answers[1].json()["data"][0]["hosts"] == 0
    assert api().delete(path).status_code == 204
    assert api().get(path).status_code == 404
    assert [row.action for row in History.objects.order_by("id")] == ["create", "change", "change", "delete"]


@pytest.mark.parametrize(
    "change",
    [
        {"name": ""},
        {"name": "a\nb"},
        {"name": "x" * 65},
        {"kind": "card"},
        {"secret": ""},
        {"secret": 5},
        {"secret": None},
        {"secret": "canary-1\ncanary-2"},
        {"passphrase": "canary-3"},
        {"kind": "key"},
        {"secret": "canary\0"},
        {"wheels": 4},
        {"secret": "canary" * 10_000},
    ],
)
def test_refusals_do_not_repeat_the_secret(api, change):
    answer = api().post("/credentials/", {**SECRET, **change})
    assert answer.status_code == 422 and answer.json()["errors"]
    assert b"canary" not in answer.content
    assert not Credential.objects.exists()


def test_taken_and_used_names_are_conflicts(api):
    number = api().post("/credentials/", SECRET).json()["id"]
    assert api().post("/credentials/", SECRET).json()["code"] == "already_exists"
    (host,) = factories.hosts(1)
    api().patch(f"/hosts/{host.pk}", {"credential_id": number})
    assert api().get("/credentials/").json()["data"][0]["hosts"] == 1
    in_use = api().delete(f"/credentials/{number}")
    assert in_use.json()["code"] == "credential_in_use" and host.hostname in in_use.json()["detail"]


def test_only_administrators_change_credentials(api):
    number = api().post("/credentials/", SECRET).json()["id"]
    for caller in (api("read"), api("read", "deploy", "publish")):
        assert caller.post("/credentials/", {**SECRET, "name": "x"}).status_code == 403
        assert caller.patch(f"/credentials/{number}", {"name": "x"}).status_code == 403
        assert caller.delete(f"/credentials/{number}").status_code == 403


def test_only_administrators_see_credential_history(api):
    api().post("/credentials/", SECRET)
    api().post("/services/", {"name": "shop"})
    everything, less = (api(*scopes).get("/history/").json()["data"] for scopes in (("read", "admin"), ("read",)))
    assert [row["subject"] for row in everything] == ["service", "credential"]
    assert [row["subject"] for row in less] == ["service"]
    for query, count in [
        ("actor=ann", 2),
        ("actor=bob", 0),
        ("action=create", 2),
        ("service=shop", 1),
        ("since=2020-01-01T00:00:00Z", 2),
        ("until=2020-01-01T00:00:00Z", 0),
    ]:
        assert api().get(f"/history/?{query}").json()["count"] == count, query
    for wrong in ("yesterday", "0.5", "1700000000", "2020-01-01", "2020-01-01T00:00:00"):
        assert api().get(f"/history/?since={wrong}").status_code == 422
