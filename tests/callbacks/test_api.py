"""Callbacks through the API, from creation to deletion."""

import json

import pytest

from callbacks.models import Callback, EventType

from .factories import SECRET, create_callback, enqueue, send_all

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("store")]


def test_callback_lifecycle(api, receiver):
    some = api()
    made = some.post("/callbacks/", {"url": receiver.url, "headers": {"X-Api-Key": "hush"}})
    assert made.status_code == 201, made.content
    assert made.json()["secret"].startswith("whsec_")
    path = f"/callbacks/{made.json()['id']}"
    shown = some.get(path)
    assert b"whsec_" not in shown.content
    assert b"hush" not in shown.content
    assert shown.json()["events"] == list(EventType.values)
    tried = some.post(f"{path}/test").json()
    assert (tried["state"], tried["answer_status"], tried["answer"]) == ("delivered", 200, "thanks")
    assert json.loads(receiver.got[0].body)["type"] == "test"
    enqueue()
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


def test_test_delivery_names_why_it_is_refused(api):
    row = Callback.objects.create(url="http://localhost:9/", secret=SECRET, events=["lock.broken"])
    answer = api().post(f"/callbacks/{row.pk}/test").json()
    assert (answer["state"], answer["answer_status"]) == ("failed", None)
    assert "Callback receivers" in answer["error"]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"url": "https://example.org/", "events": ["x"]},
        {"url": "https://example.org/", "events": []},
        {"url": "https://example.org/", "headers": {"a": 1}},
        {"url": 1},
    ],
)
def test_rejects_invalid_fields(api, body):
    assert api().post("/callbacks/", body).status_code == 422
    assert not Callback.objects.exists()


def test_encrypts_secret_and_headers():
    from django.db import connection

    create_callback("https://example.org/", headers={"X-Key": "hush"})
    with connection.cursor() as cursor:
        cursor.execute("SELECT secret, headers FROM callback")
        secret, headers = cursor.fetchone()
    assert SECRET not in secret
    assert "hush" not in headers
