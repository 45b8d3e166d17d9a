"""Environments: made, changed, deleted; and the hosts that are in them."""

from urllib.parse import quote

import pytest

from asset.models import Asset, Environment
from audit.models import History
from microservice import notify
from microservice.models import Deployment
from tests import factories

pytestmark = pytest.mark.django_db
ENVIRONMENTS = "/environments/"


@pytest.fixture
def admin(api):
    return api()


@pytest.fixture
def two(admin):
    """Return the ids of staging and production, which requires staging."""
    staging = admin.post(ENVIRONMENTS, {"name": "staging", "colour": "blue"}).json()
    body = {"name": "production", "requires_id": staging["id"], "soak_minutes": 30}
    return staging["id"], admin.post(ENVIRONMENTS, body).json()["id"]


def test_created_changed_and_deleted(admin):
    made = admin.post(ENVIRONMENTS, {"name": "staging", "description": "as production, with made up data"})
    body = made.json()
    assert made.status_code == 201 and made["Location"] == f"/api/v1/environments/{body['id']}"
    where = f"{ENVIRONMENTS}{body['id']}"
    assert admin.get(ENVIRONMENTS).json()["data"] == [admin.get(where).json()] == [body]
    changed = admin.patch(where, {"name": "stage", "colour": "green"}).json()
    assert (changed["name"], changed["colour"], changed["description"]) == ("stage", "green", body["description"])
    assert admin.delete(where).status_code == 204 and not Environment.objects.exists()
    assert list(History.objects.order_by("pk").values_list("action", "subject")) == [
        ("create", "environment"),
        ("change", "environment"),
        ("delete", "environment"),
    ]


def test_who_approves_and_how_it_is_deployed(admin):
    """By default nobody approves, and each service's own strategy holds. A team is named by its id or name."""
    made = admin.post(ENVIRONMENTS, {"name": "production"}).json()
    where = f"{ENVIRONMENTS}{made['id']}"
    rules = ("approvals", "approvers", "approve_reverts", "tokens_deploy", "wait_hours", "default_strategy")
    assert [made[name] for name in rules] == [0, None, False, True, 24, {}]
    team = admin.post("/teams/", {"name": "release"}).json()["id"]
    strict = {"approvals": 2, "approvers": "release", "approve_reverts": True, "tokens_deploy": False, "wait_hours": 8}
    changed = admin.patch(where, {**strict, "default_strategy": {"canary": 1}}).json()
    assert {**changed, **strict} == changed and changed["default_strategy"]["canary"] == 1
    row = History.objects.get(subject="environment", action="change")
    assert (row.before["approvers"], row.after["approvers"], row.after["tokens_deploy"]) == (None, "release", False)
    assert admin.patch(where, changed_back := {"approvers": team}).json()["approvers"] == "release", changed_back
    assert History.objects.filter(subject="environment", action="change").count() == 1, "nothing changed"
    refused = admin.delete(f"/teams/{team}")
    assert (refused.status_code, refused.json()["code"]) == (409, "team_in_use")
    assert "approves" in refused.json()["detail"]
    assert admin.patch(where, {"approvers": None, "default_strategy": {}}).json()["approvers"] is None
    assert admin.delete(f"/teams/{team}").status_code == 204
    assert Environment.objects.get().default_strategy == {}


def test_what_is_shown_can_be_sent_back(admin, two):
    admin.post("/teams/", {"name": "release"})
    where = f"{ENVIRONMENTS}{two[1]}"
    admin.patch(where, {"approvers": "release", "default_strategy": {"batch_size": "20%"}})
    shown = admin.get(where).json()
    made = ("id", "created", "created_by", "updated", "updated_by")
    assert admin.patch(where, {name: one for name, one in shown.items() if name not in made}).json() == shown


