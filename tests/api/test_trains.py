"""Release trains, as a pipeline sends and reads them."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from asset.models import Asset, Environment
from microservice.models import Deployment, MicroService, MicroServiceInstance, MicroServiceVersion, Train
from microservice.status import BuildStatus, OperationStatus
from microservice.trains import advance
from tests import factories
from tests.microservice.deployments.requests import end_all

pytestmark = pytest.mark.django_db
TRAINS = "/trains/"


@pytest.fixture
def staging(db):
    """Two services that run 1.0 in staging, one that does in production, and one that runs in both."""
    hosts = factories.hosts(2)
    for name, host in zip(("staging", "production"), hosts, strict=True):
        Asset.objects.filter(pk=host.pk).update(environment=Environment.objects.create(name=name))
    for name, on in (("api", hosts[:1]), ("shop", hosts[:1]), ("web", hosts[1:]), ("both", hosts)):
        factories.instances(factories.versions(factories.service(name), 2)[0], on)
    return Environment.objects.get(name="staging")


def body(*stages, **more):
    """Return a request for version 2.0 of the services that each stage names, between blanks."""
    named = [[{"service": name, "version": "2.0"} for name in stage.split()] for stage in stages]
    return {"name": "autumn", "environment": "staging", "stages": named} | more


def unchanged():
    return not Train.objects.exists() and not Deployment.objects.exists()


def test_started_read_and_followed(api, staging):
    some = api("deploy", "read")
    answer = some.post(TRAINS, body("api", "shop both", note="the autumn release"))
    made = answer.json()
    assert answer.status_code == 201 and answer["Location"] == f"/api/v1/trains/{made['id']}"
    assert (made["status"], made["environment"], made["on_failure"]) == ("running", "staging", "hold")
    assert [[(part["service"], part["status"]) for part in stage] for stage in made["stages"]] == [
        [("api", "running")],
        [("shop", "pending"), ("both", "pending")],
    ]
    deployment = Deployment.objects.get()
    assert made["stages"][0][0]["deployments"] == [{"id": deployment.pk, "action": "deploy", "status": "queued"}]
    assert deployment.note == "the autumn release"
    end_all(deployment, OperationStatus.SUCCEEDED)
    advance.sweep()
    found = some.get(f"{TRAINS}{made['id']}").json()
    assert [part["status"] for stage in found["stages"] for part in stage] == ["succeeded", "running", "running"]
    assert some.get(f"{TRAINS}?service=both&status=running&environment=staging").json()["data"] == [found]
    assert some.get(f"{TRAINS}?service=web").json()["data"] == []
    assert set(Deployment.objects.values_list("environment__name", flat=True)) == {"staging"}
    assert not MicroServiceInstance.objects.filter(host__environment__name="production", locked=True).exists()


def test_dry_run_shows_every_stage_and_its_token_holds(api, staging):
    some = api("deploy")
    plan = some.post(TRAINS, body("api", "shop", dry_run=True))
    found = plan.json()
    assert plan.status_code == 200 and unchanged(), found
    assert [[(part["service"], part["version"]) for part in stage] for stage in found["stages"]] == [
        [("api", "2.0")],
        [("shop", "2.0")],
    ]
    assert found["stages"][1][0]["plan"]["targets"][0]["action"] == "upgrade"
    MicroService.objects.filter(name="shop").update(start_command="other")
    made = some.post(TRAINS, body("api", "shop", plan_token=found["plan_token"])).json()
    end_all(Deployment.objects.get(), OperationStatus.SUCCEEDED)
    advance.sweep()
    held = api("read").get(f"{TRAINS}{made['id']}").json()
    assert (held["status"], held["reason_code"]) == ("held", "train_stage_refused")
    assert Deployment.objects.count() == 1, "nothing runs that was not shown"


def test_first_stage_is_held_to_its_plan(api, staging):
    some = api("deploy")
    token = some.post(TRAINS, body("api", dry_run=True)).json()["plan_token"]
    MicroService.objects.filter(name="api").update(start_command="other")
    answer = some.post(TRAINS, body("api", plan_token=token))
    assert (answer.status_code, answer.json()["code"]) == (409, "plan_changed") and unchanged()


def test_what_was_there_already_and_changed_since_was_not_shown(api, staging):
    MicroServiceInstance.objects.filter(microservice__name="api").update(
        version=MicroServiceVersion.objects.get(microservice__name="api", version="2.0")
    )
    some = api("deploy")
    token = some.post(TRAINS, body("api", dry_run=True)).json()["plan_token"]
    MicroServiceInstance.objects.filter(microservice__name="api").update(
        version=MicroServiceVersion.objects.get(microservice__name="api", version="1.0")
    )
    answer = some.post(TRAINS, body("api", plan_token=token))
    assert (answer.status_code, answer.json()["code"]) == (409, "plan_changed") and unchanged()


def not_built():
    MicroServiceVersion.objects.filter(microservice__name="shop", version="2.0").update(status=BuildStatus.FAILED)


def marked_bad():
    MicroServiceVersion.objects.filter(microservice__name="shop", version="2.0").update(bad=True)


@pytest.mark.parametrize(
    ("sent", "pointer"),
    [
        ({"stages": []}, "/stages"),
        ({"stages": [[]]}, "/stages/0"),
        (body("api", ""), "/stages/1"),
        ({"stages": [{"service": "api", "version": "2.0"}]}, "/stages/0"),
        ({"stages": "api"}, "/stages"),
        ({"stages": [[{"service": "api"}]]}, "/stages/0/0/version"),
        ({"stages": [[{"service": "api", "version": "2.0", "host": "all"}]]}, "/stages/0/0/host"),
        (body("shop api shop"), "/stages/0/2/service"),
        (body("api", "none"), "/stages/1/0/service"),
        (body("api", "x!"), "/stages/1/0/service"),
        ({"stages": [[{"service": "api", "version": "9.9"}]]}, "/stages/0/0/version"),
        ({"stages": [[{"service": "api", "version": "\0"}]]}, "/stages/0/0/version"),
        ({"stages": [[{"service": 1 << 70, "version": "2.0"}]]}, "/stages/0/0/service"),
        ({"name": ""}, "/name"),
        ({"name": " \t"}, "/name"),
        ({"name": "x" * 65}, "/name"),
        ({"name": "two\nlines"}, "/name"),
        ({"environment": "none"}, "/environment"),
        ({"environment": None}, "/environment"),
        ({"environment": ["staging", "production"]}, "/environment"),
        ({"on_failure": "panic"}, "/on_failure"),
        ({"note": "two\nlines"}, "/note"),
        ({"plan_token": "x"}, "/plan_token"),
        ({"plan_token": ""}, "/plan_token"),
        ({"plan_token": "x~y"}, "/plan_token"),
        ({"stages": [[{"service": "api", "version": "2.0"}]] * 21}, "/stages"),
        ({"stages": [[{"service": f"s{n}", "version": "2.0"} for n in range(101)]]}, "/stages"),
        ({"speed": "fast"}, "/speed"),
    ],
)
def test_wrong_values_name_their_field(api, staging, sent, pointer):
    answer = api("deploy").post(TRAINS, body("both") | sent)
    assert answer.status_code == 422, answer.json()
    assert pointer in [error["pointer"] for error in answer.json()["errors"]], answer.json()["errors"]
    assert unchanged()


@pytest.mark.parametrize("spoil", [not_built, marked_bad])
def test_version_that_cannot_be_deployed(api, staging, spoil):
    spoil()
    for dry in (True, False):
        answer = api("deploy").post(TRAINS, body("api", "shop", dry_run=dry))
        assert answer.status_code == 422 and answer.json()["errors"][0]["pointer"] == "/stages/1/0/version"
    assert unchanged()


def test_everything_that_is_wrong_is_said_at_once(api, staging):
    sent = body("api", "shop")
    for stage in sent["stages"]:
        stage[0]["version"] = "9.9"
    pointers = [error["pointer"] for error in api("deploy").post(TRAINS, sent).json()["errors"]]
    assert pointers == ["/stages/0/0/version", "/stages/1/0/version"]


def test_service_that_is_not_there_is_refused_before_anything_begins(api, staging):
    answer = api("deploy").post(TRAINS, body("api", "web"))
    assert (answer.status_code, answer.json()["code"]) == (409, "nothing_to_do")
    assert answer.json()["errors"][0]["pointer"] == "/stages/1/0" and unchanged()


def test_without_an_environment_where_there_is_only_one(api, staging):
    made = api("deploy").post(TRAINS, body("api", "shop", environment=None))
    assert made.status_code == 201 and made.json()["environment"] == "staging"


def test_promotion_holds_for_a_train(api, staging):
    Environment.objects.filter(name="production").update(requires=staging)
    answer = api("deploy").post(TRAINS, body("both", environment="production"))
    assert (answer.status_code, answer.json()["code"]) == (409, "not_promoted")
    assert answer.json()["errors"][0]["pointer"] == "/stages/0/0/version" and unchanged()


def test_cancel_resume_and_revert(api, staging):
    some = api("deploy", "read")
    number = some.post(TRAINS, body("api", "shop")).json()["id"]
    assert some.post(f"{TRAINS}{number}/resume").json()["status"] == "running", "it was not held"
    assert some.post(f"{TRAINS}{number}/cancel").json()["status"] == "cancelled"
    assert Deployment.objects.get().status == "cancelled"
    answer = some.post(f"{TRAINS}{number}/resume")
    assert (answer.status_code, answer.json()["code"]) == (409, "train_state")
    assert some.post(f"{TRAINS}{number}/revert").json()["status"] == "failed", "there was nothing to send back"
    for act in ("cancel", "resume", "revert"):
        assert some.post(f"{TRAINS}999/{act}").status_code == 404


def test_all_services_must_be_the_callers(api, staging):
    bound = api("deploy", "read", services=[MicroService.objects.get(name="api").pk])
    hidden = bound.post(TRAINS, body("api", "shop"))
    assert (hidden.status_code, hidden.json()["errors"][0]["pointer"]) == (422, "/stages/1/0/service")
    assert api("read").post(TRAINS, body("api")).status_code == 403 and unchanged()
    number = api("deploy").post(TRAINS, body("api", "shop")).json()["id"]
    assert bound.get(f"{TRAINS}{number}").status_code == 404
    assert bound.get(TRAINS).json()["data"] == [] and bound.post(f"{TRAINS}{number}/cancel").status_code == 404
    own = bound.post(TRAINS, body("api")).json()
    assert own["reason_code"] == "train_waits_for_locks", "the other train holds it"
    assert [row["id"] for row in bound.get(TRAINS).json()["data"]] == [own["id"]]


def test_large_train_is_read_by_a_fixed_number_of_queries(api, staging):
    some = api("deploy", "read")
    hosts = list(Asset.objects.filter(environment=staging))
    names = [f"s{number}" for number in range(40)]
    for name in names:
        factories.instances(factories.versions(factories.service(name), 2)[0], hosts)
    small = some.post(TRAINS, body("api")).json()["id"]
    large = some.post(TRAINS, body(*[" ".join(names[at : at + 10]) for at in range(0, 40, 10)])).json()["id"]
    counts = []
    for number in (small, large):
        with CaptureQueriesContext(connection) as queries:
            some.get(f"{TRAINS}{number}")
        counts.append(len(queries))
    assert counts[0] == counts[1], counts
