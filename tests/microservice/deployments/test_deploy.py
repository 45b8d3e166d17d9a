"""Deploy: every instance that does not run the version, each by its own action, in one deployment. No host is asked."""

from typing import Any

import pytest

from access.problems import Problem
from microservice.deployments import actions
from microservice.deployments.selection import parse_hosts, parse_instances
from microservice.deployments.version_change import OnLocked, VersionChange, parse_strategy
from microservice.models import Deployment, MicroServiceInstance, Operation
from microservice.status import Action, BuildStatus, InstanceStatus, OperationStatus
from tests import factories
from tests.microservice.deployments.requests import ANN, end_all, mark_bad, revert, send

pytestmark = pytest.mark.django_db


def change(shop, version: Any, host: Any = "all", **fields: Any) -> VersionChange:
    where = {"instances": parse_instances(fields.pop("instances"))} if "instances" in fields else {}
    strategy = parse_strategy(fields.pop("strategy", None))
    named = where or {"host": parse_hosts(host)}
    return VersionChange(
        service=shop.service, action=Action.DEPLOY, dest_version=version, strategy=strategy, **named, **fields
    )


def deploy(shop, version: Any, *where: Any, **fields: Any) -> Deployment | None:
    return actions.deploy(ANN, change(shop, version, *where, **fields))


def refused(shop, *args: Any, **fields: Any) -> Problem:
    before = sorted(MicroServiceInstance.objects.values_list("pk", "locked", "status"))
    with pytest.raises(Problem) as caught:
        deploy(shop, *args, **fields)
    assert sorted(MicroServiceInstance.objects.values_list("pk", "locked", "status")) == before
    assert not Deployment.objects.exists()
    return caught.value


@pytest.fixture
def mixed(shop):
    """Three instances: of an older version than 3.0, of it, and of a newer one."""
    for row, version in zip(shop.instances, (shop.versions[1], shop.versions[2], shop.versions[3]), strict=True):
        row.version = version
        row.save()
    return shop


def test_each_instance_goes_by_its_own_action(mixed):
    old, there, new = mixed.instances
    deployment = deploy(mixed, mixed.versions[2].pk)
    assert (deployment.action, deployment.from_version, deployment.dest_version) == ("deploy", None, mixed.versions[2])
    rows = Operation.objects.order_by("instance_id").values_list("instance", "action", "from_version", "dest_version")
    dest = mixed.versions[2].pk
    assert list(rows) == [
        (old.pk, "upgrade", mixed.versions[1].pk, dest),
        (new.pk, "revert", mixed.versions[3].pk, dest),
    ]
    status = dict(MicroServiceInstance.objects.values_list("pk", "status"))
    assert status == {
        old.pk: InstanceStatus.UPGRADING,
        there.pk: InstanceStatus.RUNNING,
        new.pk: InstanceStatus.REVERTING,
    }
    assert deployment.skipped == [], "what is there already was never meant by all"


def test_deployment_is_reverted_whole(mixed):
    old, _there, new = mixed.instances
    deployment = deploy(mixed, mixed.versions[2].pk)
    end_all(deployment, OperationStatus.SUCCEEDED)
    back = revert(ANN, deployment)
    rows = (
        dict(back.operations.values_list("instance", "action")),
        dict(back.operations.values_list("instance", "dest_version")),
    )
    assert rows == (
        {old.pk: "revert", new.pk: "upgrade"},
        {old.pk: mixed.versions[1].pk, new.pk: mixed.versions[3].pk},
    )
    end_all(back, OperationStatus.SUCCEEDED)
    versions = dict(MicroServiceInstance.objects.values_list("pk", "version"))
    assert (versions[old.pk], versions[new.pk]) == (mixed.versions[1].pk, mixed.versions[3].pk)


def test_retry_repeats_each_action(mixed):
    deployment = deploy(mixed, mixed.versions[2].pk)
    end_all(deployment, OperationStatus.UNDONE)
    again = actions.retry(ANN, deployment)
    assert sorted(again.operations.values_list("action", flat=True)) == ["revert", "upgrade"]


@pytest.mark.parametrize("where", ["host", "host_id", "instances"])
def test_named_target_that_is_there_is_said_and_no_error(mixed, where):
    old, there, _new = mixed.instances
    named = {
        "host": {"host": [row.host.hostname for row in (old, there)]},
        "host_id": {"host": [old.host_id, there.host_id]},
        "instances": {"instances": [old.pk, there.pk]},
    }[where]
    deployment = deploy(mixed, mixed.versions[2].pk, **named)
    assert [row.instance_id for row in deployment.operations.all()] == [old.pk]
    assert [(row["instance_id"], row["code"]) for row in deployment.skipped] == [(there.pk, "already_there")]


@pytest.mark.parametrize("named", [True, False])
def test_all_there_changes_nothing(shop, named):
    there = shop.versions[1]
    where = [row.host_id for row in shop.instances] if named else "all"
    assert deploy(shop, there.pk, where) is None
    assert not Deployment.objects.exists() and not MicroServiceInstance.objects.filter(locked=True).exists()
    plan = actions.preview(ANN, change(shop, there.pk, where)).as_json()
    assert plan["targets"] == [] and plan["batches"] == []
    assert len(plan["skipped"]) == (len(shop.instances) if named else 0)


def test_service_without_instances_is_nothing_to_do(shop):
    MicroServiceInstance.objects.all().delete()
    assert refused(shop, shop.versions[2].pk).code == "nothing_to_do"


@pytest.mark.parametrize("by", ["id", "name", "id as text"])
def test_version_by_name_or_id(shop, by):
    version = shop.versions[2]
    named = {"id": version.pk, "name": version.version, "id as text": str(version.pk)}[by]
    assert deploy(shop, named).dest_version == version


