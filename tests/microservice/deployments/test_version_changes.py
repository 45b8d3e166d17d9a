"""The rules of an upgrade or revert: allowed versions, locked and skipped instances. No host is contacted."""

import threading

import pytest
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext

from access.callers import SYSTEM, Caller
from access.problems import Problem
from audit.models import History
from microservice.deployments import actions
from microservice.models import MicroServiceInstance, Operation
from microservice.status import BuildStatus, InstanceStatus, OperationStatus
from tests import factories
from tests.microservice.deployments.requests import (
    ANN,
    change_version,
    failed_with,
    install,
    mark_bad,
    preview,
    refused,
    revert,
    send,
    unlock_all,
)

pytestmark = pytest.mark.django_db


def test_upgrades_all_instances(shop):
    deployment = send(shop)
    rows = MicroServiceInstance.objects.all()
    assert {(row.locked, row.lock_deployment_id, row.status) for row in rows} == {
        (True, deployment.pk, InstanceStatus.UPGRADING)
    }
    operations = list(Operation.objects.all())
    assert [row.instance_id for row in operations] == [row.pk for row in shop.instances]
    assert {(row.action, row.status, row.from_version_id, row.dest_version_id) for row in operations} == {
        ("upgrade", "queued", shop.versions[1].pk, shop.versions[2].pk)
    }
    assert {row.status_before for row in operations} == {InstanceStatus.RUNNING}
    assert History.objects.get().actor == "ann"


def test_locks_only_named_hosts(shop):
    chosen = [shop.instances[0].pk, shop.instances[2].pk]
    send(shop, host=[shop.instances[0].host_id, shop.instances[2].host_id])
    assert sorted(MicroServiceInstance.objects.filter(locked=True).values_list("pk", flat=True)) == chosen


@pytest.mark.parametrize("action", ["install", "delete", "retry", "restart", "", "UPGRADE"])
def test_rejects_unknown_action(shop, action):
    refused(422, "unknown_action", shop, action=action, dest_version=shop.versions[2])


@pytest.mark.parametrize(
    "host",
    [
        "1;x",
        ",",
        "",
        "1,,2",
        "1,x y",
        "0",
        "-1",
        "all,1",
        ["all"],
        "9" * 30,
        "web1.",
        [],
        [True],
        [None],
        {"a": 1},
        None,
        1.5,
        "١",
        ["1 2"],
        [[1]],
    ],
)
def test_rejects_malformed_hosts(shop, host):
    assert refused(422, "invalid", shop, host=host).errors[0]["pointer"] == "/host"


def test_rejects_wrong_direction(shop):
    _, (one, two, three, _), _ = shop
    assert "newer" in refused(422, "invalid", shop, dest_version=one).detail
    assert "older" in refused(422, "invalid", shop, action="revert", dest_version=three).detail
    assert "currently running" in refused(422, "invalid", shop, dest_version=two).detail


@pytest.mark.parametrize("status", [s for s in BuildStatus if s != BuildStatus.SUCCESS])
def test_rejects_unsuccessful_build(shop, status):
    shop.versions[2].status = status
    shop.versions[2].save()
    assert f"build {status.label}" in refused(422, "invalid", shop).detail


PERSON = Caller(name="ann", user_id=1, scopes=frozenset({"deploy"}))
TOKEN = Caller(name="ann", user_id=1, token_id=1, scopes=frozenset({"deploy"}))


@pytest.mark.parametrize("caller", [PERSON, TOKEN, SYSTEM], ids=["person", "token", "system"])
def test_bad_version_needs_a_person(shop, caller):
    service, versions, instances = shop
    failed = failed_with(send(shop), OperationStatus.UNDONE)
    MicroServiceInstance.objects.update(last_operation=failed.operations.first())
    done = failed_with(send(shop, dest_version=versions[3], host=[instances[2].host_id]), OperationStatus.SUCCEEDED)
    MicroServiceInstance.objects.filter(pk=instances[2].pk).update(version=versions[3])
    mark_bad(versions[2])
    mark_bad(versions[1])
    new = factories.hosts(1)[0].pk
    ways = {
        "upgrade": lambda **more: send(shop, caller=caller, host=[instances[0].host_id], **more),
        "preview": lambda **more: preview(
            caller, versions[1], versions[2].pk, "upgrade", host=[instances[0].host_id], **more
        ),
        "install": lambda **more: install(caller, versions[2], [new], **more),
        "retry": lambda **more: actions.retry(caller, failed, **more),
        "retry_instances": lambda **more: actions.retry_instances(caller, service, [instances[1].pk], **more),
        "revert": lambda **more: revert(caller, done, **more),
    }
    for name, way in ways.items():
        with pytest.raises(Problem) as caught:
            way()
        assert (caught.value.status, caught.value.code) == (422, "version_bad"), name
        assert "leaks memory" in caught.value.detail
        if caller is PERSON:
            way(allow_bad=True)
            unlock_all()
        else:
            with pytest.raises(Problem) as caught:
                way(allow_bad=True)
            assert caught.value.status == 403, name


def test_rejects_version_of_other_service(shop):
    other = factories.versions(factories.service("other"), 1)[0]
    refused(422, "invalid", shop, dest_version=other)


@pytest.mark.parametrize("number", [0, -1, 2**70, 999999])
def test_rejects_unknown_version(shop, number):
    with pytest.raises(Problem) as caught:
        change_version(ANN, shop.versions[1], number, "upgrade", host="all")
    assert (caught.value.status, caught.value.errors[0]["pointer"]) == (422, "/dest_version")


