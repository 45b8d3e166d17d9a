"""POST /services/{service}/deploy: one request of a pipeline, with names alone."""

import pytest

from microservice.models import Deployment, MicroServiceInstance
from tests.api.addresses import unchanged

pytestmark = pytest.mark.django_db

DEPLOY = "/services/shop/deploy"


def test_deploys_by_names(api, shop):
    host = shop.instances[0].host.hostname
    answer = api("deploy").post(DEPLOY, {"version": "3.0", "host": [host]})
    body = answer.json()
    assert answer.status_code == 202, body
    assert answer["Location"] == f"/api/v1/deployments/{body['id']}"
    assert (body["action"], body["from_version"], body["dest_version_str"]) == ("deploy", None, "3.0")
    assert [row["code"] for row in body["skipped"]] == []


def test_what_is_there_already_is_a_success_that_says_so(api, shop):
    answer = api("deploy").post(DEPLOY, {"version": "2.0", "host": "all"})
    assert answer.status_code == 200
    assert answer.json() == {"already_there": True, "service": "shop", "version": "2.0", "code": 0}
    assert unchanged()


def test_one_that_is_there_is_named_beside_the_others(api, shop):
    there, other = shop.instances[:2]
    there.version = shop.versions[2]
    there.save()
    body = api("deploy").post(DEPLOY, {"version": "3.0", "instances": [there.pk, other.pk]}).json()
    assert [(row["instance_id"], row["code"]) for row in body["skipped"]] == [(there.pk, "already_there")]
    assert "runs 3.0 already" in body["skipped"][0]["reason"]
    assert body["counts"]["queued"] == 1


def test_service_that_runs_nowhere_says_what_comes_first(api, shop):
    """As after the first job of a pipeline: the version is published, and no host has the service yet."""
    MicroServiceInstance.objects.all().delete()
    answer = api("deploy").post(DEPLOY, {"version": "3.0", "host": "all"})
    body = answer.json()
    assert (answer.status_code, body["code"]) == (409, "nothing_to_do")
    assert "shop is not installed on any host" in body["detail"] and "install" in body["hint"].lower()


def test_dry_run_changes_nothing_and_its_token_holds(api, shop):
    plan = api("deploy").post(DEPLOY, {"version": "3.0", "host": "all", "dry_run": True})
    assert plan.status_code == 200 and {row["action"] for row in plan.json()["targets"]} == {"upgrade"}
    assert unchanged()
    body = {"version": "3.0", "host": "all", "plan_token": plan.json()["plan_token"]}
    assert api("deploy").post(DEPLOY, body).status_code == 202


def test_repeated_with_its_key_it_is_one_deployment(api, shop):
    caller = api("deploy")
    answers = [
        caller.post(DEPLOY, {"version": "3.0", "host": "all"}, Idempotency_Key="build-17").json()["id"]
        for _ in range(2)
    ]
    assert answers[0] == answers[1] and Deployment.objects.count() == 1


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"host": "all"}, "/version"),
        ({"version": "9.9", "host": "all"}, "/version"),
        ({"version": ["3.0"], "host": "all"}, "/version"),
        ({"version": None, "host": "all"}, "/version"),
        ({"version": True, "host": "all"}, "/version"),
        ({"version": 3.0, "host": "all"}, "/version"),
        ({"version": "3.0"}, "/host"),
        ({"version": "3.0", "host": ""}, "/host"),
        ({"version": "3.0", "host": "nowhere"}, "/host"),
        ({"version": "3.0", "host": "all", "instances": [1]}, "/host"),
        ({"version": "3.0", "host": "all", "strategy": {"batch_size": 0}}, "/strategy/batch_size"),
        ({"version": "3.0", "host": "all", "dest_version": 1}, "/dest_version"),
        ({"version": "3.0", "host": "all", "on_locked": "break"}, "/on_locked"),
    ],
)
def test_wrong_values_name_their_field(api, shop, body, pointer):
    answer = api("deploy").post(DEPLOY, body)
    assert answer.status_code == 422, answer.json()
    assert answer.json()["errors"][0]["pointer"] == pointer
    assert unchanged()


def test_needs_the_right_and_the_service(api, shop):
    assert api("publish").post(DEPLOY, {"version": "3.0", "host": "all"}).status_code == 403
    assert api("deploy").post("/services/none/deploy", {"version": "3.0", "host": "all"}).status_code == 404
    assert unchanged()