def test_listed_in_their_order(admin):
    for name in ("c", "a", "b"):
        admin.post(ENVIRONMENTS, {"name": name})
    last = admin.get(ENVIRONMENTS).json()["data"][-1]
    admin.patch(f"{ENVIRONMENTS}{last['id']}", {"position": 0})
    first = admin.get(f"{ENVIRONMENTS}?limit=2").json()
    second = admin.get(f"{ENVIRONMENTS}?limit=2&cursor={first['next']}").json()
    assert [row["name"] for row in first["data"] + second["data"]] == ["b", "c", "a"]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/name"),
        ({"name": ""}, "/name"),
        ({"name": " x"}, "/name"),
        ({"name": "x" * 65}, "/name"),
        ({"name": "x\n"}, "/name"),
        ({"name": "x\0"}, "/name"),
        ({"name": "12"}, "/name"),
        ({"name": 1}, "/name"),
        ({"name": "x", "colour": "pink"}, "/colour"),
        ({"name": "x", "colour": ""}, "/colour"),
        ({"name": "x", "position": -1}, "/position"),
        ({"name": "x", "position": 10**30}, "/position"),
        ({"name": "x", "position": True}, "/position"),
        ({"name": "x", "soak_minutes": -1}, "/soak_minutes"),
        ({"name": "x", "soak_minutes": 10**7}, "/soak_minutes"),
        ({"name": "x", "requires_id": 0}, "/requires_id"),
        ({"name": "x", "requires_id": 10**30}, "/requires_id"),
        ({"name": "x", "requires_id": 9999}, "/requires_id"),
        ({"name": "x", "requires_id": "staging"}, "/requires_id"),
        ({"name": "x", "description": "x" * 257}, "/description"),
        ({"name": "x", "hosts": [1]}, "/hosts"),
        ({"name": "x", "approvals": -1}, "/approvals"),
        ({"name": "x", "approvals": 6}, "/approvals"),
        ({"name": "x", "approvals": True}, "/approvals"),
        ({"name": "x", "approvers": "nobody"}, "/approvers"),
        ({"name": "x", "approvers": ""}, "/approvers"),
        ({"name": "x", "approvers": "a\0b"}, "/approvers"),
        ({"name": "x", "approvers": 10**30}, "/approvers"),
        ({"name": "x", "approvers": True}, "/approvers"),
        ({"name": "x", "approve_reverts": 1}, "/approve_reverts"),
        ({"name": "x", "tokens_deploy": "no"}, "/tokens_deploy"),
        ({"name": "x", "tokens_deploy": None}, "/tokens_deploy"),
        ({"name": "x", "wait_hours": 0}, "/wait_hours"),
        ({"name": "x", "wait_hours": 721}, "/wait_hours"),
        ({"name": "x", "default_strategy": {"canary": -1}}, "/default_strategy/canary"),
        ({"name": "x", "default_strategy": {"batches": 2}}, "/default_strategy/batches"),
        ({"name": "x", "default_strategy": "20%"}, "/default_strategy"),
    ],
)
def test_wrong_values_name_their_field(admin, body, pointer):
    answer = admin.post(ENVIRONMENTS, body)
    assert answer.status_code == 422, answer.json()
    assert answer.json()["errors"][0]["pointer"] == pointer and not Environment.objects.exists()


def test_no_environment_requires_itself(admin, two):
    staging, production = two
    for number, code in ((production, "requires_circle"), (staging, "requires_itself")):
        answer = admin.patch(f"{ENVIRONMENTS}{staging}", {"requires_id": number})
        error = answer.json()["errors"][0]
        assert (answer.status_code, error["pointer"], error["code"]) == (422, "/requires_id", code)
    third = admin.post(ENVIRONMENTS, {"name": "abroad", "requires_id": production}).json()["id"]
    assert admin.patch(f"{ENVIRONMENTS}{staging}", {"requires_id": third}).status_code == 422
    assert admin.patch(f"{ENVIRONMENTS}{third}", {"requires_id": staging}).status_code == 200


