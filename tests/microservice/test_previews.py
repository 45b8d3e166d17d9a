"""What a request would do, shown before it is asked for; and requests that hold somebody to what was shown."""

import pytest

from access.problems import Problem
from microservice.deployments import actions
from microservice.models import Deployment, MicroServiceInstance
from microservice.status import InstanceStatus

from . import fleet
from .shop import ANN, ask, refused

pytestmark = pytest.mark.django_db


def test_a_preview_shows_each_host_and_changes_nothing(shop):
    service, versions, instances = shop
    plan = actions.preview(ANN, service, versions[1], "upgrade", "all", versions[2].pk)
    assert [one["instance_id"] for one in plan["targets"]] == [one.pk for one in instances]
    assert "link" in [step["name"] for step in plan["targets"][0]["steps"]]
    assert not Deployment.objects.exists() and not MicroServiceInstance.objects.filter(locked=True).exists()


def test_a_request_with_the_plan_that_was_shown_goes_through(shop):
    plan = actions.preview(ANN, shop[0], shop[1][1], "upgrade", "all", shop[1][2].pk)["plan_token"]
    assert ask(shop, plan_token=plan).operations.count() == 3


def test_a_request_whose_targets_have_moved_is_refused_and_names_what_moved(shop):
    plan = actions.preview(ANN, shop[0], shop[1][1], "upgrade", "all", shop[1][2].pk)["plan_token"]
    MicroServiceInstance.objects.filter(pk=shop[2][0].pk).update(port=81)
    assert refused(409, "plan_changed", shop, plan_token=plan).errors[0]["instance_id"] == shop[2][0].pk
    MicroServiceInstance.objects.filter(pk=shop[2][0].pk).update(port=0, is_maintain=True)
    assert "not among the targets any more" in refused(409, "plan_changed", shop, plan_token=plan).detail


def test_a_request_whose_service_was_redefined_is_refused(shop):
    plan = actions.preview(ANN, shop[0], shop[1][1], "upgrade", "all", shop[1][2].pk)["plan_token"]
    shop[0].start_command = "./other"
    shop[0].save()
    refused(409, "plan_changed", shop, plan_token=plan)


def test_an_install_with_the_plan_that_was_shown_goes_through_unless_it_is_another_one(shop):
    service, versions, _ = shop
    new = fleet.hosts(2, prefix="new")
    plan = actions.preview_install(ANN, service, versions[1], [new[0].pk, new[1].pk], port=80)
    assert [(one["host_id"], one["instance_id"]) for one in plan["targets"]] == [(host.pk, None) for host in new]
    assert "upload" in [step["name"] for step in plan["targets"][0]["steps"]]
    ids = [host.pk for host in new]
    for other in ({"port": 81}, {"adopt": True}, {"strategy": {"canary": 1}}):
        with pytest.raises(Problem) as refusal:
            actions.install(ANN, service, versions[1], ids, plan_token=plan["plan_token"], **{"port": 80, **other})
        assert refusal.value.code == "plan_changed"
    with pytest.raises(Problem) as refusal:
        actions.install(ANN, service, versions[1], ids[:1], port=80, plan_token=plan["plan_token"])
    assert refusal.value.errors[0]["host_id"] == ids[1]
    assert "is not among the targets any more" in refusal.value.errors[0]["reason"]
    assert not Deployment.objects.exists() and not MicroServiceInstance.objects.filter(host__in=new).exists()
    made = actions.install(ANN, service, versions[1], ids, port=80, plan_token=plan["plan_token"])
    assert made.operations.count() == 2


def test_a_preview_of_an_install_refuses_what_the_install_refuses(shop):
    service, versions, instances = shop
    (new,) = fleet.hosts(1, prefix="new")
    taken = instances[0].host_id
    wrong = [({"hosts": "all"}, "invalid"), ({"port": 70000}, "invalid"), ({"weight": -1}, "invalid")]
    wrong += [({"hosts": [10**9]}, "wrong_target"), ({"hosts": [new.pk, taken]}, "already_installed")]
    for how, code in wrong:
        for what in (actions.preview_install, actions.install):
            with pytest.raises(Problem) as refusal:
                what(ANN, service, versions[1], **{"hosts": [new.pk], **how})
            assert refusal.value.code == code
    MicroServiceInstance.objects.filter(host=taken).update(status=InstanceStatus.DELETING, locked=True)
    plan = actions.preview_install(ANN, service, versions[1], [new.pk, taken])["plan_token"]
    made = actions.install(ANN, service, versions[1], [new.pk, taken], plan_token=plan)
    assert made.operations.count() == 2, "one of them waits for the end of the delete"


@pytest.mark.parametrize("plan", ["", "x", "a:b:c", 7, [], {}])
def test_a_plan_that_nobody_made_is_refused(shop, plan):
    refused(422, "invalid", shop, plan_token=plan)
