"""What plans and requests cost: for more targets not one query more, and no object of the targets or their hosts."""

from collections.abc import Callable
from contextlib import contextmanager

import pytest
from django.db import connection, transaction
from django.db.models.signals import post_init
from django.test.utils import CaptureQueriesContext

from asset.models import Asset
from microservice.deployments import actions
from microservice.deployments.installs import Installation
from microservice.deployments.reverts import DeploymentRevert
from microservice.deployments.version_change import VersionChange
from microservice.models import MicroServiceInstance, MicroServiceVersion, Operation
from microservice.status import Action, InstanceStatus, OperationStatus
from runtime import sql
from tests import factories

from .requests import ANN, end_all, installation, send, version_change

pytestmark = pytest.mark.django_db


@contextmanager
def objects_made():
    """Provide the list of the models of which objects are made meanwhile."""
    made: list[str] = []

    def note(sender: type, **_more: object) -> None:
        if sender in (Asset, MicroServiceInstance, MicroServiceVersion, Operation):
            made.append(sender.__name__)

    post_init.connect(note)
    try:
        yield made
    finally:
        post_init.disconnect(note)


def cost(act: Callable[[], object]) -> tuple[int, list[str]]:
    """Return how many statements it takes and of what it makes objects. Nothing of it stays."""
    with transaction.atomic():
        with objects_made() as made, CaptureQueriesContext(connection) as statements:
            act()
        transaction.set_rollback(True)
    return len(statements), sorted(made)


def all_alike(shop, how: Callable[[], list[Callable[[], object]]]) -> None:
    """Try each way with the instances that are there, and with forty more."""
    small = [cost(act) for act in how()]
    factories.instances(shop.versions[1], factories.hosts(40, prefix="more"))
    assert [cost(act) for act in how()] == small


def test_upgrades_and_deploys(shop):
    def deploy(token: str | None = None) -> VersionChange:
        dest = shop.versions[2].pk
        return VersionChange(
            service=shop.service, action=Action.DEPLOY, dest_version=dest, host="all", plan_token=token
        )

    def how() -> list[Callable[[], object]]:
        upgrade = version_change(shop.versions[1], shop.versions[2])
        token = actions.preview(ANN, deploy()).token
        return [
            lambda: actions.preview(ANN, upgrade).as_json(),
            lambda: actions.preview(ANN, deploy()).as_json(),
            lambda: actions.deploy(ANN, deploy(token)),
        ]

    all_alike(shop, how)


def test_skipped_targets(shop):
    MicroServiceInstance.objects.filter(pk=shop.instances[0].pk).update(is_maintain=True)

    def how() -> list[Callable[[], object]]:
        last = MicroServiceInstance.objects.order_by("-pk").first()
        MicroServiceInstance.objects.exclude(pk=last.pk).update(is_maintain=True)
        upgrade = version_change(shop.versions[1], shop.versions[2])
        return [lambda: actions.preview(ANN, upgrade), lambda: actions.change_version(ANN, upgrade)]

    all_alike(shop, how)


def test_reverts(shop):
    def how() -> list[Callable[[], object]]:
        MicroServiceInstance.objects.update(locked=False, version=shop.versions[1], status=InstanceStatus.RUNNING)
        origin = send(shop)
        end_all(origin, OperationStatus.SUCCEEDED)
        token = actions.preview_revert(ANN, DeploymentRevert(origin=origin)).token
        return [
            lambda: actions.preview_revert(ANN, DeploymentRevert(origin=origin)).as_json(),
            lambda: actions.revert(ANN, DeploymentRevert(origin=origin, plan_token=token)),
        ]

    all_alike(shop, how)


def test_plans_of_installs(shop):
    """The request itself writes a row for each host, with an object for each."""

    def how() -> list[Callable[[], object]]:
        Asset.objects.filter(instances__isnull=True).update(labels={"zone": "new"})
        labelled = Installation(version=shop.versions[1], labels={"zone": "new"})
        return [
            lambda: actions.preview_install(ANN, labelled).as_json(),
            lambda: actions.preview_install(ANN, installation(shop.versions[1], free())),
        ]

    def free() -> list[int]:
        return list(Asset.objects.filter(instances__isnull=True).values_list("pk", flat=True))

    factories.hosts(3, prefix="new")
    small = [cost(act) for act in how()]
    factories.hosts(40, prefix="newer")
    assert [cost(act) for act in how()] == small


@pytest.mark.parametrize("most", [0, 500], ids=["as one value", "one by one"])
def test_targets_that_are_named(shop, monkeypatch, most):
    """Many ids are one value of a statement."""
    monkeypatch.setattr(sql, "MANY", most)
    named = [row.host_id for row in shop.instances[:2]]
    upgrade = version_change(shop.versions[1], shop.versions[2], host=named)
    assert {row.host_id for row, _plan in actions.preview(ANN, upgrade).targets} == set(named)
    by_id = version_change(shop.versions[1], shop.versions[2], instances=[shop.instances[2].pk])
    origin = actions.change_version(ANN, upgrade)
    actions.change_version(ANN, by_id)
    assert set(origin.operations.values_list("host", flat=True)) == set(named)
    end_all(origin, OperationStatus.SUCCEEDED)
    back = actions.revert(ANN, DeploymentRevert(origin=origin, hosts=(named[0],)))
    assert list(back.operations.values_list("host", flat=True)) == [named[0]]
    assert MicroServiceInstance.objects.filter(locked=True).count() == 2
