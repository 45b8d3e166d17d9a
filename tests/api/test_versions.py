"""Versions through the API."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connections
from django.test.client import BOUNDARY, MULTIPART_CONTENT, encode_multipart

from audit.models import History
from microservice.models import MicroServiceVersion
from microservice.status import BuildStatus
from tests import factories
from tests.api.archives import GOOD

pytestmark = pytest.mark.django_db


@pytest.fixture
def shop(db):
    return factories.service("shop")


def test_creates_a_pending_version(api, shop):
    answer = api("publish", "read").post("/services/shop/versions/", {"version": "20261121-master-abc123"})
    assert answer.status_code == 201
    body = answer.json()
    assert answer["Location"] == f"/api/v1/services/{shop.pk}/versions/{body['id']}"
    assert (body["status"], body["status_str"], body["ref"], body["instances"]) == (0, "pending", "master", 0)
    assert api().get(f"/services/shop/versions/{body['id']}").json() == body


def test_creating_again_is_equal(api, shop):
    body = {"version": "1.0", "ref": "dev", "description": "first", "status": "building"}
    first = api().post("/services/shop/versions/", body)
    again = api().post("/services/shop/versions/", body)
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()
    assert again["Location"] == first["Location"]


def test_creating_again_after_a_build_is_equal(api, shop):
    first = api().post("/services/shop/versions/", {"version": "1.0"}).json()
    api().patch(f"/services/shop/versions/{first['id']}", {"status": "success"})
    again = api().post("/services/shop/versions/", {"version": "1.0"})
    assert (again.status_code, again.json()["status_str"]) == (200, "success")


@pytest.mark.parametrize("other", [{"ref": "dev"}, {"description": "x"}, {"status": 4}])
def test_other_content_is_a_conflict(api, shop, other):
    api().post("/services/shop/versions/", {"version": "1.0", "status": "success"})
    answer = api().post("/services/shop/versions/", {"version": "1.0", "status": "success"} | other)
    assert (answer.status_code, answer.json()["code"]) == (409, "version_exists")
    assert answer.json()["errors"][0]["pointer"] == "/" + next(iter(other))


@pytest.mark.parametrize(
    "name",
    [
        "",
        "a/b",
        "a" * 129,
        "-1",
        "1 0",
        "1\n",
        "$(id)",
        "../../etc",
        "ü",
        "1;x",
        "'",
        "1\u0000",
    ],
)
def test_rejects_invalid_names(api, shop, name):
    answer = api().post("/services/shop/versions/", {"version": name})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/version"
    assert not MicroServiceVersion.objects.exists()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("status", "great"),
        ("status", 9),
        ("status", True),
        ("status", None),
        ("status", 1.5),
        ("ref", ""),
        ("ref", "x" * 251),
        ("ref", "a\nb"),
        ("description", "x" * 257),
        ("file_path", "shop/1.0.tar.gz"),
        ("file_path", ""),
        ("bad", True),
    ],
)
def test_points_at_invalid_fields(api, shop, field, value):
    answer = api().post("/services/shop/versions/", {"version": "1.0", field: value})
    assert answer.status_code == 422, answer.content
    assert answer.json()["errors"][0]["pointer"].startswith(f"/{field}")


@pytest.mark.parametrize("status", ["success", 2, "2"])
def test_status_may_be_number_or_word(api, shop, status):
    answer = api().post("/services/shop/versions/", {"version": "1.0", "status": status})
    assert answer.json()["status"] == 2


ALLOWED = {
    ("pending", "building"),
    ("pending", "success"),
    ("pending", "timeout"),
    ("pending", "failed"),
    ("pending", "duplicate"),
    ("building", "success"),
    ("building", "timeout"),
    ("building", "failed"),
    ("building", "duplicate"),
}


@pytest.mark.parametrize("old", BuildStatus)
@pytest.mark.parametrize("new", BuildStatus)
def test_builds_only_move_forward(api, shop, old, new):
    version = factories.versions(shop, 1, old)[0]
    answer = api().patch(f"/services/shop/versions/{version.pk}", {"status": new.label})
    moved = old == new or (old.label, new.label) in ALLOWED
    assert answer.status_code == (200 if moved else 409)
    version.refresh_from_db()
    assert version.status == (new if moved else old)


@pytest.mark.parametrize("path", ["red/1.0.tar.gz", "shop/1.0.tar.gz", ".incoming/x", ""])
def test_no_field_names_a_stored_object(api, shop, path):
    """A caller who could name one could read, claim or remove another team's package."""
    version = factories.versions(shop, 1, BuildStatus.PENDING)[0]
    before = version.file_path
    body = {"version": "2.0", "status": "success", "file_path": path}
    form = encode_multipart(
        BOUNDARY, {"version": "2.0", "file_path": path, "package": SimpleUploadedFile("p.tar.gz", GOOD)}
    )
    for answer in (
        api().post("/services/shop/versions/", body),
        api().post("/services/shop/versions/", form, content_type=MULTIPART_CONTENT),
        api().patch(f"/services/shop/versions/{version.pk}", {"file_path": path, "status": "success"}),
    ):
        assert answer.status_code == 422, answer.content
        assert [error["pointer"] for error in answer.json()["errors"]] == ["/file_path"]
        assert "PUT" in answer.json()["hint"]
    version.refresh_from_db()
    assert version.file_path == before and MicroServiceVersion.objects.count() == 1


