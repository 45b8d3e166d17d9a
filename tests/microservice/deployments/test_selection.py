"""`host` selects hosts and `instances` selects instances, in a fleet where each id has two meanings."""

import json
import re

import pytest
from django.contrib.auth import get_user_model
from django.test import Client

from access.callers import SYSTEM
from access.models import IdempotencyKey
from access.secrets import encrypt_bytes
from audit.models import Event
from microservice import notify
from microservice.models import Deployment, MicroServiceInstance, Operation
from microservice.status import DeploymentStatus, InstanceStatus, OperationStatus
from tests import factories
from tests.console.views.dialogs import hidden
from tests.microservice.deployments import distinct_ids
from tests.microservice.deployments.requests import change_version, end_all

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("store"), pytest.mark.found("hosts")]


@pytest.fixture
def here(db):
    return distinct_ids.create()


def path(here, action="upgrade"):
    return f"/services/shop/versions/{here.versions[1].pk}/{action}"


def body(here, action="upgrade", **more):
    return {"dest_version": here.versions[2 if action == "upgrade" else 0].pk, **more}


@pytest.mark.parametrize("action", ["upgrade", "revert"])
@pytest.mark.parametrize(
    ("where", "hosts"),
    [
        ({"host": [9001]}, "web1"),
        ({"host": 9002}, "web2"),
        ({"host": "9001,9003"}, "web1 web3"),
        ({"host": ["9002"]}, "web2"),
        ({"host": ["web1"]}, "web1"),
        ({"host": "web2,web3"}, "web2 web3"),
        ({"host": ["web3", 9003, "9003"]}, "web3"),
        ({"host": "web3, 9001"}, "web1 web3"),
        ({"host": "all"}, "web1 web2 web3"),
        ({"instances": [9001]}, "web2"),
        ({"instances": "9002,9103"}, "web1 web3"),
        ({"instances": 9103}, "web3"),
        ({"instances": [9001], "host": None}, "web2"),
    ],
    ids=str,
)
def test_hosts_and_instances_of_a_request(here, api, action, where, hosts):
    hosts = set(hosts.split())
    shown = api().post(path(here, action), body(here, action, **where, dry_run=True))
    assert shown.status_code == 200, shown.content
    assert {one["host"].partition(":")[0] for one in shown.json()["targets"]} == hosts
    ids = {distinct_ids.IDS[one] for one in hosts}
    assert {(one["host_id"], one["instance_id"]) for one in shown.json()["targets"]} == ids
    done = api().post(path(here, action), body(here, action, **where, plan_token=shown.json()["plan_token"]))
    assert done.status_code == 202, done.content
    assert here.locked() == hosts
    rows = Operation.objects.filter(deployment=done.json()["id"]).values_list("host", "instance")
    assert set(rows) == ids


@pytest.mark.parametrize("more", [{}, {"dry_run": True}])
@pytest.mark.parametrize(
    ("where", "pointers", "names"),
    [
        ({"host": [9001], "instances": [9002]}, ["/host", "/instances"], ["host", "instances"]),
        ({"host": "all", "instances": [9002]}, ["/host", "/instances"], ["host", "instances"]),
        ({}, ["/host"], ["host", "instances"]),
        ({"host": [9103]}, ["/host"], ["9103"]),  # an instance's id is no host's
        ({"instances": [9003]}, ["/instances"], ["9003"]),  # nor the other way round
        ({"host": [9001, distinct_ids.SPARE]}, ["/host"], [str(distinct_ids.SPARE)]),
        ({"host": ["web1", "spare"]}, ["/host"], ["spare"]),
        ({"host": "web1,nowhere"}, ["/host"], ["nowhere"]),
        ({"host": ["WEB1"]}, ["/host"], ["WEB1"]),
        ({"instances": ["web1"]}, ["/instances"], ["ids of instances"]),
        ({"instances": "all"}, ["/instances"], ["ids of instances"]),
        ({"host": ["web1", "all"]}, ["/host"], ["all"]),
    ],
    ids=str,
)
def test_rejects_wrong_targets(here, api, more, where, pointers, names):
    refused = api().post(path(here), body(here, **where, **more))
    problem = refused.json()
    assert refused.status_code == 422, problem
    assert [one["pointer"] for one in problem["errors"]] == pointers
    assert all(name in problem["detail"] for name in names), problem["detail"]
    assert not here.locked() and not Deployment.objects.exists()


def test_errors_have_both_ids(here, api):
    MicroServiceInstance.objects.filter(host__hostname="web1").update(version=here.versions[0])
    problem = api().post(path(here), body(here, host=["web1", "spare"])).json()
    assert [(one.get("host_id"), one.get("instance_id")) for one in problem["errors"]] == [(9001, 9002), (None, None)]
    assert "web1" in problem["errors"][0]["reason"] and "does not run 2.0" in problem["errors"][0]["reason"]
    by_instance = api().post(path(here), body(here, instances=[9002])).json()
    assert by_instance["errors"] == [
        {
            "pointer": "/instances",
            "reason": "Instance 9002 does not run 2.0.",
            "code": "wrong_target.instance_runs_other_version",
            "params": {"instance": 9002, "version": "2.0"},
            "instance_id": 9002,
        }
    ]