def test_name_is_taken_once_and_only_administrators_change(api, admin):
    for status in (201, 409):
        assert admin.post(ENVIRONMENTS, {"name": "staging"}).status_code == status
    bob = api("read", "deploy", name="bob")
    assert bob.post(ENVIRONMENTS, {"name": "x"}).status_code == 403
    assert [row["name"] for row in bob.get(ENVIRONMENTS).json()["data"]] == ["staging"]


def test_one_in_use_stays(admin, two):
    staging, production = two
    refused = admin.delete(f"{ENVIRONMENTS}{staging}")
    assert (refused.status_code, refused.json()["code"]) == (409, "environment_in_use")
    host = factories.hosts()[0]
    admin.patch(f"/hosts/{host.pk}", {"environment_id": production})
    refused = admin.delete(f"{ENVIRONMENTS}{production}").json()
    assert refused["detail"] == "1 host is in production."
    admin.post(f"/hosts/{host.pk}/archive", {"reason": "it is gone"})
    assert admin.delete(f"{ENVIRONMENTS}{production}").status_code == 204
    assert Asset.every.get().environment is None


def test_a_host_is_in_one(admin, two):
    staging, production = two
    made = admin.post("/hosts/", {"hostname": "web1", "ip": "10.0.0.1", "environment_id": staging}).json()
    assert (made["environment_id"], made["environment"]) == (staging, "staging")
    since = Asset.objects.get().environment_since
    where = f"/hosts/{made['id']}"
    assert admin.patch(where, {"environment_id": staging}).json()["environment"] == "staging"
    assert Asset.objects.get().environment_since == since, "it stayed where it was"
    assert admin.patch(where, {"environment_id": production}).json()["environment"] == "production"
    assert Asset.objects.get().environment_since > since
    for query, found in (("environment=production", ["web1"]), ("environment=staging", [])):
        assert [row["hostname"] for row in admin.get(f"/hosts/?{query}").json()["data"]] == found
    left = admin.patch(where, {"environment_id": None}).json()
    assert (left["environment_id"], left["environment"]) == (None, None)
    assert Asset.objects.get().environment_since is None
    for number in (9999, 0):
        answer = admin.patch(where, {"environment_id": number})
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/environment_id")
    changes = History.objects.filter(subject="host", action="change").order_by("pk").values_list("after", flat=True)
    assert list(changes) == [{"environment_id": production}, {"environment_id": None}]


def test_a_host_stays_while_something_is_deployed_to_it(admin, two, shop):
    staging, production = two
    first, second = (row.host_id for row in shop.instances[:2])
    shop.instances[0].locked = True
    shop.instances[0].save()
    refused = admin.patch(f"/hosts/{first}", {"environment_id": staging})
    assert (refused.status_code, refused.json()["code"]) == (409, "host_in_use")
    refused = admin.post(f"{ENVIRONMENTS}{production}/hosts", {"host": [first, second]})
    assert (refused.status_code, refused.json()["errors"][0]["params"]) == (
        409,
        {"host": shop.instances[0].host.hostname},
    )
    assert not Asset.objects.exclude(environment=None).exists()
    assert admin.patch(f"/hosts/{first}", {"description": "still here"}).status_code == 200


def test_many_hosts_come_into_one_at_once(admin, two, django_assert_num_queries):
    staging, _production = two
    rows = factories.hosts(6)
    Asset.objects.filter(pk__in=[row.pk for row in rows[:4]]).update(labels={"zone": "eu"})
    admin.post("/host-groups/", {"name": "europe", "labels": {"zone": "eu"}})
    where = f"{ENVIRONMENTS}{staging}/hosts"
    for body, count in (
        ({"labels": {"zone": "eu"}}, 4),
        ({"group": "europe"}, 0),
        ({"host": [rows[4].pk, rows[5].hostname]}, 2),
        ({"host": "all"}, 0),
    ):
        assert admin.post(where, body).json()["count"] == count, body
    assert Asset.objects.filter(environment=staging, environment_since__isnull=False).count() == 6
    assert History.objects.filter(subject="host", after={"environment_id": staging}).count() == 6
    for body, pointer in (
        ({}, "/host"),
        ({"labels": {}}, "/labels"),
        ({"labels": {"zone": "us"}}, "/labels"),
        ({"group": "asia"}, "/group"),
        ({"host": [9999]}, "/host"),
        ({"host": "all", "group": "europe"}, "/host"),
    ):
        answer = admin.post(where, body)
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer), body


