"""Why a deployment has its status and why targets are skipped: kept as messages, shown in the reader's language."""

import pytest
from django.utils import translation

from api.schemas import deployments as schemas
from audit.models import Event
from messages import Message
from messages.rendering import render
from messages.text import Text
from messages.texts import TEXTS
from microservice import notify
from microservice.deployments import actions
from microservice.deployments.skipped import describe_skipped
from microservice.models import Deployment, MicroServiceInstance

from .requests import ANN, send

pytestmark = pytest.mark.django_db
OLD_ROW = {
    "instance_id": 1,
    "host_id": 2,
    "host": "web1:10.0.0.1",
    "code": "in_maintenance",
    "reason": "is in maintenance",
}


@pytest.fixture
def german(monkeypatch):
    """Provide a language of its own for two texts, so that no catalogue is needed."""
    monkeypatch.setitem(TEXTS, "paused_by", Text(_German("Paused by {who}.", "Angehalten von {who}.")))
    monkeypatch.setitem(TEXTS, "in_maintenance", Text(_German("{host} is in maintenance.", "{host} wird gewartet.")))


class _German:
    """A lazy text: the second one where German is active."""

    def __init__(self, english: str, german: str):
        self.texts = {"de": german, "en": english}

    def __str__(self) -> str:
        return self.texts[translation.get_language()]


def test_status_reason_is_a_message(shop, german):
    deployment = actions.pause(ANN, send(shop))
    row = Deployment.objects.get(pk=deployment.pk)
    assert (row.status_message, row.status_reason) == ({"code": "paused_by", "params": {"who": "ann"}}, "")
    shown = schemas.deployment(row, {})
    assert (shown.reason, shown.reason_code, shown.reason_params) == ("Paused by ann.", "paused_by", {"who": "ann"})
    with translation.override("de"):
        assert render(row.reason) == "Angehalten von ann."
        assert notify._deployment_data(row)["reason"] == "Paused by ann.", "callbacks are English"
    assert Event.objects.filter(deployment=row, kind="deployment").latest("pk").data["reason"] == "Paused by ann."


def test_resume_clears_the_reason(shop):
    deployment = actions.resume(ANN, actions.pause(ANN, send(shop)))
    assert deployment.reason is None and schemas.deployment(deployment, {}).reason == ""


def test_sentences_of_older_rows_are_shown(shop):
    deployment = send(shop)
    Deployment.objects.update(status_reason="Paused by {who} 100%.", skipped=[OLD_ROW])
    deployment.refresh_from_db()
    shown = schemas.deployment(deployment, {})
    assert (shown.reason, shown.skipped) == ("Paused by {who} 100%.", [OLD_ROW])


def test_skipped_targets_are_messages(shop, german):
    MicroServiceInstance.objects.filter(pk=shop.instances[0].pk).update(is_maintain=True)
    deployment = send(shop)
    host = str(shop.instances[0].host)
    assert [Message.from_json(row) for row in deployment.skipped] == [Message("in_maintenance", {"host": host})]
    (english,) = describe_skipped(deployment.skipped)
    assert (english["code"], english["reason"]) == ("in_maintenance", f"{host} is in maintenance.")
    with translation.override("de"):
        (german_row,) = describe_skipped(deployment.skipped)
    assert german_row["reason"] == f"{host} wird gewartet."


def test_skip_code_is_the_family(shop):
    row = {"instance_id": 1, "code": "concurrent_update.target", "params": {"host": "web1"}}
    (shown,) = describe_skipped([row])
    assert shown["code"] == "concurrent_update" and shown["reason"].startswith("web1 was changed")
