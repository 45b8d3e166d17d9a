"""The rules of a request: who may go where, what is locked, what is left out and why. No host is touched."""

import threading

import pytest
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext

from access.callers import SYSTEM, Caller
from access.problems import Problem
from microservice import deployments
from microservice.models import Deployment, History, MicroServiceInstance, Operation
from microservice.status import Action, BuildStatus, DeploymentStatus, InstanceStatus, OperationStatus

from . import fleet

pytestmark = pytest.mark.django_db
ANN = Caller(name="ann", scopes=frozenset({"deploy"}))


@pytest.fixture
def shop():
    """A service with four versions, and three hosts that run the second one."""
    service = fleet.service()
    one, two, three, four = fleet.versions(service, 4)
    return service, [one, two, three, four], fleet.instances(two, fleet.hosts(3))


def ask(shop, action="upgrade", host="all", dest=None, caller=ANN, **more):
    service, versions, _ = shop
    dest = dest or (versions[2] if action == "upgrade" else versions[0])
    return deployments.request(caller, service, versions[1], action, host, dest.pk, **more)


def refused(status, code, *args, **more):
    """The Problem that a request is refused with; nothing may have changed."""
    before = sorted(MicroServiceInstance.objects.values_list("pk", "locked", "status", "version_id"))
    counts = Deployment.objects.count(), Operation.objects.count(), History.objects.count()
    with pytest.raises(Problem) as caught:
        ask(*args, **more)
    assert (caught.value.status, caught.value.code) == (status, code)
    assert sorted(MicroServiceInstance.objects.values_list("pk", "locked", "status", "version_id")) == before
    assert (Deployment.objects.count(), Operation.objects.count(), History.objects.count()) == counts
    return caught.value


def test_an_upgrade_of_all_locks_every_instance_and_queues_an_operation_for_each(shop):
    deployment = ask(shop)
    rows = MicroServiceInstance.objects.all()
    assert {(row.locked, row.lock_deployment_id, row.status) for row in rows} == {
        (True, deployment.pk, InstanceStatus.UPGRADING)
    }
    operations = list(Operation.objects.all())
    assert [row.instance_id for row in operations] == [row.pk for row in shop[2]]
    assert {(row.action, row.status, row.from_version_id, row.dest_version_id) for row in operations} == {
        ("upgrade", "queued", shop[1][1].pk, shop[1][2].pk)
    }
    assert {row.status_before for row in operations} == {InstanceStatus.RUNNING}
    assert History.objects.get().actor == "ann"


def test_what_is_asked_for_by_id_is_all_that_is_touched(shop):
    chosen = [shop[2][0].pk, shop[2][2].pk]
    ask(shop, host=chosen)
    assert sorted(MicroServiceInstance.objects.filter(locked=True).values_list("pk", flat=True)) == chosen


@pytest.mark.parametrize("action", ["install", "delete", "retry", "restart", "", "UPGRADE"])
def test_another_action_than_upgrade_and_revert_is_refused(shop, action):
    refused(422, "unknown_action", shop, action=action, dest=shop[1][2])


@pytest.mark.parametrize(
    "host", ["1;x", ",", "", "1,,2", "1,x", "0", "-1", "1.0", [], [True], [None], {"a": 1}, None, 1.5, "١", ["1 2"]]
)
def test_hosts_that_are_no_ids_are_refused_with_422(shop, host):
    assert refused(422, "invalid", shop, host=host).errors[0]["pointer"] == "/host"


def test_an_upgrade_goes_to_newer_versions_only_and_a_revert_to_older_ones(shop):
    _, (one, two, three, _), _ = shop
    assert "newer" in refused(422, "invalid", shop, dest=one).detail
    assert "older" in refused(422, "invalid", shop, action="revert", dest=three).detail
    assert "runs now" in refused(422, "invalid", shop, dest=two).detail


@pytest.mark.parametrize("status", [s for s in BuildStatus if s != BuildStatus.SUCCESS])
def test_a_version_that_is_not_a_successful_build_cannot_be_deployed(shop, status):
    shop[1][2].status = status
    shop[1][2].save()
    assert status.label in refused(422, "invalid", shop).detail