def test_hosts_are_imported_into_one_by_its_name(admin, two):
    rows = "hostname,ip,environment\nweb1,10.0.0.1,staging\nweb2,10.0.0.2,\n"
    made = admin.post("/hosts/import", rows.encode(), content_type="text/csv")
    assert [row["environment"] for row in made.json()["data"]] == ["staging", None]
    assert Asset.objects.get(hostname="web1").environment_since
    again = admin.post("/hosts/import", rows.encode(), content_type="text/csv")
    assert again.json()["unchanged"] == 2
    wrong = admin.post("/hosts/import", [{"hostname": "web3", "ip": "10.0.0.3", "environment": "nowhere"}])
    assert (wrong.status_code, wrong.json()["errors"][0]["pointer"]) == (422, "/0/environment")
    differs = admin.post("/hosts/import", [{"hostname": "web1", "ip": "10.0.0.1", "environment": "production"}])
    assert differs.status_code == 422


def test_what_may_go_there_is_listed(admin, two, shop):
    _staging, _production = two
    where = f"/services/shop/versions/{shop.versions[1].pk}/upgrade"
    for query, enabled in (("", [True, True, False, False]), ("?environment=production", [False] * 4)):
        rows = admin.get(f"{where}{query}").json()["data"]
        assert [row["enable"] for row in rows] == enabled, query
    assert rows[0]["reason"] == "4.0 cannot go to production yet: it has not run in staging."
    assert admin.get(f"{where}?environment=nowhere").status_code == 422


def test_a_refusal_says_what_is_missing(admin, two, shop):
    _staging, production = two
    Asset.objects.update(environment=production)
    for body in ({"version": "4.0", "host": "all"}, {"version": "4.0", "host": "all", "dry_run": True}):
        answer = admin.post("/services/shop/deploy", body)
        problem = answer.json()
        assert (answer.status_code, problem["code"], problem["errors"][0]["pointer"]) == (
            409,
            "not_promoted",
            "/version",
        )
        assert problem["detail"] == "4.0 cannot go to production yet: it has not run in staging."
        assert problem["hint"] == "Deploy it to staging first."


@pytest.mark.parametrize("name", ["\0", "\ud800", "x" * 10_000, "nowhere", " ", "staging "])
def test_a_name_that_no_environment_can_have_is_not_found(admin, two, shop, name):
    answer = admin.post("/services/shop/deploy", {"version": "4.0", "host": "all", "environment": name})
    assert answer.status_code in (400, 422), answer.json()
    for path in ("/hosts/", "/services/shop/instances/", "/deployments/"):
        found = admin.get(f"{path}?environment={quote(name.encode('utf-8', 'surrogatepass'))}")
        assert found.status_code in (400, 422) or found.json()["data"] == [], (path, found.content)


def test_callbacks_and_lists_of_deployments_say_where(admin, two, shop):
    staging, _production = two
    Asset.objects.update(environment=staging)
    made = admin.post("/services/shop/deploy", {"version": "4.0", "host": "all"}).json()
    assert made["environment"] == "staging"
    for query, found in (("environment=staging", [made["id"]]), ("environment=production", [])):
        assert [row["id"] for row in admin.get(f"/deployments/?{query}").json()["data"]] == found
    deployment = Deployment.objects.select_related("microservice", "environment").get()
    assert notify._deployment_data(deployment)["environment"] == "staging"
    history = admin.get("/history/?action=deploy").json()["data"][0]
    assert history["after"]["environment_id"] == staging