def test_marks_versions_bad_and_good(api, shop):
    version = factories.versions(shop, 1)[0]
    path = f"/services/shop/versions/{version.pk}"
    assert api().patch(path, {"bad": True, "bad_reason": "leaks"}).json()["bad_reason"] == "leaks"
    assert History.objects.get(action="change").reason == "leaks"
    assert api().patch(path, {"bad": False}).json()["bad_reason"] == ""


def test_filters_by_status_and_ref(api, shop, django_assert_num_queries):
    factories.versions(shop, 2)
    factories.versions(shop, 1, BuildStatus.FAILED)
    MicroServiceVersion.objects.filter(version="1.0").update(ref="dev")
    names = lambda query: [row["version"] for row in api().get(f"/services/shop/versions/?{query}").json()["data"]]
    assert names("") == ["3.0", "2.0", "1.0"]
    assert names("status=success") == names("status=2") == ["2.0", "1.0"]
    assert names("ref=dev") == ["1.0"]
    assert api().get("/services/shop/versions/?status=nonsense").status_code == 422
    caller = api()
    caller.get("/services/")
    with django_assert_num_queries(5):  # the token, the service, the count, the page, the instances
        caller.get("/services/shop/versions/")


def test_counts_instances_of_a_version(api, shop):
    one, two, _ = factories.versions(shop)
    factories.instances(one, factories.hosts(2))
    factories.instances(two, factories.hosts(1))
    counts = {row["version"]: row["instances"] for row in api().get("/services/shop/versions/").json()["data"]}
    assert counts == {"1.0": 2, "2.0": 1, "3.0": 0}
    assert api().get(f"/services/shop/versions/{one.pk}").json()["instances"] == 2


def test_version_of_another_service_is_not_found(api, shop):
    foreign = factories.versions(factories.service("other"), 1)[0]
    for answer in (
        api().get(f"/services/shop/versions/{foreign.pk}"),
        api().patch(f"/services/shop/versions/{foreign.pk}", {"bad": True}),
        api().put(f"/services/shop/versions/{foreign.pk}/package", b"x"),
    ):
        assert answer.status_code == 404


@pytest.mark.parametrize("which", ["0", "-1", "x", "9" * 30, "1.5", "%00", "1%00"])
def test_rejects_invalid_version_ids(api, shop, which):
    assert api().get(f"/services/shop/versions/{which}").status_code in (404, 422)


def test_reports_missing_build_server(api, shop):
    version = factories.versions(shop, 1, BuildStatus.PENDING)[0]
    answer = api().post(f"/services/shop/versions/{version.pk}/build")
    assert (answer.status_code, answer.json()["code"]) == (409, "not_configured")


@pytest.mark.django_db(transaction=True)
def test_concurrent_pipelines_create_one_version(api, transactional_db):
    factories.service("shop")
    caller = api()

    def post(number):
        try:
            return caller.post("/services/shop/versions/", {"version": "1.0"}).status_code
        finally:
            connections.close_all()

    with ThreadPoolExecutor(10) as pool:
        statuses = sorted(pool.map(post, range(20)))
    assert statuses == [200] * 19 + [201]
    assert MicroServiceVersion.objects.count() == 1
