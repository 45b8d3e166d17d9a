"""Previews of requests, and requests that are held to the plan that was shown."""

import pytest
from django.core import signing

from access.problems import Problem
from microservice import atoms
from microservice.deployments import plan_token
from microservice.models import Deployment, MicroServiceInstance
from microservice.status import InstanceStatus
from tests import factories
from tests.microservice.deployments.requests import ANN, install, preview, preview_install, refused, send

pytestmark = pytest.mark.django_db


def test_preview(shop):
    _service, versions, instances = shop
    plan = preview(ANN, versions[1], versions[2].pk, "upgrade", host="all")
    assert [one["instance_id"] for one in plan["targets"]] == [one.pk for one in instances]
    assert "link" in [step["name"] for step in plan["targets"][0]["steps"]]
    assert not Deployment.objects.exists() and not MicroServiceInstance.objects.filter(locked=True).exists()


def test_plans_steps_once_for_all_hosts_alike(shop, monkeypatch):
    planned, atom_at = [], atoms.atom_at
    monkeypatch.setattr(atoms, "atom_at", lambda *args: planned.append(1) or atom_at(*args))
    first = shop.instances[0].host
    for base_path, times in ((first.base_path, 1), ("/elsewhere", 2)):
        type(first).objects.filter(pk=first.pk).update(base_path=base_path)
        planned.clear()
        plan = preview(ANN, shop.versions[1], shop.versions[2].pk, "upgrade", host="all")
        assert len(planned) == times and len(plan["targets"]) == 3


def test_accepts_plan_token(shop):
    plan = preview(ANN, shop.versions[1], shop.versions[2].pk, "upgrade", host="all")["plan_token"]
    assert send(shop, plan_token=plan).operations.count() == 3


def test_rejects_plan_of_changed_targets(shop):
    plan = preview(ANN, shop.versions[1], shop.versions[2].pk, "upgrade", host="all")["plan_token"]
    MicroServiceInstance.objects.filter(pk=shop.instances[0].pk).update(port=81)
    assert refused(409, "plan_changed", shop, plan_token=plan).errors[0]["instance_id"] == shop.instances[0].pk
    MicroServiceInstance.objects.filter(pk=shop.instances[0].pk).update(port=0, is_maintain=True)
    assert "no longer a target" in refused(409, "plan_changed", shop, plan_token=plan).detail


def test_rejects_plan_of_changed_service(shop):
    plan = preview(ANN, shop.versions[1], shop.versions[2].pk, "upgrade", host="all")["plan_token"]
    shop.service.start_command = "./other"
    shop.service.save()
    refused(409, "plan_changed", shop, plan_token=plan)


def test_install_compares_plan(shop):
    _service, versions, _ = shop
    new = factories.hosts(2, prefix="new")
    plan = preview_install(ANN, versions[1], [new[0].pk, new[1].pk], port=80)
    assert [(one["host_id"], one["instance_id"]) for one in plan["targets"]] == [(host.pk, None) for host in new]
    assert "upload" in [step["name"] for step in plan["targets"][0]["steps"]]
    ids = [host.pk for host in new]
    for other in ({"port": 81}, {"adopt": True}, {"strategy": {"canary": 1}}):
        with pytest.raises(Problem) as refusal:
            install(ANN, versions[1], ids, plan_token=plan["plan_token"], **{"port": 80, **other})
        assert refusal.value.code == "plan_changed"
    with pytest.raises(Problem) as refusal:
        install(ANN, versions[1], ids[:1], port=80, plan_token=plan["plan_token"])
    assert refusal.value.errors[0]["host_id"] == ids[1]
    assert "is no longer a target" in refusal.value.errors[0]["reason"]
    assert not Deployment.objects.exists() and not MicroServiceInstance.objects.filter(host__in=new).exists()
    made = install(ANN, versions[1], ids, port=80, plan_token=plan["plan_token"])
    assert made.operations.count() == 2


def test_install_preview_refuses_alike(shop):
    _service, versions, instances = shop
    (new,) = factories.hosts(1, prefix="new")
    taken = instances[0].host_id
    wrong = [({"port": 70000}, "invalid"), ({"weight": -1}, "invalid")]
    wrong += [({"host": [10**9]}, "wrong_target"), ({"host": [new.pk, taken]}, "already_installed")]
    for how, code in wrong:
        for what in (preview_install, install):
            with pytest.raises(Problem) as refusal:
                what(ANN, versions[1], **{"host": [new.pk], **how})
            assert refusal.value.code == code
    MicroServiceInstance.objects.filter(host=taken).update(status=InstanceStatus.DELETING, locked=True)
    plan = preview_install(ANN, versions[1], [new.pk, taken])["plan_token"]
    made = install(ANN, versions[1], [new.pk, taken], plan_token=plan)
    assert made.operations.count() == 2, "one of them waits for the end of the delete"


@pytest.mark.parametrize("plan", ["", "x", "a:b:c"])
def test_rejects_forged_plan_token(shop, plan):
    refused(422, "invalid", shop, plan_token=plan)


@pytest.mark.parametrize("named", [True, False], ids=["with a hint", "without one"])
def test_refuses_a_change_that_no_hint_of_the_token_shows(shop, monkeypatch, named):
    """Of many hosts, hints are so short that two states of a host can have the same one."""
    monkeypatch.setattr(plan_token, "MANY", 0)
    monkeypatch.setattr(plan_token, "SHORT_HINT", 3 if named else 0)
    plan = preview(ANN, shop.versions[1], shop.versions[2].pk, "upgrade", host="all")["plan_token"]
    MicroServiceInstance.objects.filter(pk=shop.instances[1].pk).update(weight=7)
    [error] = refused(409, "plan_changed", shop, plan_token=plan).errors
    assert error.get("host_id") == (shop.instances[1].host_id if named else None)


def test_token_from_before_an_upgrade_of_the_server_is_too_old(shop):
    old = signing.dumps({"frame": "0", "targets": {}}, salt="deployer.plan", compress=True)
    refused(409, "plan_changed", shop, plan_token=old)
