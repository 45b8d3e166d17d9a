"""Instances, and the requests that change what runs, through the API."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from audit.models import History
from microservice.models import Deployment, MicroServiceInstance
from microservice.status import BuildStatus, InstanceStatus
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def shop():
    """A service with four versions, of which three hosts run the second."""
    service = factories.service()
    versions = factories.versions(service, 4)
    return factories.Shop(service, versions, factories.instances(versions[1], factories.hosts(3), port=8000))


def of(shop, rest=""):
    return f"/services/{shop.service.name}/instances/{rest}"


def going(shop, action="upgrade", version=1):
    return f"/services/shop/versions/{shop.versions[version].pk}/{action}"


def unchanged():
    return not Deployment.objects.exists() and not MicroServiceInstance.objects.filter(locked=True).exists()


# --- lists ------------------------------------------------------------------------------------------------------------


def test_returns_an_instance(api, shop):
    _, versions, (one, *_) = shop
    found = api().get(of(shop)).json()
    assert (found["count"], found["code"], len(found["data"])) == (3, 0, 3)
    shown = found["data"][0]
    expected = {
        "id": one.pk,
        "name": "shop",
        "language": "other",
        "version": "2.0",
        "version_id": versions[1].pk,
        "host": f"{one.host.hostname}:{one.host.ip}",
        "host_id": one.host_id,
        "port": 8000,
        "tag": "",
        "weight": 100,
        "description": "",
        "status": 0,
        "status_str": "running",
        "locked": False,
        "locked_by": None,
        "is_maintain": False,
    }
    assert {name: shown[name] for name in expected} == expected
    assert api().get(of(shop, one.pk)).json() == shown


def test_filters_take_numbers_words_and_both_forms_of_yes(api, shop):
    _, versions, (one, two, three) = shop
    deployment = factories.deployment([two], versions[2])
    MicroServiceInstance.objects.filter(pk=two.pk).update(
        locked=True, lock_deployment=deployment, status=InstanceStatus.UPGRADING, version=versions[0]
    )
    for query, expected in [
        ("locked=1", [two]),
        ("locked=true", [two]),
        ("locked=0", [one, three]),
        ("locked=false", [one, three]),
        ("status=2", [two]),
        ("status=upgrading", [two]),
        ("status=0", [one, three]),
        (f"version_id={versions[0].pk}", [two]),
        (f"host={one.host_id}", [one]),
        (f"host={one.host.hostname}", [one]),
        (f"host={three.host.ip}", [three]),
        ("host=nowhere", []),
        ("locked=1&status=running", []),
    ]:
        found = api("read").get(of(shop, "?" + query)).json()
        assert [row["id"] for row in found["data"]] == [row.pk for row in expected], query
        assert found["count"] == len(expected)


@pytest.mark.parametrize(
    "query",
    [
        "locked=2",
        "locked=yes;x",
        "status=99",
        "status=flying",
        "version_id=x",
        "version_id=0",
        "limit=0",
        "limit=501",
        "cursor=%00",
        "cursor=AAAA",
    ],
)
def test_a_filter_that_means_nothing_is_refused(api, shop, query):
    answer = api().get(of(shop, "?" + query))
    assert answer.status_code == 422 and answer["Content-Type"] == "application/problem+json"
    assert answer.json()["errors"][0]["pointer"].startswith("/query")


def test_who_holds_a_lock_is_named(api, shop):
    _, versions, (one, *_) = shop
    deployment = factories.deployment([one], versions[2])
    MicroServiceInstance.objects.filter(pk=one.pk).update(
        locked=True, lock_deployment=deployment, locked_since=deployment.created
    )
    shown = api().get(of(shop, one.pk)).json()
    assert shown["locked"] is True and shown["lock_deployment_id"] == deployment.pk
    assert shown["locked_by"].startswith(f"somebody, deployment {deployment.pk}, since 20")


def test_list_has_constant_queries(api, shop):
    def cost(limit):
        with CaptureQueriesContext(
            connection,
        ) as queries:
            found = caller.get(of(shop, f"?limit={limit}")).json()
        return len(queries), len(found["data"])

    caller = api()
    caller.get(of(shop))
    factories.instances(shop.versions[0], factories.hosts(40))
    assert cost(1)[0] == cost(43)[0]
    assert cost(43)[1] == 43


def test_pages_hold_each_row_once(api, shop):
    factories.instances(shop.versions[0], factories.hosts(9))
    seen, cursor = [], ""
    while cursor is not None:
        page = api().get(of(shop, f"?limit=5&cursor={cursor}")).json()
        seen += [row["id"] for row in page["data"]]
        cursor = page["next"]
    assert len(seen) == len(set(seen)) == 12


def test_another_services_instance_is_not_there(api, shop):
    other = factories.instances(factories.versions(factories.service("other"), 1)[0], factories.hosts(1))[0]
    assert api().get(of(shop, other.pk)).status_code == 404
    assert api().patch(of(shop, other.pk), {"port": 1}).status_code == 404
    assert api().post(of(shop, f"{other.pk}/unlock"), {"reason": "x"}).status_code == 404
    only = api(services=[other.microservice_id])
    assert only.get(of(shop)).status_code == 404
    assert only.get("/services/other/instances").json()["count"] == 1


# --- changes by hand --------------------------------------------------------------------------------------------------


def test_what_people_may_change_is_changed_and_written_down(api, shop):
    one = shop.instances[0]
    answer = api().patch(
        of(shop, one.pk), {"port": 9000, "tag": "blue", "weight": 5, "is_maintain": True, "description": "x"}
    )
    assert answer.status_code == 200, answer.content
    one.refresh_from_db()
    assert (one.port, one.tag, one.weight, one.is_maintain, one.description) == (9000, "blue", 5, True, "x")
    assert one.updated_by == "ann" == answer.json()["updated_by"]
    row = History.objects.get(subject="instance")
    assert row.before["port"] == 8000 and row.after["port"] == 9000 and row.microservice == shop.service


@pytest.mark.parametrize(
    "body",
    [
        {"port": -1},
        {"port": 65536},
        {"port": "80"},
        {"port": True},
        {"weight": -1},
        {"weight": 10**9},
        {"tag": "x" * 65},
        {"is_maintain": 1},
        {"description": "x" * 257},
        {"description": "a\0b"},
        {"version": 1},
        {"locked": False},
        {"status": 0},
    ],
)
def test_a_change_that_is_wrong_changes_nothing(api, shop, body):
    before = MicroServiceInstance.objects.values().get(pk=shop.instances[0].pk)
    answer = api().patch(of(shop, shop.instances[0].pk), body)
    assert answer.status_code == 422, answer.content
    assert answer.json()["errors"][0]["pointer"] == "/" + next(iter(body))
    assert MicroServiceInstance.objects.values().get(pk=shop.instances[0].pk) == before


def test_limits_changes_during_an_operation(api, shop):
    _, versions, (one, *_) = shop
    MicroServiceInstance.objects.filter(pk=one.pk).update(
        locked=True, lock_deployment=factories.deployment([one], versions[2])
    )
    for body in ({"port": 1}, {"tag": "x"}, {"weight": 1}, {"description": "x", "port": 1}):
        answer = api().patch(of(shop, one.pk), body)
        assert (answer.status_code, answer.json()["code"]) == (409, "instance_locked")
    assert (
        api().patch(of(shop, one.pk), {"description": "stuck?", "is_maintain": True, "port": 8000}).status_code == 200
    )
    one.refresh_from_db()
    assert (one.port, one.tag, one.description, one.is_maintain) == (8000, "", "stuck?", True)


def test_breaking_a_lock_needs_a_reason_and_leaves_a_row(api, shop):
    _, versions, (one, *_) = shop
    api().post(going(shop), {"dest_version": versions[2].pk, "host": [one.host_id]})
    for body in ({}, {"reason": ""}, {"reason": "x" * 501}, {"reason": 5}):
        assert api().post(of(shop, f"{one.pk}/unlock"), body).status_code == 422
    answer = api().post(of(shop, f"{one.pk}/unlock"), {"reason": "the host is gone"})
    assert answer.status_code == 200 and answer.json()["locked"] is False
    assert History.objects.get(action="unlock").reason == "the host is gone"
    again = api().post(of(shop, f"{one.pk}/unlock"), {"reason": "twice"})
    assert (again.status_code, again.json()["code"]) == (409, "not_locked")


# --- requests ---------------------------------------------------------------------------------------------------------


def test_lists_target_versions(api, shop):
    _, versions, _ = shop
    factories.versions(shop.service, 1, BuildStatus.FAILED)
    up, down = (api("read").get(going(shop, action)).json() for action in ("upgrade", "revert"))
    assert [row["id"] for row in up["data"]] == [version.pk for version in reversed(versions)]
    assert [row["enable"] for row in up["data"]] == [True, True, False, False]
    assert [row["enable"] for row in down["data"]] == [False, False, False, True]
    assert (up["count"], up["code"]) == (4, 0)


@pytest.mark.parametrize("action", ["delete", "restart", "Upgrade", "rm -rf", "upgrade;x"])
def test_rejects_unknown_actions(api, shop, action):
    body = {"dest_version": shop.versions[2].pk, "host": "all"}
    for answer in (api().get(going(shop, action)), api().post(going(shop, action), body)):
        assert (answer.status_code, answer.json()["code"]) == (422, "unknown_action")
    assert unchanged()


def test_an_upgrade_is_accepted_with_the_deployments_address(api, shop):
    _, versions, _ = shop
    answer = api().post(going(shop), {"dest_version": versions[3].pk, "host": "all"})
    body = answer.json()
    assert answer.status_code == 202, body
    assert answer["Location"] == f"/api/v1/deployments/{body['id']}"
    assert (body["service"], body["action"], body["status"], body["requested_by"]) == (
        "shop",
        "upgrade",
        "queued",
        "ann",
    )
    assert (body["from_version"], body["dest_version"], body["dest_version_str"]) == (
        versions[1].pk,
        versions[3].pk,
        "4.0",
    )
    assert sum(body["counts"].values()) == 3 and set(body["counts"]) == {
        "pending",
        "queued",
        "running",
        "succeeded",
        "failed",
        "undone",
        "cancelled",
        "not_started",
        "unknown",
    }
    assert MicroServiceInstance.objects.filter(locked=True, lock_deployment=body["id"]).count() == 3


@pytest.mark.parametrize(
    "host", ["1;x", ",", "", "1,", "all,1", "-1", "0", [], [0], ["x"], None, True, {}, 1.5, [True], "１", "9" * 30]
)
def test_hosts_that_are_no_ids_are_refused(api, shop, host):
    answer = api().post(going(shop), {"dest_version": shop.versions[2].pk, "host": host})
    assert answer.status_code == 422 and unchanged(), answer.content
    assert answer.json()["errors"][0]["pointer"].startswith("/host")


@pytest.mark.parametrize(
    "change",
    [
        {"dest_version": 0},
        {"dest_version": "3"},
        {"dest_version": 10**12},
        {"dest_version": None},
        {"dest_version": 2**70},
        {"on_locked": "wait"},
        {"strategy": {"batch_size": 0}},
        {"strategy": {"colour": "red"}},
        {"strategy": []},
        {"plan_token": "nonsense"},
        {"force": "yes"},
        {"dry_run": 1},
        {"wheels": 4},
    ],
)
def test_a_request_that_is_wrong_locks_nothing(api, shop, change):
    answer = api().post(going(shop), {"dest_version": shop.versions[2].pk, "host": "all", **change})
    assert answer.status_code == 422 and unchanged(), answer.content


def test_only_json_is_taken(api, shop):
    form = f"dest_version={shop.versions[2].pk}&host=all".encode()
    answer = api().post(going(shop), form, content_type="application/x-www-form-urlencoded")
    assert answer.status_code == 415 and unchanged()
    assert api().post(going(shop), b"{not json").status_code == 400


def test_ids_may_come_as_a_text_or_a_list(api, shop):
    _, versions, (one, two, three) = shop
    first = api().post(going(shop), {"dest_version": versions[2].pk, "host": f"{one.host_id},{two.host_id}"})
    second = api().post(going(shop), {"dest_version": versions[2].pk, "host": [three.host_id]})
    assert (first.status_code, second.status_code) == (202, 202)
    assert sum(first.json()["counts"].values()) == 2


def test_refuses_or_skips_locked_instances(api, shop):
    _, versions, (one, *_) = shop
    asked = {"dest_version": versions[2].pk}
    assert api().post(going(shop), {**asked, "host": [one.host_id]}).status_code == 202
    named = api().post(going(shop), {**asked, "host": [one.host_id]})
    assert (named.status_code, named.json()["code"]) == (409, "instance_locked")
    everywhere = api().post(going(shop), {**asked, "host": "all"})
    assert everywhere.status_code == 202
    assert [one["instance_id"] for one in everywhere.json()["skipped"]] == [one.pk]
    assert "locked" in everywhere.json()["skipped"][0]["reason"]
    nothing = api().post(going(shop), {**asked, "host": "all"})
    assert (nothing.status_code, nothing.json()["code"]) == (409, "nothing_to_do")


def test_dry_run_of_an_upgrade(api, shop):
    _, versions, (one, *_) = shop
    asked = {"dest_version": versions[2].pk, "host": "all"}
    shown = api().post(going(shop), {**asked, "dry_run": True})
    assert shown.status_code == 200 and unchanged() and "Location" not in shown
    assert len(shown.json()["targets"]) == 3 and shown.json()["targets"][0]["steps"]
    api().patch(of(shop, one.pk), {"port": 9999})
    moved = api().post(going(shop), {**asked, "plan_token": shown.json()["plan_token"]})
    assert (moved.status_code, moved.json()["code"]) == (409, "plan_changed") and unchanged()
    again = api().post(going(shop), {**asked, "dry_run": True}).json()["plan_token"]
    assert api().post(going(shop), {**asked, "plan_token": again}).status_code == 202


def test_installs_on_hosts_without_the_service(api, shop):
    one = shop.instances[0]
    new = factories.hosts(2, prefix="new")
    answer = api().post(going(shop, "install"), {"host": [host.pk for host in new], "port": 8100, "tag": "blue"})
    assert answer.status_code == 202, answer.content
    assert (answer.json()["action"], answer.json()["from_version"]) == ("install", None)
    made = MicroServiceInstance.objects.filter(host__in=new)
    assert [(row.port, row.tag, row.version, row.locked) for row in made] == [(8100, "blue", None, True)] * 2
    taken = api().post(going(shop, "install"), {"host": [one.host_id]})
    assert taken.status_code == 409 and one.host.hostname in taken.json()["detail"]
    for host in ("all", "1;x", [10**9]):
        assert api().post(going(shop, "install"), {"host": host}).status_code == 422


def test_dry_run_of_an_install(api, shop):
    new = factories.hosts(2, prefix="new")
    asked = {"host": [host.pk for host in new], "port": 8100}
    shown = api().post(going(shop, "install"), {**asked, "dry_run": True})
    assert shown.status_code == 200 and "Location" not in shown and not Deployment.objects.exists()
    told = shown.json()
    assert (told["action"], told["from_version"], told["batches"]) == ("install", None, [2])
    assert [one["host_id"] for one in told["targets"]] == asked["host"] and told["targets"][0]["steps"]
    api().patch(f"/hosts/{new[1].pk}", {"base_path": "/elsewhere"})
    moved = api().post(going(shop, "install"), {**asked, "plan_token": told["plan_token"]})
    assert (moved.status_code, moved.json()["code"]) == (409, "plan_changed")
    assert moved.json()["errors"][0]["host_id"] == new[1].pk and not Deployment.objects.exists()
    again = api().post(going(shop, "install"), {**asked, "dry_run": True}).json()["plan_token"]
    assert api().post(going(shop, "install"), {**asked, "plan_token": again}).status_code == 202


def test_instances_are_deleted_and_retried_by_deployments(api, shop):
    _, _, (one, two, _) = shop
    deleted = api().post(of(shop, "delete"), {"instances": [one.pk]})
    assert (deleted.status_code, deleted.json()["action"]) == (202, "delete")
    assert MicroServiceInstance.objects.filter(pk=one.pk, locked=True).exists()
    nothing = api().post(of(shop, "retry"), {"instances": str(two.pk)})
    assert nothing.status_code == 409
    for rest in ("delete", "retry"):
        for body in ({}, {"instances": "all"}, {"instances": []}, {"instances": "x"}, {"instances": [10**12]}):
            assert api().post(of(shop, rest), body).status_code == 422, (rest, body)


def test_who_may_only_read_changes_nothing(api, shop):
    one = shop.instances[0]
    reader, publisher = api("read"), api("read", "publish")
    for caller in (reader, publisher):
        for answer in (
            caller.post(going(shop), {"dest_version": shop.versions[2].pk, "host": "all"}),
            caller.post(going(shop, "install"), {"host": [one.host_id]}),
            caller.patch(of(shop, one.pk), {"port": 1}),
            caller.post(of(shop, f"{one.pk}/unlock"), {"reason": "x"}),
            caller.post(of(shop, "delete"), {"instances": [one.pk]}),
            caller.post(of(shop, "retry"), {"instances": [one.pk]}),
        ):
            assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    assert unchanged()
