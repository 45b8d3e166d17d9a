"""Hosts through the API; what each field may be is tested in tests/asset."""

import subprocess

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from asset import host_keys
from asset.models import Asset
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def public(tmp_path_factory):
    path = tmp_path_factory.mktemp("keys") / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)
    return path.with_suffix(".pub").read_text()


def test_host_lifecycle(api, public):
    fields = {
        "hostname": "web1",
        "ip": "10.0.0.1",
        "port": 2222,
        "username": "deploy",
        "base_path": "/srv/x",
        "sudo": True,
        "legacy_algorithms": True,
        "package_port": 8123,
        "package_address": "192.168.0.1",
        "labels": {"zone": "eu"},
        "host_key": public,
        "description": "first",
    }
    made = api().post("/hosts/", fields)
    assert made.status_code == 201, made.content
    shown = made.json()
    assert made["Location"] == f"/api/v1/hosts/{shown['id']}"
    regular = host_keys.parse(public)
    assert {name: shown[name] for name in fields} == {**fields, "host_key": regular}
    assert (shown["fingerprint"], shown["reachable"], shown["created_by"]) == (
        host_keys.fingerprint(regular),
        None,
        "ann",
    )
    path = f"/hosts/{shown['id']}"
    assert api("read").get(path).json() == shown
    changed = api().patch(path, {"port": 22, "labels": {}, "package_port": None})
    assert changed.status_code == 200 and (changed.json()["port"], changed.json()["labels"]) == (22, {})
    assert (changed.json()["package_port"], changed.json()["package_address"]) == (None, "192.168.0.1")
    assert changed.json()["hostname"] == "web1"
    assert api().delete(path).status_code == 204
    assert api().get(path).status_code == api().delete(path).status_code == 404


def test_lists_and_searches_hosts(api):
    for name in ("web2", "db1", "web1"):
        Asset.objects.create(hostname=name, ip="10.0.0.1")
    found = api("read").get("/hosts/").json()
    assert [row["hostname"] for row in found["data"]] == ["db1", "web1", "web2"] and found["count"] == 3
    assert [row["hostname"] for row in api().get("/hosts/?hostname=web&limit=1").json()["data"]] == ["web1"]
    caller = api()
    caller.get("/hosts/")

    def cost(limit):
        with CaptureQueriesContext(connection) as queries:
            caller.get(f"/hosts/?limit={limit}")
        return len(queries)

    assert cost(1) == cost(3)


@pytest.mark.parametrize(
    "change",
    [
        {"hostname": "a;b"},
        {"hostname": "web1\n"},
        {"ip": "some where"},
        {"port": "22"},
        {"port": 0},
        {"sudo": "yes"},
        {"username": "-oProxyCommand=touch /tmp/x"},
        {"base_path": "/a/../b"},
        {"base_path": "a"},
        {"labels": {"a": 1}},
        {"labels": ["a"]},
        {"host_key": "nonsense"},
        {"credential_id": 99},
        {"credential_id": "1"},
        {"jump_host_id": 99},
        {"jump_host_id": 2**80},
        {"package_port": 80},
        {"package_port": "8123"},
        {"package_address": "gate"},
        {"reachable": True},
        {"offered_key": "x"},
        {"hostname": None},
        {"description": "a\0"},
    ],
)
def test_points_at_invalid_fields(api, change):
    fields = {"hostname": "web1", "ip": "10.0.0.1", **change}
    answer = api().post("/hosts/", fields)
    assert answer.status_code == 422, answer.content
    assert answer.json()["errors"][0]["pointer"].startswith("/" + next(iter(change)))
    assert not Asset.objects.exists()
    there = Asset.objects.create(hostname="there", ip="10.0.0.1")
    assert api().patch(f"/hosts/{there.pk}", change).status_code == 422


def test_taken_names_and_references_are_conflicts(api):
    (host,) = factories.hosts(1)
    factories.instances(factories.versions(factories.service(), 1)[0], [host])
    assert api().post("/hosts/", {"hostname": host.hostname, "ip": "10.0.0.9"}).json()["code"] == "already_exists"
    assert api().delete(f"/hosts/{host.pk}").json()["code"] == "host_in_use"
    assert api().patch(f"/hosts/{host.pk}", {"base_path": "/elsewhere"}).json()["code"] == "host_in_use"