def test_rejects_host_of_other_service(shop):
    stranger = factories.instances(factories.versions(factories.service("other"), 1)[0], factories.hosts(1))[0]
    assert refused(422, "wrong_target", shop, host=[shop.instances[0].host_id, stranger.host_id]).errors[0]["reason"]
    send(shop)
    stranger.refresh_from_db()
    assert not stranger.locked


def test_rejects_instance_of_other_version(shop):
    MicroServiceInstance.objects.filter(pk=shop.instances[0].pk).update(version=shop.versions[0])
    assert "does not run 2.0" in refused(422, "wrong_target", shop, host=[shop.instances[0].host_id]).detail
    assert send(shop).operations.count() == 2


def test_rejects_named_locked_instance(shop):
    first = send(shop, host=[shop.instances[0].host_id])
    problem = refused(409, "instance_locked", shop, host=[shop.instances[0].host_id, shop.instances[1].host_id])
    assert f"locked by ann, deployment {first.pk}, since " in problem.detail
    assert problem.errors[0]["instance_id"] == shop.instances[0].pk


def test_skips_locked_instance_of_all(shop):
    send(shop, host=[shop.instances[0].host_id])
    second = send(shop)
    assert [(one["instance_id"], one["code"]) for one in second.skipped] == [(shop.instances[0].pk, "instance_locked")]
    assert second.operations.count() == 2


def test_on_locked_refuse_holds_for_all_too(shop):
    """A job that waits for locks must hear of them: skipped hosts would keep their old version."""
    MicroServiceInstance.objects.filter(pk=shop.instances[1].pk).update(is_maintain=True)
    send(shop, host=[shop.instances[0].host_id])
    problem = refused(409, "instance_locked", shop, host="all", on_locked="refuse")
    assert len(problem.errors) == 1, "one in maintenance is left out as before"
    assert send(shop, host="all").operations.count() == 1


def test_on_locked_skip(shop):
    send(shop, host=[shop.instances[0].host_id])
    refused(409, "nothing_to_do", shop, host=[shop.instances[0].host_id], on_locked="skip")
    mixed = send(shop, host=[shop.instances[0].host_id, shop.instances[1].host_id], on_locked="skip")
    assert [one["instance_id"] for one in mixed.skipped] == [shop.instances[0].pk]


@pytest.mark.parametrize("status", list(InstanceStatus))
def test_allowed_statuses(shop, status):
    MicroServiceInstance.objects.update(status=status)
    may = status in (InstanceStatus.RUNNING, InstanceStatus.UPGRADE_FAILED, InstanceStatus.REVERT_FAILED)
    if may:
        assert send(shop).operations.count() == 3
    else:
        refused(409, "instance_state", shop, host=[shop.instances[0].host_id])
        refused(409, "nothing_to_do", shop)


def test_maintenance(shop):
    quiet = shop.instances[1]
    MicroServiceInstance.objects.filter(pk=quiet.pk).update(is_maintain=True)
    refused(409, "in_maintenance", shop, host=[quiet.host_id])
    assert [one["code"] for one in send(shop).skipped] == ["in_maintenance"]
    assert send(shop, host=[quiet.host_id], force=True).operations.count() == 1


def test_rejects_caller_without_right(shop):
    refused(403, "forbidden", shop, caller=Caller(name="eve", scopes=frozenset({"read", "publish"})))
    elsewhere = Caller(name="eve", scopes=frozenset({"deploy"}), services=frozenset({shop.service.pk + 1}))
    refused(403, "forbidden", shop, caller=elsewhere)


def test_number_of_statements_is_constant(shop):
    with CaptureQueriesContext(
        connection,
    ) as few:
        send(shop, host=[shop.instances[0].host_id])
    factories.instances(shop.versions[1], factories.hosts(300, prefix="more"))
    with CaptureQueriesContext(connection) as many:
        send(shop)
    assert len(many) <= len(few) + 1


def test_batches(shop):
    factories.instances(shop.versions[1], factories.hosts(7, prefix="more"))
    deployment = send(shop, strategy={"canary": 1, "batch_size": "30%", "max_failures": 2})
    assert list(deployment.operations.values_list("batch", flat=True)) == [0, 1, 1, 1, 2, 2, 2, 3, 3, 3]
    assert list(deployment.operations.values_list("status", flat=True)) == ["queued"] + ["pending"] * 9


@pytest.mark.parametrize(
    "strategy",
    [
        [],
        "x",
        {"batch_size": 0},
        {"batch_size": "0%"},
        {"batch_size": "101%"},
        {"batch_size": True},
        {"canary": -1},
        {"max_failures": 1.5},
        {"on_failure": "explode"},
        {"pause_between": 1},
        {"speed": 3},
    ],
)
def test_rejects_invalid_strategy(shop, strategy):
    assert refused(422, "invalid", shop, strategy=strategy).errors[0]["pointer"].startswith("/strategy")


@pytest.mark.django_db(transaction=True)
def test_simultaneous_requests_lock_each_target_once(transactional_db):
    service = factories.service()
    old, new = factories.versions(service, 2)
    rows = factories.instances(old, factories.hosts(20))
    start, answers = threading.Barrier(50), []

    def client(number):
        chosen = [row.host_id for row in rows[number % 5 :: 5]] if number % 2 else "all"
        start.wait()
        try:
            answers.append(change_version(SYSTEM, old, new.pk, "upgrade", host=chosen))
        except Problem as problem:
            answers.append(problem)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=client, args=(number,)) for number in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 50 and {one.status for one in answers if isinstance(one, Problem)} <= {409}
    owners = list(Operation.objects.values_list("instance_id", flat=True))
    assert sorted(owners) == sorted(row.pk for row in rows)  # every instance once
    for row in MicroServiceInstance.objects.all():
        assert row.locked and row.lock_deployment_id == Operation.objects.get(instance=row).deployment_id
