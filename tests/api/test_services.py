"""Services through the API."""

import pytest

from asset.models import Environment
from asset.strategy import Strategy
from audit.models import History
from microservice.models import MicroService
from microservice.status import DeploymentStatus, OperationStatus
from tests import factories

pytestmark = pytest.mark.django_db


def test_only_a_name_is_required(api):
    answer = api().post("/services/", {"name": "shop"})
    assert answer.status_code == 201
    assert answer["Location"] == f"/api/v1/services/{answer.json()['id']}"
    body = answer.json()
    assert (body["name"], body["language"], body["build_orig"], body["keep_releases"]) == ("shop", "other", "git", 3)
    assert body["created"].endswith("Z")
    assert body["created_by"] == "ann"


def test_returns_every_field(api):
    fields = {
        "name": "shop",
        "language": "go",
        "build_orig": "gitlab",
        "build_url": "https://git.example/shop",
        "build_command": "make\nmake pack",
        "description": "it sells",
        "start_command": "./run &",
        "stop_command": "kill $(cat pid)",
        "check_command": "curl -f localhost",
        "check_timeout": 5,
        "environment": {"COLOR": "blue"},
        "pre_command": "drain",
        "pre_undo_command": "undrain",
        "post_command": "undrain",
        "post_undo_command": "drain",
        "keep_releases": 5,
        "limits": {},
        "steps": [{"name": "migrate", "before": "link", "run": "./migrate up", "undo": "./migrate down"}],
        "auto_deploy_tag": "staging",
        "auto_deploy_environment": "staging",
        "auto_deploy_refs": ["main", "release/*"],
        "auto_deploy_strategy": Strategy(canary=1).to_json(),
    }
    environment = Environment.objects.create(name="staging")
    made = api().post("/services/", fields)
    assert made.status_code == 201, made.content
    read = api().get("/services/shop").json()
    assert {name: read[name] for name in fields} == fields
    assert History.objects.get(action="create").after["auto_deploy_environment"] == "staging"
    for value, name in ((None, None), (environment.pk, "staging")):
        changed = api().patch("/services/shop", {"auto_deploy_environment": value}).json()
        assert changed["auto_deploy_environment"] == name
    refused = api().delete(f"/environments/{environment.pk}")
    assert (refused.status_code, refused.json()["code"]) == (409, "environment_in_use")
    assert "shop" in refused.json()["detail"]


def test_finds_a_service_by_id_and_name(api):
    service = factories.service("shop")
    for path in (f"/services/{service.pk}", f"/services/{service.pk}/", "/services/shop", "/services/shop/"):
        assert api().get(path).json()["id"] == service.pk


def test_does_not_redirect_a_post_without_slash(api):
    assert api().post("/services", {"name": "shop"}).status_code == 201


@pytest.mark.parametrize(
    "name",
    [
        "",
        "123",
        "-shop",
        "sh op",
        "shop/1",
        "a" * 65,
        "shop\n",
        "shöp",
        "../x",
        ".hidden",
        "$(id)",
        "a;b",
        "a\tb",
        "٣shop",
        "shop\u202e",
    ],
)
def test_rejects_invalid_names(api, name):
    answer = api().post("/services/", {"name": name})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/name"
    assert not MicroService.objects.exists()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("language", "cobol"),
        ("build_orig", "svn"),
        ("build_url", "x" * 501),
        ("description", "x" * 257),
        ("description", "a\nb"),
        ("check_timeout", 0),
        ("check_timeout", 10**30),
        ("check_timeout", "60"),
        ("check_timeout", True),
        ("keep_releases", 0),
        ("keep_releases", -1),
        ("environment", []),
        ("steps", {}),
        ("start_command", "a\rb"),
        ("start_command", "x" * 16385),
        ("start_command", "\u001b[2J"),
        ("limits", "x"),
        ("language", None),
        ("name", 7),
        ("auto_deploy_tag", "x" * 65),
        ("auto_deploy_environment", "nowhere"),
        ("auto_deploy_environment", ""),
        ("auto_deploy_environment", 10**30),
        ("auto_deploy_environment", "a\0b"),
        ("auto_deploy_refs", ["a b"]),
        ("auto_deploy_refs", [1]),
        ("nonsense", 1),
        ("team", "web"),
        ("steps", [{"name": "a b", "before": "nowhere", "run": ""}]),
        ("environment", {"A=B": "c"}),
        ("limits", {"nonsense": 1}),
    ],
)
def test_points_at_invalid_fields(api, field, value):
    answer = api().post("/services/", {"name": "shop", field: value})
    assert answer.status_code == 422, answer.content
    assert answer.json()["errors"][0]["pointer"].startswith(f"/{field}")
    assert not MicroService.objects.exists()


