"""Installs, deletes, retries and reverts as requests, and how their ends leave the instances. No host is touched."""

import pytest

from access.problems import Problem
from microservice.deployments import actions
from microservice.models import MicroServiceInstance, Operation
from microservice.status import Action, DeploymentStatus, InstanceStatus, OperationStatus

from . import fleet
from .shop import ANN, ask, end_all

pytestmark = pytest.mark.django_db


def test_an_install_makes_locked_instances_and_refuses_a_host_that_has_the_service_by_name(shop):
    service, versions, instances = shop
    new = fleet.hosts(2, prefix="new")
    with pytest.raises(Problem) as caught:
        actions.install(ANN, service, versions[0], [new[0].pk, instances[0].host_id])
    assert (caught.value.status, caught.value.code) == (409, "already_installed")
    assert str(instances[0].host) in caught.value.detail
    assert MicroServiceInstance.objects.count() == 3
    deployment = actions.install(ANN, service, versions[0], [host.pk for host in new], port=8080, tag="blue")
    made = MicroServiceInstance.objects.filter(lock_deployment=deployment)
    assert {(row.status, row.version_id, row.port, row.tag) for row in made} == {
        (InstanceStatus.INSTALLING, None, 8080, "blue")
    }


@pytest.mark.parametrize("port", [-1, 65536, 10**12])
def test_an_install_with_an_impossible_port_is_refused(shop, port):
    from django.core.exceptions import ValidationError

    with pytest.raises((Problem, ValidationError)):
        actions.install(ANN, shop[0], shop[1][0], [fleet.hosts(1)[0].pk], port=port)


def test_an_install_never_goes_to_all_nor_to_a_host_that_does_not_exist(shop):
    for hosts in ("all", [999999]):
        with pytest.raises(Problem) as caught:
            actions.install(ANN, shop[0], shop[1][0], hosts)
        assert caught.value.status == 422


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
    again = actions.retry(ANN, deployment)
    assert again.action == Action.RETRY and again.origin_id == deployment.pk
    rows = list(again.operations.all())
    assert [(row.instance_id, row.origin_id, row.attempt, row.action) for row in rows] == [
        (undone.instance_id, undone.pk, 2, "upgrade"),
        (skipped.instance_id, skipped.pk, 2, "upgrade"),
    ]


def test_a_retry_leaves_out_what_has_moved_on_since(shop):
    deployment = ask(shop)
    end_all(deployment, OperationStatus.UNDONE)
    MicroServiceInstance.objects.filter(pk=shop[2][0].pk).update(version=shop[1][3])
    again = actions.retry(ANN, deployment)
    assert [one["code"] for one in again.skipped] == ["concurrent_update"] and again.operations.count() == 2


def test_a_retry_of_instances_repeats_toward_the_same_version(shop):
    deployment = ask(shop)
    end_all(deployment, OperationStatus.UNDONE)
    again = actions.retry_instances(ANN, shop[0], [shop[2][1].pk])
    row = again.operations.get()
    assert (row.dest_version_id, row.action, row.attempt) == (shop[1][2].pk, "upgrade", 2)
    with pytest.raises(Problem):
        actions.retry_instances(ANN, shop[0], [shop[2][1].pk])


def test_a_revert_sends_each_instance_back_to_where_it_came_from(shop):
    deployment = ask(shop)
    end_all(deployment, OperationStatus.SUCCEEDED)
    back = actions.revert(ANN, deployment)
    assert {(row.action, row.from_version_id, row.dest_version_id) for row in back.operations.all()} == {
        ("revert", shop[1][2].pk, shop[1][1].pk)
    }
    end_all(back, OperationStatus.SUCCEEDED)
    forth = actions.revert(ANN, back)
    assert {row.action for row in forth.operations.all()} == {"upgrade"}


def test_a_revert_of_an_install_is_refused_and_so_is_one_of_a_deployment_that_has_not_ended(shop):
    installed = actions.install(ANN, shop[0], shop[1][0], [fleet.hosts(1)[0].pk])
    open_one = ask(shop)
    with pytest.raises(Problem) as of_install:
        actions.revert(ANN, installed)
    with pytest.raises(Problem) as of_open:
        actions.revert(ANN, open_one)
    assert (of_install.value.status, of_open.value.status) == (422, 409)


def test_a_deleted_instance_is_gone_when_its_host_says_so_and_not_before(shop):
    deployment = actions.delete(ANN, shop[0], [shop[2][0].pk])
    assert MicroServiceInstance.objects.get(pk=shop[2][0].pk).status == InstanceStatus.DELETING
    end_all(deployment, OperationStatus.SUCCEEDED)
    assert not MicroServiceInstance.objects.filter(pk=shop[2][0].pk).exists()
    assert deployment.operations.get().instance_number == shop[2][0].pk