PERSON = Caller(name="ann", user_id=1, scopes=frozenset({"deploy"}))
TOKEN = Caller(name="ann", user_id=1, token_id=1, scopes=frozenset({"deploy"}))


def bad(version):
    version.bad, version.bad_reason = True, "leaks memory"
    version.save()


def let_go():
    MicroServiceInstance.objects.update(
        locked=False, lock_deployment=None, status=InstanceStatus.UPGRADE_FAILED
    )


def ended(deployment, status):
    deployment.operations.update(status=status)
    deployment.status = DeploymentStatus.FAILED
    deployment.save()
    let_go()
    return deployment


@pytest.mark.parametrize("caller", [PERSON, TOKEN, SYSTEM], ids=["person", "token", "system"])
def test_a_bad_version_is_brought_anywhere_only_by_a_person_who_says_so(shop, caller):
    service, versions, instances = shop
    failed = ended(ask(shop), OperationStatus.UNDONE)
    MicroServiceInstance.objects.update(last_operation=failed.operations.first())
    done = ended(ask(shop, dest=versions[3], host=[instances[2].pk]), OperationStatus.SUCCEEDED)
    MicroServiceInstance.objects.filter(pk=instances[2].pk).update(version=versions[3])
    bad(versions[2])
    bad(versions[1])
    new = fleet.hosts(1)[0].pk
    ways = {
        "upgrade": lambda **more: ask(shop, caller=caller, host=[instances[0].pk], **more),
        "preview": lambda **more: deployments.preview(
            caller, service, versions[1], "upgrade", [instances[0].pk], versions[2].pk, **more),
        "install": lambda **more: deployments.install(caller, service, versions[2], [new], **more),
        "retry": lambda **more: deployments.retry(caller, failed, **more),
        "retry_instances": lambda **more: deployments.retry_instances(caller, service, [instances[1].pk], **more),
        "revert": lambda **more: deployments.revert(caller, done, **more),
    }
    for name, way in ways.items():
        with pytest.raises(Problem) as caught:
            way()
        assert (caught.value.status, caught.value.code) == (422, "version_bad"), name
        assert "leaks memory" in caught.value.detail
        if caller is PERSON:
            way(even_bad=True)
            let_go()
        else:
            with pytest.raises(Problem) as caught:
                way(even_bad=True)
            assert caught.value.status == 403, name


def test_another_services_version_cannot_be_deployed(shop):
    other = fleet.versions(fleet.service("other"), 1)[0]
    refused(422, "invalid", shop, dest=other)


@pytest.mark.parametrize("number", [0, -1, 2**70, 999999, True, "3", None, 1.0])
def test_a_destination_that_does_not_exist_is_refused(shop, number):
    with pytest.raises(Problem) as caught:
        deployments.request(ANN, shop[0], shop[1][1], "upgrade", "all", number)
    assert (caught.value.status, caught.value.errors[0]["pointer"]) == (422, "/dest_version")


def test_instances_of_another_service_are_never_touched(shop):
    stranger = fleet.instances(fleet.versions(fleet.service("other"), 1)[0], fleet.hosts(1))[0]
    assert refused(422, "wrong_target", shop, host=[shop[2][0].pk, stranger.pk]).errors[0]["reason"]
    ask(shop)
    stranger.refresh_from_db()
    assert not stranger.locked


def test_an_instance_that_runs_another_version_is_refused_by_id_and_no_target_of_all(shop):
    MicroServiceInstance.objects.filter(pk=shop[2][0].pk).update(version=shop[1][0])
    assert "does not run 2.0" in refused(422, "wrong_target", shop, host=[shop[2][0].pk]).detail
    assert ask(shop).operations.count() == 2


def test_a_locked_instance_named_by_id_is_refused_with_its_owner(shop):
    first = ask(shop, host=[shop[2][0].pk])
    problem = refused(409, "instance_locked", shop, host=[shop[2][0].pk, shop[2][1].pk])
    assert f"locked by ann, deployment {first.pk}, since " in problem.detail
    assert problem.errors[0]["instance_id"] == shop[2][0].pk


def test_a_locked_instance_is_left_out_of_all_and_named_in_the_answer(shop):
    ask(shop, host=[shop[2][0].pk])
    second = ask(shop)
    assert [(one["instance_id"], one["code"]) for one in second.skipped] == [(shop[2][0].pk, "instance_locked")]
    assert second.operations.count() == 2


