"""Notes on deployments through the API, in the history, and in callbacks."""

import json

import pytest
from django.db import transaction

from audit.models import History
from callbacks.models import Delivery
from microservice import notify
from microservice.models import Deployment
from microservice.status import OperationStatus
from tests import factories
from tests.callbacks.factories import create_callback
from tests.microservice.deployments.requests import end_all, send

pytestmark = pytest.mark.django_db
WHY = "orders are lost"


def bodies(shop) -> dict[str, tuple[str, dict]]:
    """Return each request that may say why: its address and what else it needs."""
    service = f"/services/{shop.service.name}"
    version = f"{service}/versions/{shop.versions[1].pk}"
    return {
        "upgrade": (f"{version}/upgrade", {"dest_version": shop.versions[2].pk, "host": "all"}),
        "revert": (f"{version}/revert", {"dest_version": shop.versions[0].pk, "host": "all"}),
        "deploy": (f"{service}/deploy", {"version": shop.versions[2].version, "host": "all"}),
        "install": (f"{version}/install", {"host": [factories.hosts(1)[0].pk]}),
        "delete": (f"{service}/instances/delete", {"instances": [shop.instances[0].pk]}),
    }


@pytest.mark.parametrize("action", ["upgrade", "revert", "deploy", "install", "delete"])
def test_each_request_takes_a_note(api, shop, action):
    address, body = bodies(shop)[action]
    answer = api().post(address, body | {"note": f"  {WHY} "})
    assert answer.status_code == 202, answer.content
    number = answer.json()["id"]
    assert answer.json()["note"] == WHY == api("read").get(f"/deployments/{number}").json()["note"]
    assert History.objects.get(subject="deployment").reason == WHY


@pytest.mark.parametrize("note", ["x" * 501, "two\nlines", "bell\x07", None, 1])
@pytest.mark.parametrize("action", ["upgrade", "revert", "deploy", "install", "delete"])
def test_note_that_cannot_be_kept(api, shop, action, note):
    address, body = bodies(shop)[action]
    answer = api().post(address, body | {"note": note})
    assert answer.status_code == 422 and answer.json()["errors"][0]["pointer"] == "/note"
    assert not Deployment.objects.exists()


def test_retry_and_revert_take_a_note(api, shop):
    failed = send(shop)
    end_all(failed, OperationStatus.UNDONE)
    again = api().post(f"/deployments/{failed.pk}/retry", {"note": "now it has room"})
    assert again.json()["note"] == "now it has room"
    made = Deployment.objects.get(pk=again.json()["id"])
    end_all(made, OperationStatus.SUCCEEDED)
    assert api().post(f"/deployments/{made.pk}/revert", {"note": WHY}).json()["note"] == WHY


def test_note_is_changed(api, shop):
    deployment = factories.running(1, "other")
    answer = api().patch(f"/deployments/{deployment.pk}", {"note": WHY})
    assert (answer.status_code, answer.json()["note"]) == (200, WHY)
    assert api().patch(f"/deployments/{deployment.pk}", {}).json()["note"] == WHY, "what is not named stays"
    assert api().patch(f"/deployments/{deployment.pk}", {"note": WHY}).status_code == 200
    row = History.objects.get(subject="deployment", action="change")
    assert (row.before, row.after) == ({"note": ""}, {"note": WHY})
    for wrong in ({"note": "x" * 501}, {"note": "a\nb"}, {"note": None}, {"status": "failed"}):
        assert api().patch(f"/deployments/{deployment.pk}", wrong).status_code == 422
    assert api("read").patch(f"/deployments/{deployment.pk}", {"note": ""}).status_code == 403
    assert api().patch("/deployments/999999", {"note": ""}).status_code == 404
    deployment.refresh_from_db()
    assert deployment.note == WHY


def test_callbacks_say_why():
    create_callback("https://example.org/")
    deployment = factories.running(1, "other")
    Deployment.objects.filter(pk=deployment.pk).update(note=WHY)
    deployment.refresh_from_db()
    with transaction.atomic():
        notify.publish([factories.event(deployment, "deployment", status="succeeded")])
    sent = json.loads(Delivery.objects.get().body)
    assert sent["data"]["deployment"]["note"] == WHY