@pytest.mark.parametrize(("where", "pointer"), [({"host": ["web1"]}, "/host"), ({"instances": [9002]}, "/instances")])
def test_errors_point_at_the_used_field(here, api, where, pointer):
    api().post(path(here), body(here, host=["web1"]))
    refused = api().post(path(here), body(here, **where))
    assert refused.status_code == 409
    assert [(one["pointer"], one["host_id"], one["instance_id"]) for one in refused.json()["errors"]] == [
        (pointer, 9001, 9002)
    ]
    skipped = api().post(path(here), body(here, **where, on_locked="skip"))
    assert [one["pointer"] for one in skipped.json()["errors"]] == [pointer]


def test_hosts_of_other_services_are_not_revealed(here, api):
    other = factories.service("other")
    factories.instances(factories.versions(other, 1)[0], [here.hosts["spare"]])
    there, nowhere = (api().post(path(here), body(here, host=[number])).json()["detail"] for number in (9004, 777))
    assert there.replace("9004", "N") == nowhere.replace("777", "N")


def test_digits_are_an_id(here, api):
    here.hosts["web3"].hostname = "9001"
    here.hosts["web3"].save()
    assert api().post(path(here), body(here, host=["9001"])).status_code == 202
    assert here.locked() == {"web1"}
    listed = api().get("/services/shop/instances/?host=9001").json()["data"]
    assert [one["host_id"] for one in listed] == [9001]


def test_install_takes_hosts(here, api):
    install = path(here, "install")
    assert api().post(install, {"instances": [distinct_ids.SPARE]}).status_code == 422
    taken = api().post(install, {"host": [9002]}).json()  # web2 has it; 9002 is also the id of web1's instance
    assert [(one["host_id"], one["instance_id"]) for one in taken["errors"]] == [(9002, 9001)]
    assert "9103" in api().post(install, {"host": [9103]}).json()["detail"]
    for host in (["spare"], [distinct_ids.SPARE]):
        shown = api().post(install, {"host": host, "dry_run": True}).json()
        assert [one["host_id"] for one in shown["targets"]] == [distinct_ids.SPARE]
    assert api().post(install, {"host": "spare"}).status_code == 202
    assert MicroServiceInstance.objects.get(host=distinct_ids.SPARE).locked


def test_single_instance_by_id(here, api):
    one = "/services/shop/instances/9001"  # on web2
    assert api().get(one).json()["host_id"] == 9002
    assert api().patch(one, {"is_maintain": True, "weight": 7}).json()["host"].startswith("web2:")
    assert MicroServiceInstance.objects.get(is_maintain=True).host.hostname == "web2"
    for number in (9003, distinct_ids.SPARE):
        assert api().get(f"/services/shop/instances/{number}").status_code == 404
        assert api().patch(f"/services/shop/instances/{number}", {"weight": 1}).status_code == 404
        assert api().post(f"/services/shop/instances/{number}/unlock", {"reason": "x"}).status_code == 404
    assert [row["id"] for row in api().get("/services/shop/instances/?host=9002").json()["data"]] == [9001]
    assert [row["id"] for row in api().get("/services/shop/instances/?host=web1").json()["data"]] == [9002]
    api().post(path(here), body(here, host=["web1"]))
    assert api().post("/services/shop/instances/9002/unlock", {"reason": "stuck"}).status_code == 200
    assert not here.locked()


def test_deletes_and_retries_take_instances(here, api):
    for what in ("delete", "retry"):
        refused = api().post(f"/services/shop/instances/{what}", {"instances": [9003]})
        assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/instances")
        assert api().post(f"/services/shop/instances/{what}", {"host": [9001]}).status_code == 422
    made = change_version(SYSTEM, here.versions[1], here.versions[2].pk, "upgrade", host="all")
    end_all(made, OperationStatus.UNDONE)
    assert api().post("/services/shop/instances/retry", {"instances": [9001]}).status_code == 202
    assert here.locked() == {"web2"}
    again = api().post("/services/shop/instances/retry", {"instances": [9001]}).json()
    assert [one["pointer"] for one in again["errors"]] == ["/instances"]
    assert api().post("/services/shop/instances/delete", {"instances": [9103]}).status_code == 202
    assert here.locked() == {"web2", "web3"}


def test_retry_and_revert_stay_on_their_hosts(here, api):
    made = change_version(SYSTEM, here.versions[1], here.versions[2].pk, "upgrade", host=["web1"])
    end_all(made, OperationStatus.UNDONE)
    again = api().post(f"/deployments/{made.pk}/retry")
    assert again.status_code == 202 and here.locked() == {"web1"}
    rows = api().get(f"/deployments/{again.json()['id']}/operations/").json()["data"]
    assert [(row["host_id"], row["instance_id"]) for row in rows] == [(9001, 9002)]
    end_all(Deployment.objects.get(pk=again.json()["id"]), OperationStatus.SUCCEEDED)
    assert api().post(f"/deployments/{again.json()['id']}/revert").status_code == 202
    assert here.locked() == {"web1"}
    in_the_way = api().post(f"/deployments/{made.pk}/retry").json()
    assert [one["pointer"] for one in in_the_way["errors"]] == ["/path/id"], "there is no field host in it"


