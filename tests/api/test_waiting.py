"""Deployments that wait, as a pipeline and the people who approve see them: over HTTP, with tokens."""

from datetime import timedelta

import pytest
from django.utils import timezone

from access.models import Membership, Team
from asset.models import Asset, Environment
from microservice.models import Deployment, Freeze
from tests import factories
from tests.api.client import person

pytestmark = pytest.mark.django_db
SOON = (timezone.now() + timedelta(hours=2)).isoformat(timespec="seconds")
SCOPES = ["read", "deploy"]


@pytest.fixture
def shop(store):
    """Return a service on two hosts of production, which asks for one approval; ann and ben may deploy it."""
    team = Team.objects.create(name="shop-team")
    for name in ("ann", "ben"):
        Membership.objects.create(team=team, user=person(name), role="deployer")
    service = factories.service(team=team)
    versions = factories.versions(service, 3)
    factories.instances(versions[0], factories.hosts(2))
    Asset.objects.update(environment=Environment.objects.create(name="production", approvals=1))
    return service


@pytest.fixture
def ann(api, shop):
    return api(*SCOPES, name="ann")


@pytest.fixture
def ben(api, shop):
    return api(*SCOPES, name="ben")


def ask(api, version="2.0", **more):
    return api.post("/services/shop/deploy", {"version": version, "host": "all", **more})


def test_from_the_question_to_the_yes(ann, ben):
    dry = ask(ann, dry_run=True).json()
    assert [(one["kind"], one["need"], one["have"]) for one in dry["waits"]] == [("approval", 1, 0)]
    answer = ask(ann, plan_token=dry["plan_token"], note="weekly")
    asked = answer.json()
    assert answer.status_code == 202 and asked["status"] == "waiting" and asked["note"] == "weekly"
    assert asked["wait"]["reasons"][0]["text"] == "It waits for approval: 0 of 1 so far."
    where = f"/deployments/{asked['id']}"
    plan = ben.get(f"{where}/plan").json()
    assert len(plan["targets"]) == 2 and plan["waits"] == asked["wait"]["reasons"]
    own = ann.post(f"{where}/approve", {"plan_token": plan["plan_token"]})
    assert (own.status_code, own.json()["code"]) == (403, "forbidden")
    assert ben.post(f"{where}/approve", {}).json()["errors"][0]["pointer"] == "/plan_token"
    done = ben.post(f"{where}/approve", {"plan_token": plan["plan_token"], "comment": "fine"}).json()
    assert done["status"] == "queued" and done["counts"]["queued"] == 2 and done["wait"]["reasons"] == []
    assert [(one["name"], one["verdict"], one["comment"]) for one in done["wait"]["answers"]] == [
        ("ben", "yes", "fine")
    ]
    late = ben.post(f"{where}/approve", {"plan_token": plan["plan_token"]})
    assert (late.status_code, late.json()["code"]) == (409, "deployment_state")
    assert ben.get(f"{where}/plan").json()["code"] == "deployment_state"


def test_a_list_says_what_waits_in_a_fixed_number_of_queries(ann, shop, django_assert_max_num_queries):
    hosts = list(Asset.objects.values_list("pk", flat=True))
    for host in hosts:
        ask(ann, host=[host])
    with django_assert_max_num_queries(20):
        rows = ann.get("/deployments/?status=waiting").json()["data"]
    assert [row["wait"]["reasons"][0]["kind"] for row in rows] == ["approval", "approval"]


def test_rejected_with_a_comment(ann, ben):
    where = f"/deployments/{ask(ann).json()['id']}"
    assert ben.post(f"{where}/reject", {}).json()["errors"][0]["pointer"] == "/comment"
    assert ben.post(f"{where}/reject", {"comment": "  "}).json()["errors"][0]["pointer"] == "/comment"
    done = ben.post(f"{where}/reject", {"comment": "not today"}).json()
    assert (done["status"], done["reason"]) == ("cancelled", "Rejected by ben: not today")


def test_begun_all_the_same_by_an_administrator(ann, ben, api):
    where = f"/deployments/{ask(ann).json()['id']}"
    token = ben.get(f"{where}/plan").json()["plan_token"]
    body = {"plan_token": token, "reason": "outage"}
    assert ben.post(f"{where}/override", body).status_code == 403
    admin = api(*SCOPES, "admin", name="root")
    assert admin.post(f"{where}/override", {"plan_token": token}).json()["errors"][0]["pointer"] == "/reason"
    done = admin.post(f"{where}/override", body).json()
    assert done["status"] == "queued" and done["wait"]["answers"][0]["verdict"] == "override"


def test_scheduled_moved_and_cancelled(ann, ben):
    Environment.objects.update(approvals=0)
    made = ask(ann, start_at=SOON).json()
    assert made["status"] == "waiting" and made["wait"]["reasons"][0]["kind"] == "schedule"
    where = f"/deployments/{made['id']}"
    later = (timezone.now() + timedelta(hours=5)).isoformat(timespec="seconds")
    moved = ben.post(f"{where}/reschedule", {"start_at": later}).json()
    assert moved["wait"]["start_at"] > made["wait"]["start_at"]
    assert ann.post(f"{where}/cancel").json()["status"] == "cancelled"
    assert ben.post(f"{where}/reschedule", {"start_at": later}).status_code == 409


@pytest.mark.parametrize("start_at", ["2020-01-01T00:00:00Z", "2126-01-01T00:00:00Z", "2026-11-28T10:00:00", 17, "now"])
@pytest.mark.parametrize("how", ["ask", "reschedule"])
def test_a_time_that_cannot_be_names_its_field(ann, start_at, how):
    if how == "ask":
        answer = ask(ann, start_at=start_at)
    else:
        answer = ann.post(f"/deployments/{ask(ann).json()['id']}/reschedule", {"start_at": start_at})
    assert answer.status_code == 422 and answer.json()["errors"][0]["pointer"] == "/start_at"
    assert Deployment.objects.count() == (how == "reschedule")


def test_in_a_freeze_the_caller_says_whether_it_waits(ann, shop):
    Environment.objects.update(approvals=0)
    now = timezone.now()
    freeze = Freeze.objects.create(name="Friday", start=now - timedelta(hours=1), end=now + timedelta(hours=1))
    freeze.environments.set(Environment.objects.all())
    for dry_run in (True, False):
        refused = ask(ann, on_freeze="refuse", dry_run=dry_run)
        assert (
            refused.status_code == 409 and refused.json()["code"] == "frozen" and "Friday" in refused.json()["detail"]
        )
    assert ask(ann).json()["wait"]["reasons"][0]["names"] == ["Friday"]
    assert ask(ann, on_freeze="perhaps").json()["errors"][0]["pointer"] == "/on_freeze"


def test_every_request_that_changes_what_runs_may_say_when(ann, shop):
    Environment.objects.update(approvals=0)
    old, new = shop.versions.order_by("pk")[:2]
    instance = shop.instances.first()
    requests = {
        f"/services/shop/versions/{old.pk}/upgrade": {"host": "all", "dest_version": new.pk},
        "/services/shop/instances/delete": {"instances": [instance.pk]},
        "/services/shop/deploy": {"host": "all", "version": "3.0"},
    }
    for path, body in requests.items():
        answer = ann.post(path, body | {"start_at": SOON, "on_freeze": "refuse"})
        assert answer.status_code == 202 and answer.json()["status"] == "waiting", (path, answer.json())
    assert not shop.instances.filter(locked=True).exists()
