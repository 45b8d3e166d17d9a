"""The revert of a deployment: its hosts, its strategy, and the plan that is what happens. No host is contacted."""

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from access.callers import Caller
from access.problems import Problem
from microservice.deployments import actions, reverts
from microservice.deployments.reverts import DeploymentRevert
from microservice.deployments.version_change import VersionChange, parse_strategy
from microservice.models import Deployment, MicroServiceInstance
from microservice.status import Action, OperationStatus
from tests import factories
from tests.microservice.deployments.requests import ANN, end_all, install, mark_bad, revert, send

pytestmark = pytest.mark.django_db
PERSON = Caller(name="ann", scopes=frozenset({"deploy"}), user_id=1)


@pytest.fixture
def upgraded(shop) -> Deployment:
    """An upgrade of all three hosts that went well."""
    deployment = send(shop)
    end_all(deployment, OperationStatus.SUCCEEDED)
    return deployment


def plan_of(origin: Deployment, **fields: Any) -> dict[str, Any]:
    return actions.preview_revert(ANN, DeploymentRevert(origin=origin, **fields)).as_json()


def refused(origin: Deployment, **fields: Any) -> Problem:
    """Return the Problem with which both the plan and the request are refused; nothing may have changed."""
    before = sorted(MicroServiceInstance.objects.values_list("pk", "locked", "status")), Deployment.objects.count()
    problems = []
    for ask in (plan_of, lambda origin, **fields: revert(ANN, origin, **fields)):
        with pytest.raises(Problem) as caught:
            ask(origin, **fields)
        problems.append(caught.value)
    after = sorted(MicroServiceInstance.objects.values_list("pk", "locked", "status")), Deployment.objects.count()
    assert after == before
    plan, request = problems
    assert (plan.status, plan.code, plan.errors) == (request.status, request.code, request.errors)
    return request


def test_plan_is_what_happens(shop, upgraded):
    strategy = parse_strategy({"canary": 1, "batch_size": 1, "on_failure": "revert_all", "pause_between": True})
    plan = plan_of(upgraded, strategy=strategy)
    assert not MicroServiceInstance.objects.filter(locked=True).exists() and Deployment.objects.count() == 1
    assert (plan["action"], plan["batches"]) == ("revert", [1, 1, 1])
    back = revert(ANN, upgraded, strategy=strategy, plan_token=plan["plan_token"])
    assert back.strategy == plan["strategy"] and back.strategy["pause_between"]
    shown = {
        (row["instance_id"], row["action"], row["from_version"], row["dest_version"], row["host_id"])
        for row in plan["targets"]
    }
    columns = ("instance", "action", "from_version__version", "dest_version__version", "host")
    assert shown == set(back.operations.values_list(*columns)) and len(shown) == 3
    assert sorted(back.operations.values_list("batch", flat=True)) == [0, 1, 2]


def test_plan_of_a_mixed_deployment_shows_each_way(shop, upgraded):
    """The revert of a revert is an upgrade: each operation is turned round by itself."""
    back = revert(ANN, upgraded, hosts=(shop.instances[0].host_id,))
    end_all(back, OperationStatus.SUCCEEDED)
    plan = plan_of(back)
    assert [(row["action"], row["dest_version"]) for row in plan["targets"]] == [("upgrade", shop.versions[2].version)]
    assert revert(ANN, back, plan_token=plan["plan_token"]).operations.get().action == "upgrade"


def test_without_a_strategy_no_failure_ends_it(upgraded):
    assert plan_of(upgraded)["batches"] == [3]
    assert revert(ANN, upgraded).strategy["max_failures"] == 3


def test_only_the_named_hosts(shop, upgraded):
    wanted = (shop.instances[0].host_id, shop.instances[2].host_id)
    assert {row["host_id"] for row in plan_of(upgraded, hosts=wanted)["targets"]} == set(wanted)
    back = revert(ANN, upgraded, hosts=wanted)
    assert set(back.operations.values_list("host", flat=True)) == set(wanted)


@pytest.mark.parametrize("kind", ["untouched", "failed", "elsewhere", "unknown"])
def test_named_host_that_it_did_not_change(shop, upgraded, kind):
    """Never left out silently; and of a host without the service, no more is said than its number."""
    untouched = factories.instances(shop.versions[1], factories.hosts(1, prefix="other"))[0]
    upgraded.operations.filter(instance=shop.instances[1]).update(status=OperationStatus.UNDONE)
    elsewhere = factories.hosts(1, prefix="secret")[0]
    host, word = {
        "untouched": (untouched.host_id, untouched.host.hostname),
        "failed": (shop.instances[1].host_id, shop.instances[1].host.hostname),
        "elsewhere": (elsewhere.pk, str(elsewhere.pk)),
        "unknown": (10**9, str(10**9)),
    }[kind]
    problem = refused(upgraded, hosts=(shop.instances[0].host_id, host))
    assert (problem.status, problem.code, problem.errors[0]["pointer"]) == (422, "wrong_target", "/host")
    assert word in problem.detail and "secret" not in problem.detail


