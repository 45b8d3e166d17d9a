"""Forgetting and archiving through the API."""

import pytest

from asset.models import Asset
from microservice.models import MicroServiceInstance
from tests import factories

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.found("removal")]


def placed():
    service = factories.service()
    return service, factories.instances(factories.versions(service)[0], factories.hosts(2))


def test_forgets_instances_and_names_them(api):
    _, (one, two) = placed()
    path = "/services/shop/instances/forget"
    answer = api().post(path, {"instances": [one.pk], "reason": "gone"})
    assert answer.status_code == 200, answer.content
    body = answer.json()
    assert body["count"] == 1 and body["data"][0]["host"] == str(one.host) and body["data"][0]["version"] == "1.0"
    assert list(MicroServiceInstance.objects.all()) == [two]
    assert api("read").post(path, {"instances": [two.pk], "reason": "gone"}).status_code == 403
    assert api().post(path, {"instances": [two.pk]}).status_code == 422
    assert api().post(path, {"instances": [one.pk], "reason": "gone"}).json()["code"] == "wrong_target"
    assert MicroServiceInstance.objects.count() == 1


def test_archives_and_restores_a_host(api):
    _, (one, _) = placed()
    path = f"/hosts/{one.host_id}"
    refused = api().post(f"{path}/archive", {"reason": "gone"})
    assert refused.status_code == 409 and refused.json()["errors"][0]["instance_id"] == one.pk
    done = api().post(f"{path}/archive", {"reason": "gone", "forget": True})
    assert done.status_code == 200, done.content
    assert done.json()["archived"] and done.json()["archive_reason"] == "gone" and done.json()["archived_by"]
    assert api().post(f"{path}/archive", {"reason": "again"}).json()["archive_reason"] == "gone"
    names = {row["hostname"] for row in api().get("/hosts/").json()["data"]}
    assert one.host.hostname not in names and len(names) == 1
    assert [row["id"] for row in api().get("/hosts/?archived=true").json()["data"]] == [one.host_id]
    assert api().get(path).json()["archived"]
    assert api().patch(path, {"port": 23}).json()["code"] == "host_archived"
    assert api().post(f"{path}/check").json()["code"] == "host_archived"
    assert api("deploy", "read").post(f"{path}/unarchive").status_code == 403
    assert api().post(f"{path}/unarchive").json()["archived"] is None
    assert Asset.objects.count() == 2


def test_paginates_archived_hosts(api):
    for _ in range(3):
        host = factories.hosts(1, prefix="same")[0]
        Asset.objects.filter(pk=host.pk).update(hostname="same", archived="2026-01-01T00:00:00Z")
    first = api().get("/hosts/?archived=true&limit=2").json()
    second = api().get(f"/hosts/?archived=true&limit=2&cursor={first['next']}").json()
    ids = [row["id"] for row in first["data"] + second["data"]]
    assert len(ids) == len(set(ids)) == 3


def test_counts_attempts_of_a_delete(api):
    _, (one, two) = placed()
    MicroServiceInstance.objects.filter(pk=one.pk).update(status=14, delete_attempts=4, retry_at="2026-01-01T00:00:00Z")
    MicroServiceInstance.objects.filter(pk=two.pk).update(status=14, delete_attempts=12, retry_at=None)
    rows = {row["id"]: row for row in api().get("/services/shop/instances/").json()["data"]}
    assert rows[one.pk]["delete_attempts"] == 4 and rows[one.pk]["retry_at"] == "2026-01-01T00:00:00Z"
    assert rows[two.pk]["delete_attempts"] == 12 and rows[two.pk]["retry_at"] is None


def test_deletes_versions_or_names_what_needs_them(api):
    service = factories.service()
    one, two = factories.versions(service, 2)
    factories.instances(two, factories.hosts(1))
    path = f"/services/shop/versions/{one.pk}"
    assert api("publish", "read").delete(path).status_code == 403
    assert api().delete(f"/services/shop/versions/{two.pk}").json()["code"] == "version_in_use"
    assert api().delete(f"{path}?reason=old").status_code == 204
    assert api().get(path).status_code == api().delete(path).status_code == 404
    assert "1.0" not in [row["version"] for row in api().get("/services/shop/versions/").json()["data"]]


def test_dry_run_of_an_import(api):
    table = b"hostname,ip\nweb1,10.0.0.1\nweb2,10.0.0.2\n"
    tried = api().post("/hosts/import?dry_run=true", table, content_type="text/csv")
    assert (tried.status_code, tried.json()["count"], tried.json()["data"]) == (200, 2, []), tried.content
    assert not Asset.objects.exists()
    assert api().post("/hosts/import", table, content_type="text/csv").status_code == 201
    again = api().post("/hosts/import", table, content_type="text/csv")
    assert (again.status_code, again.json()["count"], again.json()["unchanged"]) == (200, 0, 2)
    wrong = api().post("/hosts/import", b"hostname,ip\nweb3,!\n", content_type="text/csv")
    assert wrong.json()["errors"][0]["line"] == 2 and wrong.status_code == 422


def test_restoring_a_host_needs_its_jump_hosts(api):
    near = Asset.objects.create(hostname="near", ip="10.0.0.1")
    behind = Asset.objects.create(hostname="behind", ip="10.0.0.2", jump_host=near)
    for host in (behind, near):
        assert api().post(f"/hosts/{host.pk}/archive", {"reason": "moved"}).status_code == 200
    refused = api().post(f"/hosts/{behind.pk}/unarchive")
    assert (refused.status_code, refused.json()["code"]) == (409, "host_archived")
    assert "near" in refused.json()["detail"]
    assert api().post(f"/hosts/{near.pk}/unarchive").status_code == 200
    assert api().post(f"/hosts/{behind.pk}/unarchive").status_code == 200