def test_on_locked_says_otherwise_for_ids_and_for_all(shop):
    ask(shop, host=[shop[2][0].pk])
    refused(409, "nothing_to_do", shop, host=[shop[2][0].pk], on_locked="skip")
    mixed = ask(shop, host=[shop[2][0].pk, shop[2][1].pk], on_locked="skip")
    assert [one["instance_id"] for one in mixed.skipped] == [shop[2][0].pk]


@pytest.mark.parametrize("status", list(InstanceStatus))
def test_only_running_and_failed_upgrades_and_reverts_may_be_changed(shop, status):
    MicroServiceInstance.objects.update(status=status)
    may = status in (InstanceStatus.RUNNING, InstanceStatus.UPGRADE_FAILED, InstanceStatus.REVERT_FAILED)
    if may:
        assert ask(shop).operations.count() == 3
    else:
        refused(409, "instance_state", shop, host=[shop[2][0].pk])
        refused(409, "nothing_to_do", shop)


def test_maintenance_is_left_out_of_all_and_refused_by_id_unless_forced(shop):
    quiet = shop[2][1]
    MicroServiceInstance.objects.filter(pk=quiet.pk).update(is_maintain=True)
    refused(409, "in_maintenance", shop, host=[quiet.pk])
    assert [one["code"] for one in ask(shop).skipped] == ["in_maintenance"]
    assert ask(shop, host=[quiet.pk], force=True).operations.count() == 1


def test_a_caller_without_the_right_is_refused(shop):
    refused(403, "forbidden", shop, caller=Caller(name="eve", scopes=frozenset({"read", "publish"})))
    elsewhere = Caller(name="eve", scopes=frozenset({"deploy"}), services=frozenset({shop[0].pk + 1}))
    refused(403, "forbidden", shop, caller=elsewhere)


def test_the_number_of_statements_is_the_same_for_three_instances_and_for_three_hundred(shop):
    with CaptureQueriesContext(
        connection,
    ) as few:
        ask(shop, host=[shop[2][0].pk])
    fleet.instances(shop[1][1], fleet.hosts(300, prefix="more"))
    with CaptureQueriesContext(connection) as many:
        ask(shop)
    assert len(many) <= len(few) + 1


def test_batches_follow_the_strategy(shop):
    fleet.instances(shop[1][1], fleet.hosts(7, prefix="more"))
    deployment = ask(shop, strategy={"canary": 1, "batch_size": "30%", "max_failures": 2})
    assert list(deployment.operations.values_list("batch", flat=True)) == [0, 1, 1, 1, 2, 2, 2, 3, 3, 3]
    assert list(deployment.operations.values_list("status", flat=True)) == ["queued"] + ["pending"] * 9


@pytest.mark.parametrize(
    "strategy",
    [[], "x", {"batch_size": 0}, {"batch_size": "0%"}, {"batch_size": "101%"}, {"batch_size": True}, {"canary": -1},
     {"max_failures": 1.5}, {"on_failure": "explode"}, {"pause_between": 1}, {"speed": 3}],
)  # fmt: skip
def test_a_strategy_that_is_none_is_refused_with_a_pointer(shop, strategy):
    assert refused(422, "invalid", shop, strategy=strategy).errors[0]["pointer"].startswith("/strategy")


# ---- preview ---------------------------------------------------------------------------------------------------------


def test_a_preview_shows_each_host_and_changes_nothing(shop):
    service, versions, instances = shop
    plan = deployments.preview(ANN, service, versions[1], "upgrade", "all", versions[2].pk)
    assert [one["instance_id"] for one in plan["targets"]] == [one.pk for one in instances]
    assert "link" in [step["name"] for step in plan["targets"][0]["steps"]]
    assert not Deployment.objects.exists() and not MicroServiceInstance.objects.filter(locked=True).exists()


def test_a_request_with_the_plan_that_was_shown_goes_through(shop):
    plan = deployments.preview(ANN, shop[0], shop[1][1], "upgrade", "all", shop[1][2].pk)["plan"]
    assert ask(shop, plan=plan).operations.count() == 3