def test_earlier_requests_keep_their_answer(here, api):
    """A key that was answered while host still meant instances is answered with the same bytes, whatever it means now;
    and a deployment of that time is repeated on what it was about."""
    wish = body(here, host=[9002])
    caller = api()
    first = caller.post(path(here), wish, Idempotency_Key="from-before")
    assert first.status_code == 202
    raw = b'{"what": "it was answered with then"}'
    IdempotencyKey.objects.update(body=encrypt_bytes(raw))
    replayed = caller.post(path(here), wish, Idempotency_Key="from-before")
    assert replayed.headers["Idempotency-Replayed"] == "true" and replayed.content == raw
    assert Deployment.objects.count() == 1
    before = Deployment.objects.get()
    skipped = [{"instance_id": 9001, "host_id": 9002, "host": "web2:10.0.0.2", "code": "in_maintenance", "reason": "x"}]
    Deployment.objects.update(skipped=skipped)
    end_all(before, OperationStatus.UNDONE)
    assert api().get(f"/deployments/{before.pk}").json()["skipped"] == skipped
    api().post(f"/deployments/{before.pk}/retry")
    assert here.locked() == {"web2"}


# --- the console ------------------------------------------------------------------------------------------------------


@pytest.fixture
def admin(db):
    browser = Client()
    browser.force_login(get_user_model().objects.create(username="eve", is_superuser=True))
    return browser


def boxes(page: str) -> dict[str, str]:
    """Return the checkboxes for hosts on a page: the name beside each, and what it sends."""
    box = r'name="host"\s+id="host-(\d+)"\s+value="(\d+)"[^>]*>\s*<label for="host-(\d+)"[^>]*>\s*<span [^>]*>(\w+)'
    found = re.findall(box, page)
    assert all(one == value == label for one, value, label, _ in found)
    return {name: value for _, value, _, name in found}


@pytest.mark.parametrize("action", ["upgrade", "revert"])
def test_console_sends_hosts(here, admin, action):
    address = f"{path(here, action)}/"
    page = admin.get(address).content.decode()
    assert boxes(page) == {"web1": "9001", "web2": "9002", "web3": "9003"}
    page = admin.get(f"{address}?where=some&host={boxes(page)['web2']}").content.decode()
    assert "web2:10.0.0.2" in page and "web1:10.0.0.1</li>" not in page
    sent = hidden(page)
    assert sent["host"] == ["9002"]
    assert admin.post(address, sent).status_code == 302
    assert here.locked() == {"web2"}
    refused = admin.post(address, sent | {"host": ["9103"], "key": ["another"]})
    assert refused.status_code == 422 and "Host 9103 has no instance" in refused.content.decode()


def test_console_installs_on_hosts(here, admin):
    page = admin.get(f"{path(here, 'install')}/?where=some&host={distinct_ids.SPARE}").content.decode()
    assert boxes(page) == {"web1": "9001", "web2": "9002", "web3": "9003", "spare": str(distinct_ids.SPARE)}
    assert admin.post(f"{path(here, 'install')}/", hidden(page)).status_code == 302
    assert here.locked() == {"spare"}
    listed = admin.get("/services/shop/instances/").content.decode()
    assert set(re.findall(r'name="instance"[^>]* value="(\d+)"', listed)) >= {"9001", "9002", "9103"}
    admin.post("/services/shop/instances/change/", {"instance": ["9001"], "what": "maintain", "key": "k"})
    assert MicroServiceInstance.objects.get(is_maintain=True).host.hostname == "web2"


# --- events and callbacks ---------------------------------------------------------------------------------------------


def test_events_and_callbacks_have_both_ids(here):
    made = change_version(SYSTEM, here.versions[1], here.versions[2].pk, "upgrade", host=["web1"])
    end_all(made, OperationStatus.UNDONE)
    event = Event.objects.filter(kind="operation").latest("pk")
    assert (event.data["host_id"], event.data["instance_id"]) == (9001, 9002)
    described = notify._with_data({("instance.failed", "x"): _failed(made)})
    operation = described["instance.failed", "x"]["operation"]
    assert (operation["host_id"], operation["instance_id"]) == (9001, 9002), json.dumps(operation)


def _failed(made: Deployment) -> Event:
    return Event.objects.filter(deployment=made, kind="operation").latest("pk")


def test_auto_deploy_takes_instances(here):
    from microservice.publishing.auto_deploy import build_ended

    here.service.auto_deploy_tag = "follow"
    here.service.save()
    MicroServiceInstance.objects.filter(host__hostname="web2").update(tag="follow")
    build_ended(here.versions[2])
    assert here.locked() == {"web2"}
    assert Deployment.objects.get().status == DeploymentStatus.QUEUED
    assert MicroServiceInstance.objects.get(locked=True).status == InstanceStatus.UPGRADING
