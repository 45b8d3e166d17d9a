"""Upgrades, reverts, installs and deletes through the API."""

import pytest

from asset.models import HostGroup
from microservice.models import Deployment, MicroServiceInstance
from microservice.status import BuildStatus, DeploymentStatus, OperationStatus
from tests import factories
from tests.api.addresses import going, of, unchanged

pytestmark = pytest.mark.django_db


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


def test_accepts_an_upgrade(api, shop):
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
def test_rejects_invalid_hosts(api, shop, host):
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
def test_invalid_requests_lock_nothing(api, shop, change):
    answer = api().post(going(shop), {"dest_version": shop.versions[2].pk, "host": "all", **change})
    assert answer.status_code == 422 and unchanged(), answer.content


def test_rejects_other_content_types(api, shop):
    form = f"dest_version={shop.versions[2].pk}&host=all".encode()
    answer = api().post(going(shop), form, content_type="application/x-www-form-urlencoded")
    assert answer.status_code == 415 and unchanged()
    assert api().post(going(shop), b"{not json").status_code == 400


def test_accepts_ids_as_text_or_list(api, shop):
    _, versions, (one, two, three) = shop
    first = api().post(going(shop), {"dest_version": versions[2].pk, "host": f"{one.host_id},{two.host_id}"})
    second = api().post(going(shop), {"dest_version": versions[2].pk, "host": [three.host_id]})
    assert (first.status_code, second.status_code) == (202, 202)
    assert sum(first.json()["counts"].values()) == 2


def test_refuses_or_skips_locked_instances(api, shop):
    _, versions, (one, *_) = shop
    body = {"dest_version": versions[2].pk}
    assert api().post(going(shop), {**body, "host": [one.host_id]}).status_code == 202
    named = api().post(going(shop), {**body, "host": [one.host_id]})
    assert (named.status_code, named.json()["code"]) == (409, "instance_locked")
    everywhere = api().post(going(shop), {**body, "host": "all"})
    assert everywhere.status_code == 202
    assert [one["instance_id"] for one in everywhere.json()["skipped"]] == [one.pk]
    assert "locked" in everywhere.json()["skipped"][0]["reason"]
    nothing = api().post(going(shop), {**body, "host": "all"})
    assert (nothing.status_code, nothing.json()["code"]) == (409, "nothing_to_do")


def test_dry_run_of_an_upgrade(api, shop):
    _, versions, (one, *_) = shop
    body = {"dest_version": versions[2].pk, "host": "all"}
    shown = api().post(going(shop), {**body, "dry_run": True})
    assert shown.status_code == 200 and unchanged() and "Location" not in shown
    assert len(shown.json()["targets"]) == 3 and shown.json()["targets"][0]["steps"]
    api().patch(of(shop, one.pk), {"port": 9999})
    moved = api().post(going(shop), {**body, "plan_token": shown.json()["plan_token"]})
    assert (moved.status_code, moved.json()["code"]) == (409, "plan_changed") and unchanged()
    again = api().post(going(shop), {**body, "dry_run": True}).json()["plan_token"]
    assert api().post(going(shop), {**body, "plan_token": again}).status_code == 202


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


def upgraded(shop) -> Deployment:
    """Return an upgrade of all instances that has succeeded."""
    done = factories.deployment(shop.instances, shop.versions[2], DeploymentStatus.SUCCEEDED, OperationStatus.SUCCEEDED)
    MicroServiceInstance.objects.update(version=shop.versions[2])
    return done


def test_installs_and_reverts_where_labels_say(api, shop):
    """On the hosts that have them and not the service; back on those of them that the deployment changed."""
    there, new = shop.instances[0].host, factories.hosts(2, prefix="new")
    for host in (there, new[0]):
        host.labels = {"zone": "eu"}
        host.save()
    HostGroup.objects.create(name="europe", labels={"zone": "eu"})
    for where in ({"labels": {"zone": "eu"}}, {"group": "europe"}):
        shown = api().post(going(shop, "install"), {**where, "dry_run": True}).json()
        assert [one["host_id"] for one in shown["targets"]] == [new[0].pk]
    assert api().post(going(shop, "install"), {"group": "europe"}).status_code == 202
    nothing = api().post(going(shop, "install"), {"group": "europe", "skip_installed": True})
    assert (nothing.status_code, nothing.json()["already_there"]) == (200, True)

    done = upgraded(shop)
    path = f"/deployments/{done.pk}/revert"
    for where in ({"labels": {"zone": "eu"}}, {"group": "europe"}):
        shown = api().post(path, {**where, "dry_run": True}).json()
        assert [one["host_id"] for one in shown["targets"]] == [there.pk]
    assert api().post(path, {"labels": {"zone": None}}).json()["counts"]["queued"] == 1


@pytest.mark.parametrize(
    ("where", "pointers"),
    [
        ({}, ["/host"]),
        ({"labels": {}}, ["/labels"]),
        ({"labels": {"zone": "asia"}}, ["/labels"]),
        ({"group": "asia"}, ["/group"]),
        ({"labels": {"zone": "eu"}, "group": "europe"}, ["/labels", "/group"]),
        ({"host": [1], "labels": {"zone": "eu"}}, ["/host", "/labels"]),
        ({"host": [1], "group": "europe"}, ["/host", "/group"]),
    ],
)
def test_place_of_an_install_or_a_revert_is_one_and_found(api, shop, where, pointers):
    done = upgraded(shop)
    paths = [going(shop, "install"), f"/deployments/{done.pk}/revert"]
    for path in paths if where else paths[:1]:
        answer = api().post(path, where)
        assert answer.status_code == 422, answer.content
        assert [error["pointer"] for error in answer.json()["errors"]] == pointers
    assert Deployment.objects.get() == done


def test_dry_run_of_an_install(api, shop):
    new = factories.hosts(2, prefix="new")
    body = {"host": [host.pk for host in new], "port": 8100}
    shown = api().post(going(shop, "install"), {**body, "dry_run": True})
    assert shown.status_code == 200 and "Location" not in shown and not Deployment.objects.exists()
    plan = shown.json()
    assert (plan["action"], plan["from_version"], plan["batches"]) == ("install", None, [2])
    assert [one["host_id"] for one in plan["targets"]] == body["host"] and plan["targets"][0]["steps"]
    api().patch(f"/hosts/{new[1].pk}", {"base_path": "/elsewhere"})
    moved = api().post(going(shop, "install"), {**body, "plan_token": plan["plan_token"]})
    assert (moved.status_code, moved.json()["code"]) == (409, "plan_changed")
    assert moved.json()["errors"][0]["host_id"] == new[1].pk and not Deployment.objects.exists()
    again = api().post(going(shop, "install"), {**body, "dry_run": True}).json()["plan_token"]
    assert api().post(going(shop, "install"), {**body, "plan_token": again}).status_code == 202


def test_deletes_and_retries_instances(api, shop):
    _, _, (one, two, _) = shop
    deleted = api().post(of(shop, "delete"), {"instances": [one.pk]})
    assert (deleted.status_code, deleted.json()["action"]) == (202, "delete")
    assert MicroServiceInstance.objects.filter(pk=one.pk, locked=True).exists()
    nothing = api().post(of(shop, "retry"), {"instances": str(two.pk)})
    assert nothing.status_code == 409
    for rest in ("delete", "retry"):
        for body in ({}, {"instances": "all"}, {"instances": []}, {"instances": "x"}, {"instances": [10**12]}):
            assert api().post(of(shop, rest), body).status_code == 422, (rest, body)


def test_readers_change_nothing(api, shop):
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
