"""deployctl waiting, approve, reject, override and reschedule; and what requests say about when."""

import json
from datetime import timedelta

import pytest
from django.utils import timezone

from access.authentication import acting_as
from asset.models import Asset, Environment
from asset.strategy import Strategy
from microservice.deployments import actions
from microservice.deployments.version_change import VersionChange
from microservice.models import Deployment, MicroService
from microservice.status import Action
from tests.api.client import person
from tests.microservice.deployments import distinct_ids

pytestmark = pytest.mark.django_db(transaction=True)
SOON = (timezone.now() + timedelta(hours=2)).isoformat(timespec="seconds")


@pytest.fixture
def fleet(db):
    made = distinct_ids.create()
    Asset.objects.update(environment=Environment.objects.create(name="production", approvals=1))
    return made


def asked_by_eve() -> Deployment:
    """Return a deployment that somebody else than the test's own caller asked for."""
    eve = acting_as(person("eve", is_superuser=True), None)
    service = MicroService.objects.get(name="shop")
    change = VersionChange(
        service=service, action=Action.DEPLOY, dest_version="3.0", host="all", strategy=Strategy(canary=1)
    )
    return actions.deploy(eve, change)


def test_approves_what_it_was_shown(fleet, said):
    number = str(asked_by_eve().pk)
    status, output, _ = said("waiting")
    assert status == 0 and number in output and "It waits for approval: 0 of 1 so far." in output
    status, output, _ = said("approve", number, "--plan")
    assert status == 0 and "web1" in output and "batches: 1, 2" in output
    assert Deployment.objects.get().status == "waiting"
    status, output, errors = said("approve", number, "--comment", "fine", "--no-wait")
    assert (status, "queued" in output, "web1" in errors) == (0, True, True), "it says to what"
    assert said("waiting")[1].strip() == "Nothing waits."
    assert said("approve", number)[0] == 4, "it waits no more"


def test_rejects_overrides_and_reschedules(fleet, said):
    number = str(asked_by_eve().pk)
    assert "cancelled" in said("reject", number, "not today")[1]
    number = str(asked_by_eve().pk)
    assert "It begins at" in said("reschedule", number, SOON)[1]
    assert "It begins at" not in said("reschedule", number, "now")[1]
    status, _, errors = said("reschedule", number, "tonight")
    assert status == 2 and "start_at" in errors
    assert "queued" in said("override", number, "outage")[1]


def test_requests_say_when(fleet, said):
    Environment.objects.update(approvals=0)
    status, output, errors = said("deploy", "shop", "3.0", "--start-at", SOON, "--no-wait")
    assert (status, "waiting  (It begins at" in output) == (0, True), errors
    assert "It begins at" in said("deploy", "shop", "3.0", "--start-at", SOON, "--plan")[1]
    own = json.loads(said("--json", "waiting")[1])
    assert [row["wait"]["reasons"][0]["kind"] for row in own] == ["schedule"]
