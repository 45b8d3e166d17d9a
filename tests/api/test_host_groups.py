"""Host groups, and choosing hosts by labels and groups."""

import pytest

from asset.models import HostGroup
from audit.models import History
from tests.api.addresses import unchanged

pytestmark = pytest.mark.django_db
GROUPS = "/host-groups/"


@pytest.fixture
def labelled(shop):
    for row, zone in zip(shop.instances, ("eu", "eu", "us"), strict=True):
        row.host.labels = {"zone": zone}
        row.host.save()
    return shop


def test_created_changed_and_deleted(api):
    admin = api()
    made = admin.post(GROUPS, {"name": "europe", "labels": {"zone": "eu"}})
    body = made.json()
    assert made.status_code == 201 and made["Location"] == f"/api/v1/host-groups/{body['id']}"
    where = f"{GROUPS}{body['id']}"
    assert admin.get(GROUPS).json()["data"] == [admin.get(where).json()] == [body]
    changed = admin.patch(where, {"labels": {"zone": "eu", "canary": None}, "description": "those we try first"})
    assert changed.json()["labels"] == {"zone": "eu", "canary": None}
    assert admin.delete(where).status_code == 204 and not HostGroup.objects.exists()
    assert list(History.objects.order_by("pk").values_list("action", "subject")) == [
        ("create", "host_group"),
        ("change", "host_group"),
        ("delete", "host_group"),
    ]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"labels": {"zone": "eu"}}, "/name"),
        ({"name": "x"}, "/labels"),
        ({"name": "", "labels": {"zone": "eu"}}, "/name"),
        ({"name": " x", "labels": {"zone": "eu"}}, "/name"),
        ({"name": "x" * 65, "labels": {"zone": "eu"}}, "/name"),
        ({"name": "x\n", "labels": {"zone": "eu"}}, "/name"),
        ({"name": "x", "labels": {}}, "/labels"),
        ({"name": "x", "labels": {"zone": 1}}, "/labels"),
        ({"name": "x", "labels": {"-": "eu"}}, "/labels"),
        ({"name": "x", "labels": "zone=eu"}, "/labels"),
        ({"name": "x", "labels": {"zone": "eu"}, "description": "x" * 257}, "/description"),
        ({"name": "x", "labels": {"zone": "eu"}, "hosts": [1]}, "/hosts"),
    ],
)
def test_wrong_values_name_their_field(api, body, pointer):
    answer = api().post(GROUPS, body)
    assert answer.status_code == 422, answer.json()
    assert answer.json()["errors"][0]["pointer"] == pointer and not HostGroup.objects.exists()


def test_name_is_taken_once(api):
    admin = api()
    for status in (201, 409):
        assert admin.post(GROUPS, {"name": "europe", "labels": {"zone": "eu"}}).status_code == status
    assert api("deploy", name="bob").post(GROUPS, {"name": "x", "labels": {"a": "b"}}).status_code == 403


def test_hosts_are_listed_by_label_and_group(api, labelled):
    admin = api()
    admin.post(GROUPS, {"name": "europe", "labels": {"zone": "eu"}})
    europe = {row.host_id for row in labelled.instances[:2]}
    for query in ("label=zone%3Deu", "group=europe"):
        assert {row["id"] for row in admin.get(f"/hosts/?{query}").json()["data"]} == europe
    for query, pointer in (("label=%3D", "/query/label"), ("group=asia", "/query/group")):
        answer = admin.get(f"/hosts/?{query}")
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer)


def test_instances_are_listed_by_label_and_group_of_their_hosts(api, labelled):
    admin = api()
    admin.post(GROUPS, {"name": "europe", "labels": {"zone": "eu"}})
    europe = [row.pk for row in labelled.instances[:2]]
    for query, found in (
        ("label=zone%3Deu", europe),
        ("group=europe", europe),
        ("label=zone%3Dus&group=europe", []),
        ("label=zone&status=running", [row.pk for row in labelled.instances]),
    ):
        assert [row["id"] for row in admin.get(f"/services/shop/instances/?{query}").json()["data"]] == found, query
    answer = admin.get("/services/shop/instances/?group=asia")
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/query/group")


def test_an_upgrade_by_label_takes_what_runs_its_version(api, labelled):
    """As with all: what runs another version is not meant, and is not reported."""
    first = labelled.instances[0]
    first.version = labelled.versions[2]
    first.save()
    where = f"/services/shop/versions/{labelled.versions[1].pk}/upgrade"
    body = {"dest_version": labelled.versions[3].pk, "labels": {"zone": "eu"}}
    made = api("deploy").post(where, body).json()
    assert (made["counts"]["queued"], made["skipped"]) == (1, []), made


@pytest.mark.parametrize("where", [{"labels": {"zone": "eu"}}, {"group": "europe"}])
def test_deploys_where_the_labels_are(api, labelled, where):
    api().post(GROUPS, {"name": "europe", "labels": {"zone": "eu"}})
    body = api("deploy", name="bob").post("/services/shop/deploy", {"version": "3.0", **where}).json()
    assert body["counts"]["queued"] == 2, body


def test_locked_hosts_with_the_label_are_skipped_as_with_all(api, labelled):
    first = labelled.instances[0]
    first.locked = True
    first.save()
    body = api("deploy").post("/services/shop/deploy", {"version": "3.0", "labels": {"zone": "eu"}}).json()
    assert body["counts"]["queued"] == 1 and [row["code"] for row in body["skipped"]] == ["instance_locked"]


@pytest.mark.parametrize(
    ("where", "pointer"),
    [
        ({"labels": {"zone": "asia"}}, "/labels"),
        ({"labels": {}}, "/labels"),
        ({"group": "asia"}, "/group"),
        ({"group": ""}, "/group"),
        ({"labels": {"zone": "eu"}, "host": "all"}, "/host"),
        ({"labels": {"zone": "eu"}, "group": "europe"}, "/labels"),
    ],
)
def test_nothing_is_never_everything(api, labelled, where, pointer):
    answer = api("deploy").post("/services/shop/deploy", {"version": "3.0", **where})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer)
    assert unchanged()
