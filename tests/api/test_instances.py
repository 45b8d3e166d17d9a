"""Instances through the API."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from audit.models import History
from microservice.models import MicroServiceInstance
from microservice.status import InstanceStatus
from tests import factories
from tests.api.addresses import going, of

pytestmark = pytest.mark.django_db


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


def test_filters_accept_numbers_and_words(api, shop):
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
def test_rejects_invalid_filters(api, shop, query):
    answer = api().get(of(shop, "?" + query))
    assert answer.status_code == 422 and answer["Content-Type"] == "application/problem+json"
    assert answer.json()["errors"][0]["pointer"].startswith("/query")


def test_names_the_holder_of_a_lock(api, shop):
    _, versions, (one, *_) = shop
    deployment = factories.deployment([one], versions[2])
    MicroServiceInstance.objects.filter(pk=one.pk).update(
        locked=True, lock_deployment=deployment, locked_since=deployment.created
    )
    shown = api().get(of(shop, one.pk)).json()
    assert shown["locked"] is True and shown["lock_deployment_id"] == deployment.pk
    assert shown["locked_by"].startswith(f"ann, deployment {deployment.pk}, since 20")


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


def test_paginates(api, shop):
    factories.instances(shop.versions[0], factories.hosts(9))
    seen, cursor = [], ""
    while cursor is not None:
        page = api().get(of(shop, f"?limit=5&cursor={cursor}")).json()
        seen += [row["id"] for row in page["data"]]
        cursor = page["next"]
    assert len(seen) == len(set(seen)) == 12


def test_instance_of_another_service_is_not_found(api, shop):
    other = factories.instances(factories.versions(factories.service("other"), 1)[0], factories.hosts(1))[0]
    assert api().get(of(shop, other.pk)).status_code == 404
    assert api().patch(of(shop, other.pk), {"port": 1}).status_code == 404
    assert api().post(of(shop, f"{other.pk}/unlock"), {"reason": "x"}).status_code == 404
    only = api(services=[other.microservice_id])
    assert only.get(of(shop)).status_code == 404
    assert only.get("/services/other/instances").json()["count"] == 1


def test_updates_and_records_changes(api, shop):
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
def test_rejects_invalid_changes(api, shop, body):
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


def test_force_unlock_needs_a_reason(api, shop):
    _, versions, (one, *_) = shop
    api().post(going(shop), {"dest_version": versions[2].pk, "host": [one.host_id]})
    for body in ({}, {"reason": ""}, {"reason": "x" * 501}, {"reason": 5}):
        assert api().post(of(shop, f"{one.pk}/unlock"), body).status_code == 422
    answer = api().post(of(shop, f"{one.pk}/unlock"), {"reason": "the host is gone"})
    assert answer.status_code == 200 and answer.json()["locked"] is False
    assert History.objects.get(action="unlock").reason == "the host is gone"
    again = api().post(of(shop, f"{one.pk}/unlock"), {"reason": "twice"})
    assert (again.status_code, again.json()["code"]) == (409, "not_locked")