def test_imports_json_and_csv_atomically(api):
    rows = [{"hostname": f"h{number}", "ip": f"10.0.0.{number + 1}"} for number in range(3)]
    answer = api().post("/hosts/import", rows)
    assert (answer.status_code, answer.json()["count"]) == (201, 3), answer.content
    assert all(row["id"] for row in answer.json()["data"])
    assert api().post("/hosts/import", {"hosts": [{"hostname": "h9", "ip": "10.0.0.9"}]}).status_code == 201
    table = b"hostname,ip,port,sudo\ncsv1,10.1.0.1,2222,yes\ncsv2,10.1.0.2,,\n"
    made = api().post("/hosts/import", "\ufeff".encode() + table, content_type="text/csv; charset=utf-8")
    assert made.status_code == 201, made.content
    assert [(row["port"], row["sudo"]) for row in made.json()["data"]] == [(2222, True), (22, False)]
    half = api().post("/hosts/import", [{"hostname": "new", "ip": "10.0.0.1"}, {"hostname": "h1", "ip": "x.1"}])
    assert half.status_code == 422
    assert {error["pointer"] for error in half.json()["errors"]} == {"/1/hostname", "/1/ip"}
    assert Asset.objects.count() == 6


def test_explains_unreadable_imports(api):
    for body, kind, status in [
        (b"[", "application/json", 400),
        (b"[" * 100_000, "application/json", 400),
        (b"{}", "application/json", 422),
        (b"[]", "application/json", 422),
        (b"[1]", "application/json", 422),
        (b"\n", "text/csv", 422),
        (b"\xff\xfe", "text/csv", 422),
        (b"hostname,ip\na,10.0.0.1\0\n", "text/csv", 422),
        (b"x", "text/plain", 415),
        (b'[{"hostname": "a", "ip": "10.0.0.1", "description": "\\ud800"}]', "application/json", 422),
        (b'[{"hostname": "a", "ip": "10.0.0.1", "port": NaN}]', "application/json", 422),
    ]:
        answer = api().post("/hosts/import", body, content_type=kind)
        assert answer.status_code == status, (body[:50], answer.content)
    assert not Asset.objects.exists()


def test_only_administrators_change_hosts(api):
    (host,) = factories.hosts(1)
    for caller in (api("read"), api("read", "deploy", "publish")):
        assert caller.post("/hosts/", {"hostname": "a", "ip": "10.0.0.1"}).status_code == 403
        assert caller.post("/hosts/import", [{"hostname": "a", "ip": "10.0.0.1"}]).status_code == 403
        assert caller.patch(f"/hosts/{host.pk}", {"port": 1}).status_code == 403
        assert caller.delete(f"/hosts/{host.pk}").status_code == 403
        assert caller.post(f"/hosts/{host.pk}/trust", {"fingerprint": "SHA256:x"}).status_code == 403
    assert api("read").post(f"/hosts/{host.pk}/check").status_code == 403
    assert Asset.objects.count() == 1


def test_checks_and_trusts_a_host(api, sshd):
    key = api().post("/credentials/", {"name": "k", "secret": sshd.client_key}).json()["id"]
    host = (
        api()
        .post(
            "/hosts/",
            {
                "hostname": "real",
                "ip": sshd.address,
                "port": sshd.port,
                "username": sshd.username,
                "credential_id": key,
                "base_path": str(sshd.root),
            },
        )
        .json()
    )
    path = f"/hosts/{host['id']}"
    first = api("deploy").post(f"{path}/check")
    assert first.status_code == 200, first.content
    offered = first.json()["offered_fingerprint"]
    assert first.json()["ready"] is False and offered == host_keys.fingerprint(sshd.host_key)
    assert api().get(path).json()["offered_fingerprint"] == offered
    wrong = api().post(f"{path}/trust", {"fingerprint": "SHA256:" + "A" * 43})
    assert (wrong.status_code, wrong.json()["code"]) == (409, "fingerprint_differs")
    assert offered in wrong.json()["detail"]
    trusted = api().post(f"{path}/trust", {"fingerprint": offered})
    assert trusted.status_code == 200 and trusted.json()["fingerprint"] == offered
    again = api().post(f"{path}/check").json()
    assert again["ready"] is True and again["user"] == sshd.username
    assert api().get(path).json()["reachable"] is True


def test_failed_checks_are_regular_answers(api):
    (host,) = factories.hosts(1)
    answer = api().post(f"/hosts/{host.pk}/check")
    assert answer.status_code == 200 and answer.json()["reachable"] is False and "credential" in answer.json()["error"]
    assert api().post("/hosts/999999/check").status_code == 404
    for body in ({}, {"fingerprint": ""}, {"fingerprint": 5}, {"fingerprint": "x" * 20_000}):
        assert api().post(f"/hosts/{host.pk}/trust", body).status_code == 422