def test_a_request_whose_targets_have_moved_is_refused_and_names_what_moved(shop):
    plan = deployments.preview(ANN, shop[0], shop[1][1], "upgrade", "all", shop[1][2].pk)["plan"]
    MicroServiceInstance.objects.filter(pk=shop[2][0].pk).update(port=81)
    assert refused(409, "plan_changed", shop, plan=plan).errors[0]["instance_id"] == shop[2][0].pk
    MicroServiceInstance.objects.filter(pk=shop[2][0].pk).update(port=0, is_maintain=True)
    assert "not among the targets any more" in refused(409, "plan_changed", shop, plan=plan).detail


def test_a_request_whose_service_was_redefined_is_refused(shop):
    plan = deployments.preview(ANN, shop[0], shop[1][1], "upgrade", "all", shop[1][2].pk)["plan"]
    shop[0].start_command = "./other"
    shop[0].save()
    refused(409, "plan_changed", shop, plan=plan)


def test_an_install_with_the_plan_that_was_shown_goes_through_unless_it_is_another_one(shop):
    service, versions, _ = shop
    new = fleet.hosts(2, prefix="new")
    plan = deployments.preview_install(ANN, service, versions[1], [new[0].pk, new[1].pk], port=80)
    assert [(one["host_id"], one["instance_id"]) for one in plan["targets"]] == [(host.pk, None) for host in new]
    assert "upload" in [step["name"] for step in plan["targets"][0]["steps"]]
    ids = [host.pk for host in new]
    for other in ({"port": 81}, {"adopt": True}, {"strategy": {"canary": 1}}):
        with pytest.raises(Problem) as refusal:
            deployments.install(ANN, service, versions[1], ids, plan=plan["plan"], **{"port": 80, **other})
        assert refusal.value.code == "plan_changed"
    with pytest.raises(Problem) as refusal:
        deployments.install(ANN, service, versions[1], ids[:1], port=80, plan=plan["plan"])
    assert refusal.value.errors[0]["host_id"] == ids[1]
    assert "is not among the targets any more" in refusal.value.errors[0]["reason"]
    assert not Deployment.objects.exists() and not MicroServiceInstance.objects.filter(host__in=new).exists()
    made = deployments.install(ANN, service, versions[1], ids, port=80, plan=plan["plan"])
    assert made.operations.count() == 2


def test_a_preview_of_an_install_refuses_what_the_install_refuses(shop):
    service, versions, instances = shop
    (new,) = fleet.hosts(1, prefix="new")
    taken = instances[0].host_id
    wrong = [({"hosts": "all"}, "invalid"), ({"port": 70000}, "invalid"), ({"weight": -1}, "invalid")]
    wrong += [({"hosts": [10**9]}, "wrong_target"), ({"hosts": [new.pk, taken]}, "already_installed")]
    for how, code in wrong:
        for what in (deployments.preview_install, deployments.install):
            with pytest.raises(Problem) as refusal:
                what(ANN, service, versions[1], **{"hosts": [new.pk], **how})
            assert refusal.value.code == code
    MicroServiceInstance.objects.filter(host=taken).update(status=InstanceStatus.DELETING, locked=True)
    plan = deployments.preview_install(ANN, service, versions[1], [new.pk, taken])["plan"]
    made = deployments.install(ANN, service, versions[1], [new.pk, taken], plan=plan)
    assert made.operations.count() == 2, "one of them waits for the end of the delete"


@pytest.mark.parametrize("plan", ["", "x", "a:b:c", 7, [], {}])
def test_a_plan_that_nobody_made_is_refused(shop, plan):
    refused(422, "invalid", shop, plan=plan)


# ---- install, delete, retry, revert ----------------------------------------------------------------------------------


def test_an_install_makes_locked_instances_and_refuses_a_host_that_has_the_service_by_name(shop):
    service, versions, instances = shop
    new = fleet.hosts(2, prefix="new")
    with pytest.raises(Problem) as caught:
        deployments.install(ANN, service, versions[0], [new[0].pk, instances[0].host_id])
    assert (caught.value.status, caught.value.code) == (409, "already_installed")
    assert str(instances[0].host) in caught.value.detail
    assert MicroServiceInstance.objects.count() == 3
    deployment = deployments.install(ANN, service, versions[0], [host.pk for host in new], port=8080, tag="blue")
    made = MicroServiceInstance.objects.filter(lock_deployment=deployment)
    assert {(row.status, row.version_id, row.port, row.tag) for row in made} == {
        (InstanceStatus.INSTALLING, None, 8080, "blue")
    }


