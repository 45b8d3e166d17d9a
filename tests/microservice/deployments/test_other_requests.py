"""Requests to install, delete, retry and revert, and the instances after their end. No host is contacted."""

import pytest

from access.problems import Problem
from api.schemas.deployment_requests import InstallRequest
from asset.strategy import ALL_AT_ONCE
from microservice.deployments import actions, installs
from microservice.deployments.installs import Installation
from microservice.models import Deployment, MicroServiceInstance, Operation
from microservice.status import Action, DeploymentStatus, InstanceStatus, OperationStatus
from tests import factories
from tests.microservice.deployments.requests import ANN, end_all, install, other, revert, send

pytestmark = pytest.mark.django_db


def test_install(shop):
    _service, versions, instances = shop
    new = factories.hosts(2, prefix="new")
    with pytest.raises(Problem) as caught:
        install(ANN, versions[0], [new[0].pk, instances[0].host_id])
    assert (caught.value.status, caught.value.code) == (409, "already_installed")
    assert str(instances[0].host) in caught.value.detail
    assert MicroServiceInstance.objects.count() == 3
    deployment = install(ANN, versions[0], [host.pk for host in new], port=8080, tag="blue")
    made = MicroServiceInstance.objects.filter(lock_deployment=deployment)
    assert {(row.status, row.version_id, row.port, row.tag) for row in made} == {
        (InstanceStatus.INSTALLING, None, 8080, "blue")
    }


@pytest.mark.parametrize("port", [-1, 65536, 10**12])
def test_install_rejects_port(shop, port):
    from django.core.exceptions import ValidationError

    with pytest.raises((Problem, ValidationError)):
        install(ANN, shop.versions[0], [factories.hosts(1)[0].pk], port=port)


def test_install_rejects_all_and_unknown_hosts(shop):
    with pytest.raises(Problem) as caught:
        install(ANN, shop.versions[0], [999999])
    assert (caught.value.status, caught.value.code) == (422, "wrong_target")
    with pytest.raises(Problem) as caught:
        InstallRequest(host="all").as_installation(shop.versions[0])
    assert (caught.value.status, caught.value.errors[0]["pointer"]) == (422, "/host")


def test_success_changes_version(shop):
    deployment = send(shop)
    end_all(deployment, OperationStatus.SUCCEEDED)
    assert deployment.status == DeploymentStatus.SUCCEEDED and deployment.finished
    rows = MicroServiceInstance.objects.values_list("version", "previous_version", "locked", "status")
    assert set(rows) == {(shop.versions[2].pk, shop.versions[1].pk, False, InstanceStatus.RUNNING)}


def test_failure_keeps_version(shop):
    deployment = send(shop)
    end_all(deployment, OperationStatus.UNDONE, error=other("the check said no"))
    assert deployment.status == DeploymentStatus.FAILED
    assert {(row.version_id, row.locked, row.status) for row in MicroServiceInstance.objects.all()} == {
        (shop.versions[1].pk, False, InstanceStatus.UPGRADE_FAILED)
    }


def test_retry_takes_only_failures(shop):
    deployment = send(shop)
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


def test_retry_of_older_row_has_whole_strategy(shop):
    deployment = send(shop)
    end_all(deployment, OperationStatus.UNDONE)
    deployment.strategy = {}
    deployment.save()
    assert actions.retry(ANN, deployment).strategy == ALL_AT_ONCE.to_json()


def test_retry_skips_changed_instances(shop):
    deployment = send(shop)
    end_all(deployment, OperationStatus.UNDONE)
    MicroServiceInstance.objects.filter(pk=shop.instances[0].pk).update(version=shop.versions[3])
    again = actions.retry(ANN, deployment)
    assert [one["code"] for one in again.skipped] == ["concurrent_update.target"] and again.operations.count() == 2