def test_taken_names_are_conflicts(api):
    factories.service("shop")
    answer = api().post("/services/", {"name": "shop"})
    assert (answer.status_code, answer.json()["code"]) == (409, "service_exists")


def test_changes_only_named_fields(api):
    factories.service("shop", description="old", start_command="run")
    answer = api(name="bob").patch("/services/shop", {"description": "new"})
    assert (answer.status_code, answer.json()["description"], answer.json()["start_command"]) == (200, "new", "run")
    assert answer.json()["updated_by"] == "bob"
    row = History.objects.get(action="change")
    assert (row.actor, row.before, row.after) == ("bob", {"description": "old"}, {"description": "new"})


def test_name_is_fixed_with_versions(api):
    service = factories.service("shop")
    assert api().patch("/services/shop", {"name": "store"}).status_code == 200
    factories.versions(service, 1)
    assert api().patch("/services/store", {"name": "shop"}).json()["code"] == "service_name_locked"


def test_refuses_to_delete_with_instances(api):
    service = factories.service()
    factories.instances(factories.versions(service)[0], factories.hosts())
    answer = api().delete(f"/services/{service.pk}")
    assert (answer.status_code, answer.json()["code"]) == (409, "service_in_use")


def test_deletes_a_service_and_keeps_its_history(api):
    service = factories.service()
    versions = factories.versions(service)
    instances = factories.instances(versions[0], factories.hosts())
    factories.deployment(instances, versions[1], DeploymentStatus.SUCCEEDED, OperationStatus.SUCCEEDED)
    instances[0].delete()
    assert api().delete("/services/shop").status_code == 204
    assert api().get("/services/shop").status_code == 404
    assert History.objects.get(action="delete").subject_name == "shop"


def test_paginates_with_constant_queries(api, django_assert_num_queries):
    names = [f"s{number:03}" for number in range(120)]
    MicroService.objects.bulk_create(MicroService(name=name) for name in names)
    caller, seen, cursor = api(), [], ""
    caller.get("/services/")
    for rows in (50, 50, 20):
        with django_assert_num_queries(3):  # the token, the count, the page
            page = caller.get(f"/services/?cursor={cursor}").json()
        assert (len(page["data"]), page["count"], page["code"]) == (rows, 120, 0)
        seen += [row["name"] for row in page["data"]]
        cursor = page["next"] or ""
    assert seen == names
    assert page["next"] is None


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=501",
        "limit=x",
        "limit=-1",
        "cursor=x",
        "cursor=%00",
        "cursor=WyItaWQiLDFd",
        "cursor=" + "A" * 399,
        "cursor=WyJuYW1lIixbXV0",
        "cursor=%F0%9F%92%A9",
    ],
)
def test_rejects_invalid_pages(api, query):
    assert api().get(f"/services/?{query}").status_code == 422


def test_scoped_tokens_see_only_their_services(api):
    mine, other = factories.service("mine"), factories.service("other")
    caller = api(services=[mine.pk])
    assert [row["name"] for row in caller.get("/services/").json()["data"]] == ["mine"]
    assert caller.get("/services/mine").status_code == 200
    for answer in (
        caller.get("/services/other"),
        caller.patch(f"/services/{other.pk}", {"description": "x"}),
        caller.delete("/services/other"),
        caller.post("/services/other/versions/", {"version": "1"}),
    ):
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert caller.post("/services/", {"name": "third"}).status_code == 403


@pytest.mark.parametrize("which", ["nosuch", "999999", "9" * 30])
def test_unknown_service_is_not_found(api, which):
    assert api().get(f"/services/{which}").status_code == 404


@pytest.mark.parametrize("which", ["%00", "a%00b", "-x", "%20", "a%0ab", "x" * 65, "%ff"])
def test_rejects_invalid_service_ids(api, which):
    assert api().get(f"/services/{which}").status_code in (404, 422)