def test_host_that_changed_since(shop, upgraded):
    """By name it is refused; without names the others go back."""
    moved = shop.instances[0]
    MicroServiceInstance.objects.filter(pk=moved.pk).update(version=shop.versions[3])
    assert refused(upgraded, hosts=(moved.host_id,)).code == "concurrent_update"
    plan = plan_of(upgraded)
    assert [row["instance_id"] for row in plan["skipped"]] == [moved.pk]
    back = revert(ANN, upgraded, plan_token=plan["plan_token"])
    assert moved.pk not in back.operations.values_list("instance", flat=True) and back.operations.count() == 2


def test_locked_host(shop, upgraded):
    """As with every request: what is named is refused, of all it is left out, and both say so."""
    held = shop.instances[0]
    MicroServiceInstance.objects.filter(pk=held.pk).update(locked=True)
    assert refused(upgraded, hosts=(held.host_id,)).code == "instance_locked"
    assert [row["code"] for row in plan_of(upgraded)["skipped"]] == ["instance_locked"]
    assert [row["code"] for row in revert(ANN, upgraded).skipped] == ["instance_locked"]


def test_plan_that_changed_is_refused(shop, upgraded):
    plan = plan_of(upgraded)
    MicroServiceInstance.objects.filter(pk=shop.instances[0].pk).update(version=shop.versions[3])
    with pytest.raises(Problem) as caught:
        revert(ANN, upgraded, plan_token=plan["plan_token"])
    assert (caught.value.status, caught.value.code) == (409, "plan_changed")
    shown = plan_of(upgraded, strategy=parse_strategy({"canary": 1}))
    with pytest.raises(Problem) as caught:
        revert(ANN, upgraded, plan_token=shown["plan_token"])
    assert caught.value.code == "plan_changed", "another strategy than was shown"
    assert Deployment.objects.count() == 1


def test_to_a_bad_version(shop, upgraded):
    mark_bad(shop.versions[1])
    assert reverts.leads_to_bad(upgraded)
    assert refused(upgraded).code == "version_bad"
    assert revert(PERSON, upgraded, allow_bad=True)


def test_bad_version_of_another_host_is_no_obstacle(shop):
    """Only the versions that the chosen hosts go back to count."""
    MicroServiceInstance.objects.filter(pk=shop.instances[0].pk).update(version=shop.versions[0])
    change = VersionChange(service=shop.service, action=Action.DEPLOY, dest_version=shop.versions[2].pk, host="all")
    deployment = actions.deploy(ANN, change)
    assert deployment
    end_all(deployment, OperationStatus.SUCCEEDED)
    mark_bad(shop.versions[0])
    assert refused(deployment).code == "version_bad" and reverts.leads_to_bad(deployment)
    assert revert(ANN, deployment, hosts=(shop.instances[1].host_id,)).operations.count() == 1


def test_marks_the_version_that_is_left(shop, upgraded):
    revert(ANN, upgraded, mark_bad=True, reason="loses orders")
    shop.versions[2].refresh_from_db()
    assert (shop.versions[2].bad, shop.versions[2].bad_reason) == (True, "loses orders")


def test_note_is_kept(upgraded):
    assert revert(ANN, upgraded, note="  orders are lost ").note == "orders are lost"


@pytest.mark.parametrize("note", ["x" * 501, "two\nlines", "bell\x07"])
def test_note_that_cannot_be_kept(upgraded, note):
    assert refused(upgraded, note=note).errors[0]["pointer"] == "/note"


def test_what_cannot_be_reverted(shop):
    installed = install(ANN, shop.versions[0], [factories.hosts(1)[0].pk])
    end_all(installed, OperationStatus.SUCCEEDED)
    assert refused(installed).status == 422
    assert refused(send(shop)).code == "deployment_open"


def test_plan_costs_the_same_for_any_number(shop, upgraded):
    def cost(origin: Deployment) -> int:
        with CaptureQueriesContext(connection) as queries:
            plan_of(origin)
        return len(queries)

    small = cost(upgraded)
    revert(ANN, upgraded)
    MicroServiceInstance.objects.update(locked=False, version=shop.versions[1], status=0)
    factories.instances(shop.versions[1], factories.hosts(40, prefix="more"))
    large = send(shop)
    end_all(large, OperationStatus.SUCCEEDED)
    assert cost(large) == small