def test_name_of_digits_is_a_name_first(shop):
    named = shop.versions[2]
    named.version = str(shop.versions[3].pk)
    named.save()
    assert deploy(shop, named.version).dest_version == named


@pytest.mark.parametrize("named", ["9.9", "", "0", -1, 0, 1 << 63, 1 << 70, "9" * 30])
def test_unknown_version(shop, named):
    problem = refused(shop, named)
    assert (problem.status, problem.errors[0]["pointer"]) == (422, "/version")


def test_version_of_another_service_is_unknown(shop):
    other = factories.versions(factories.service("other"), 1)[0]
    assert refused(shop, other.pk).errors == refused(shop, 10**9).errors


def test_version_that_is_not_built(shop):
    shop.versions[2].status = BuildStatus.FAILED
    shop.versions[2].save()
    problem = refused(shop, shop.versions[2].pk)
    assert (problem.status, problem.errors[0]["pointer"]) == (422, "/version")


def test_bad_version(shop):
    mark_bad(shop.versions[2])
    assert (refused(shop, shop.versions[2].pk).code) == "version_bad"


def test_locked_targets_are_skipped_with_all_and_refused_by_name(mixed):
    old, _there, new = mixed.instances
    MicroServiceInstance.objects.filter(pk=old.pk).update(locked=True)
    assert refused(mixed, mixed.versions[2].pk, [old.host_id, new.host_id]).code == "instance_locked"
    deployment = deploy(mixed, mixed.versions[2].pk, [old.host_id, new.host_id], on_locked=OnLocked.SKIP)
    assert [row.instance_id for row in deployment.operations.all()] == [new.pk]
    end_all(deployment, OperationStatus.SUCCEEDED)
    with pytest.raises(Problem) as caught:
        deploy(mixed, mixed.versions[2].pk)  # one is locked, the others are there
    assert caught.value.code == "nothing_to_do" and "locked" in caught.value.detail


@pytest.mark.parametrize("named", [True, False])
def test_repeated_while_it_runs_it_is_the_same_deployment(mixed, named):
    """A job of a pipeline that is run again waits for what it has started."""
    where = [[row.host_id for row in mixed.instances]] if named else []
    first = deploy(mixed, mixed.versions[2].pk, *where)
    assert deploy(mixed, mixed.versions[2].pk, *where) == first
    assert Deployment.objects.count() == 1
    with pytest.raises(Problem) as caught:
        deploy(mixed, mixed.versions[1].pk, [mixed.instances[0].host_id, mixed.instances[2].host_id])
    assert caught.value.code == "instance_locked", "to another version"


def test_two_deployments_under_way_are_not_one(mixed):
    old, _there, new = mixed.instances
    for row in (old, new):
        deploy(mixed, mixed.versions[2].pk, [row.host_id])
    with pytest.raises(Problem) as caught:
        deploy(mixed, mixed.versions[2].pk)
    assert caught.value.code == "nothing_to_do"


def test_instance_without_a_version_is_no_target(shop):
    failed = shop.instances[0]
    failed.version, failed.status = None, InstanceStatus.INSTALL_FAILED
    failed.save()
    deployment = deploy(shop, shop.versions[2].pk)
    assert failed.pk not in deployment.operations.values_list("instance", flat=True)
    assert [row["instance_id"] for row in deployment.skipped] == [failed.pk]


def test_plan_is_what_happens_and_its_token_holds(mixed):
    plan = actions.preview(ANN, change(mixed, mixed.versions[2].pk, strategy={"batch_size": 1})).as_json()
    assert [(row["instance_id"], row["action"], row["from_version"]) for row in plan["targets"]] == [
        (mixed.instances[0].pk, "upgrade", mixed.versions[1].version),
        (mixed.instances[2].pk, "revert", mixed.versions[3].version),
    ]
    assert (plan["action"], plan["from_version"], plan["batches"]) == ("deploy", None, [1, 1])
    MicroServiceInstance.objects.filter(pk=mixed.instances[0].pk).update(version=mixed.versions[0])
    with pytest.raises(Problem) as caught:
        deploy(mixed, mixed.versions[2].pk, strategy=None, plan_token=plan["plan_token"])
    assert caught.value.code == "plan_changed"
    plan = actions.preview(ANN, change(mixed, mixed.versions[2].pk)).as_json()
    assert deploy(mixed, mixed.versions[2].pk, plan_token=plan["plan_token"]).operations.count() == 2


def test_service_has_a_strategy_of_its_own(shop):
    """For requests that name none, and only for these; a retry repeats, and an install has no version to go back to."""
    shop.service.default_strategy = {"canary": 1, "batch_size": "50%"}
    shop.service.save()
    plan = actions.preview(ANN, change(shop, shop.versions[2].pk)).as_json()
    assert plan["batches"] == [1, 1, 1] and plan["strategy"]["canary"] == 1
    assert actions.preview(ANN, change(shop, shop.versions[2].pk, strategy={})).batches == [3], "all at once, if asked"
    assert deploy(shop, shop.versions[2].pk).strategy["batch_size"] == "50%"


def test_without_the_right(shop):
    from access.callers import Caller

    with pytest.raises(Problem) as caught:
        actions.deploy(Caller(name="eve", scopes=frozenset({"read"})), change(shop, shop.versions[2].pk))
    assert caught.value.status == 403


def test_upgrade_of_the_same_targets_still_refuses_what_is_there(shop):
    """Only a deploy takes "is there already" for success."""
    with pytest.raises(Problem) as caught:
        send(shop, dest_version=shop.versions[1])
    assert caught.value.status == 422