@pytest.mark.parametrize("port", [-1, 65536, 10**12])
def test_an_install_with_an_impossible_port_is_refused(shop, port):
    from django.core.exceptions import ValidationError

    with pytest.raises((Problem, ValidationError)):
        deployments.install(ANN, shop[0], shop[1][0], [fleet.hosts(1)[0].pk], port=port)


def test_an_install_never_goes_to_all_nor_to_a_host_that_does_not_exist(shop):
    for hosts in ("all", [999999]):
        with pytest.raises(Problem) as caught:
            deployments.install(ANN, shop[0], shop[1][0], hosts)
        assert caught.value.status == 422


def end_all(deployment, status, **more):
    """Ends every operation by hand, as the ledger would."""
    from django.db import transaction

    from microservice import endings, events

    rows = list(deployment.operations.select_related("deployment"))
    Operation.objects.filter(pk__in=[row.pk for row in rows]).update(status=OperationStatus.RUNNING)
    Deployment.objects.filter(pk=deployment.pk).update(status=DeploymentStatus.RUNNING)
    with transaction.atomic():
        events.write(endings.end([endings.Ending(row, status, **more) for row in rows]))
    deployment.refresh_from_db()


def test_a_success_moves_the_version_and_unlocks_in_one_go(shop):
    deployment = ask(shop)
    end_all(deployment, OperationStatus.SUCCEEDED)
    assert deployment.status == DeploymentStatus.SUCCEEDED and deployment.finished
    rows = MicroServiceInstance.objects.values_list("version", "previous_version", "locked", "status")
    assert set(rows) == {(shop[1][2].pk, shop[1][1].pk, False, InstanceStatus.RUNNING)}


def test_a_failure_leaves_the_old_version_a_failed_status_and_no_lock(shop):
    deployment = ask(shop)
    end_all(deployment, OperationStatus.UNDONE, error="the check said no")
    assert deployment.status == DeploymentStatus.FAILED
    assert {(row.version_id, row.locked, row.status) for row in MicroServiceInstance.objects.all()} == {
        (shop[1][1].pk, False, InstanceStatus.UPGRADE_FAILED)
    }


def test_a_retry_takes_exactly_what_is_undone_failed_or_not_started(shop):
    deployment = ask(shop)
    end_all(deployment, OperationStatus.UNDONE)
    done, undone, skipped = deployment.operations.all()
    Operation.objects.filter(pk=done.pk).update(status=OperationStatus.SUCCEEDED)
    Operation.objects.filter(pk=skipped.pk).update(status=OperationStatus.NOT_STARTED)
    again = deployments.retry(ANN, deployment)
    assert again.action == Action.RETRY and again.origin_id == deployment.pk
    rows = list(again.operations.all())
    assert [(row.instance_id, row.origin_id, row.attempt, row.action) for row in rows] == [
        (undone.instance_id, undone.pk, 2, "upgrade"), (skipped.instance_id, skipped.pk, 2, "upgrade")
    ]  # fmt: skip


def test_a_retry_leaves_out_what_has_moved_on_since(shop):
    deployment = ask(shop)
    end_all(deployment, OperationStatus.UNDONE)
    MicroServiceInstance.objects.filter(pk=shop[2][0].pk).update(version=shop[1][3])
    again = deployments.retry(ANN, deployment)
    assert [one["code"] for one in again.skipped] == ["instance_moved"] and again.operations.count() == 2


def test_a_retry_of_instances_repeats_toward_the_same_version(shop):
    deployment = ask(shop)
    end_all(deployment, OperationStatus.UNDONE)
    again = deployments.retry_instances(ANN, shop[0], [shop[2][1].pk])
    row = again.operations.get()
    assert (row.dest_version_id, row.action, row.attempt) == (shop[1][2].pk, "upgrade", 2)
    with pytest.raises(Problem):
        deployments.retry_instances(ANN, shop[0], [shop[2][1].pk])