def test_retry_instances(shop):
    deployment = send(shop)
    end_all(deployment, OperationStatus.UNDONE)
    again = actions.retry_instances(ANN, shop.service, [shop.instances[1].pk])
    row = again.operations.get()
    assert (row.dest_version_id, row.action, row.attempt) == (shop.versions[2].pk, "upgrade", 2)
    with pytest.raises(Problem):
        actions.retry_instances(ANN, shop.service, [shop.instances[1].pk])


def test_revert_and_revert_of_revert(shop):
    deployment = send(shop)
    end_all(deployment, OperationStatus.SUCCEEDED)
    back = revert(ANN, deployment)
    assert {(row.action, row.from_version_id, row.dest_version_id) for row in back.operations.all()} == {
        ("revert", shop.versions[2].pk, shop.versions[1].pk)
    }
    end_all(back, OperationStatus.SUCCEEDED)
    forth = revert(ANN, back)
    assert {row.action for row in forth.operations.all()} == {"upgrade"}


def test_rejects_revert_of_install_or_open_deployment(shop):
    installed = install(ANN, shop.versions[0], [factories.hosts(1)[0].pk])
    open_one = send(shop)
    with pytest.raises(Problem) as of_install:
        revert(ANN, installed)
    with pytest.raises(Problem) as of_open:
        revert(ANN, open_one)
    assert (of_install.value.status, of_open.value.status) == (422, 409)


def test_delete_removes_row_at_the_end(shop):
    deployment = actions.delete(ANN, shop.service, [shop.instances[0].pk])
    assert MicroServiceInstance.objects.get(pk=shop.instances[0].pk).status == InstanceStatus.DELETING
    end_all(deployment, OperationStatus.SUCCEEDED)
    assert not MicroServiceInstance.objects.filter(pk=shop.instances[0].pk).exists()
    assert deployment.operations.get().instance_id_snapshot == shop.instances[0].pk


def test_install_leaves_out_what_has_the_service(shop):
    """Named or chosen by labels: the others get it, and where none is left, nothing is requested."""
    version, there, [new] = shop.versions[0], shop.instances[0].host, factories.hosts(1, prefix="new")
    for host in (there, new):
        host.labels = {"zone": "eu"}
        host.save()
    for chosen in ({"host": (there.pk, new.pk)}, {"labels": {"zone": "eu"}}):
        wanted = Installation(version=version, skip_installed=True, **chosen)
        assert [row.host_id for row, _plan in actions.preview_install(ANN, wanted).targets] == [new.pk]
        deployment = actions.install_missing(ANN, wanted)
        assert [row.host_id for row in deployment.operations.all()] == [new.pk]
        assert actions.install_missing(ANN, wanted) is None
        assert Deployment.objects.count() == 1, "one that leaves nothing to do is not kept"
        end_all(deployment, OperationStatus.FAILED, error=other("no room"))
        again = actions.install_missing(ANN, wanted)
        assert [row.host_id for row in again.operations.all()] == [new.pk], "a first install that failed is repeated"
        for rows in (Operation.objects.all(), MicroServiceInstance.objects.filter(host=new), Deployment.objects.all()):
            rows.delete()
    with pytest.raises(Problem) as caught:
        actions.install_missing(ANN, Installation(version=version, skip_installed=True, labels={"zone": "asia"}))
    assert caught.value.code == "wrong_target"


def test_install_leaves_out_what_another_request_installed_meanwhile(shop, monkeypatch):
    [new, late] = factories.hosts(2, prefix="new")
    look_up = installs._look_up

    def overtaken(*args):
        """Another request installs it on one of the hosts as soon as both were found free of it."""
        monkeypatch.setattr(installs, "_look_up", look_up)
        found = look_up(*args)
        factories.instances(shop.versions[0], [late])
        return found

    monkeypatch.setattr(installs, "_look_up", overtaken)
    wanted = Installation(version=shop.versions[0], skip_installed=True, host=(new.pk, late.pk))
    deployment = actions.install_missing(ANN, wanted)
    assert [row.host_id for row in deployment.operations.all()] == [new.pk]