def test_a_revert_sends_each_instance_back_to_where_it_came_from(shop):
    deployment = ask(shop)
    end_all(deployment, OperationStatus.SUCCEEDED)
    back = deployments.revert(ANN, deployment)
    assert {(row.action, row.from_version_id, row.dest_version_id) for row in back.operations.all()} == {
        ("revert", shop[1][2].pk, shop[1][1].pk)
    }
    end_all(back, OperationStatus.SUCCEEDED)
    forth = deployments.revert(ANN, back)
    assert {row.action for row in forth.operations.all()} == {"upgrade"}


def test_a_revert_of_an_install_is_refused_and_so_is_one_of_a_deployment_that_has_not_ended(shop):
    installed = deployments.install(ANN, shop[0], shop[1][0], [fleet.hosts(1)[0].pk])
    open_one = ask(shop)
    with pytest.raises(Problem) as of_install:
        deployments.revert(ANN, installed)
    with pytest.raises(Problem) as of_open:
        deployments.revert(ANN, open_one)
    assert (of_install.value.status, of_open.value.status) == (422, 409)


def test_a_deleted_instance_is_gone_when_its_host_says_so_and_not_before(shop):
    deployment = deployments.delete(ANN, shop[0], [shop[2][0].pk])
    assert MicroServiceInstance.objects.get(pk=shop[2][0].pk).status == InstanceStatus.DELETING
    end_all(deployment, OperationStatus.SUCCEEDED)
    assert not MicroServiceInstance.objects.filter(pk=shop[2][0].pk).exists()
    assert deployment.operations.get().instance_number == shop[2][0].pk


# ---- control ---------------------------------------------------------------------------------------------------------


def test_a_cancel_before_anything_began_frees_every_instance_as_it_was(shop):
    MicroServiceInstance.objects.filter(pk=shop[2][0].pk).update(status=InstanceStatus.REVERT_FAILED)
    deployment = deployments.cancel(ANN, ask(shop))
    assert deployment.status == DeploymentStatus.CANCELLED
    assert {row.status for row in deployment.operations.all()} == {OperationStatus.CANCELLED}
    assert sorted(MicroServiceInstance.objects.values_list("locked", "status")) == [(False, 0), (False, 0), (False, 13)]


def test_a_cancel_waits_for_what_has_begun(shop):
    deployment = ask(shop)
    first = deployment.operations.first()
    Operation.objects.filter(pk=first.pk).update(status=OperationStatus.RUNNING)
    Deployment.objects.filter(pk=deployment.pk).update(status=DeploymentStatus.RUNNING)
    assert deployments.cancel(ANN, deployment).status == DeploymentStatus.CANCELLING
    first.refresh_from_db()
    assert first.cancel_requested and first.status == OperationStatus.RUNNING


def test_a_paused_deployment_goes_on_where_it_was(shop):
    deployment = deployments.pause(ANN, ask(shop))
    assert deployment.status == DeploymentStatus.PAUSED
    assert deployments.resume(ANN, deployment).status == DeploymentStatus.QUEUED


def test_breaking_a_lock_needs_a_reason_frees_the_instance_and_leaves_a_row(shop):
    deployment = ask(shop, host=[shop[2][0].pk])
    instance = MicroServiceInstance.objects.get(pk=shop[2][0].pk)
    with pytest.raises(Problem):
        deployments.break_lock(ANN, instance, "  ")
    deployments.break_lock(ANN, instance, "host burned down")
    instance.refresh_from_db()
    deployment.refresh_from_db()
    assert (instance.locked, instance.status) == (False, InstanceStatus.RUNNING)
    assert deployment.status == DeploymentStatus.FAILED
    assert History.objects.first().reason == "host burned down"


# ---- fifty at once ---------------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_fifty_simultaneous_requests_give_each_instance_one_owner(transactional_db):
    service = fleet.service()
    old, new = fleet.versions(service, 2)
    rows = fleet.instances(old, fleet.hosts(20))
    start, answers = threading.Barrier(50), []

    def client(number):
        chosen = [row.pk for row in rows[number % 5 :: 5]] if number % 2 else "all"
        start.wait()
        try:
            answers.append(deployments.request(SYSTEM, service, old, "upgrade", chosen, new.pk))
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
