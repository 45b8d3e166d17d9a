"""Versions and services are deleted if nothing needs them; else the error names what does."""

import threading
import time

import pytest
from django.core.files import storage  # the store itself is lazy: a collector that looks at it would ask the database
from django.core.files.base import ContentFile
from django.db import connection, transaction

from access.callers import Caller
from access.problems import Problem
from audit.models import History
from microservice import catalog
from microservice.deployments import actions
from microservice.models import Deployment, MicroService, MicroServiceInstance, MicroServiceVersion, Operation
from microservice.status import Action, BuildStatus, DeploymentStatus, InstanceStatus, OperationStatus
from tests import factories
from tests.microservice.deployments.requests import change_version, revert

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.found("removal")]
ADMIN = Caller(name="root", scopes=frozenset({"read", "publish", "deploy", "admin"}))


def in_use(version) -> Problem:
    with pytest.raises(Problem) as caught:
        catalog.delete_version(ADMIN, version, "old")
    assert (caught.value.status, caught.value.code) == (409, "version_in_use")
    assert not MicroServiceVersion.every.get(pk=version.pk).archived
    return caught.value


def test_removes_package_and_keeps_history(shop):
    service, (_, running, _, last), instances = shop
    path = storage.default_storage.save("shop/4.0.tar.gz", ContentFile(b"package"))
    MicroServiceVersion.objects.filter(pk=last.pk).update(file_path=path)
    made = factories.deployment(instances[:1], last, DeploymentStatus.FAILED, OperationStatus.UNDONE)
    catalog.delete_version(ADMIN, last, "leaked a key")
    assert not storage.default_storage.exists(path)
    assert last not in service.versions.all() and not MicroServiceVersion.objects.filter(pk=last.pk).exists()
    assert made.operations.select_related("dest_version").get().dest_version.version == "4.0"
    row = History.objects.get(action="delete", subject="version")
    assert (row.actor, row.subject_name, row.reason, row.before["file_path"]) == ("root", "4.0", "leaked a key", path)
    assert "4.0" not in [row["version"] for row in actions.list_destinations(running, Action.UPGRADE)]
    catalog.delete_version(ADMIN, last)  # again: nothing changes
    assert History.objects.filter(action="delete").count() == 1


def test_name_is_free_again(shop):
    service, (*_, last), _ = shop
    catalog.delete_version(ADMIN, last)
    again, is_new = catalog.create_version(ADMIN, service, {"version": "4.0"})
    assert is_new and again.pk != last.pk and again.status == BuildStatus.PENDING


@pytest.mark.parametrize(("field", "words"), [("version", "it runs on host1"), ("previous_version", "be reverted to")])
def test_rejects_version_in_use(shop, field, words):
    _, (one, *_), (first, *_) = shop
    MicroServiceInstance.objects.filter(pk=first.pk).update(**{field: one})
    problem = in_use(one)
    assert words in problem.detail and first.host.hostname in problem.detail
    assert problem.errors[0]["instance_id"] == first.pk and problem.errors[0]["host_id"] == first.host_id


def test_rejects_version_of_open_or_failed_operation(shop):
    _, (_, _, third, last), instances = shop
    made = factories.deployment(instances[:1], third)
    assert f"deployment {made.pk}" in in_use(third).detail
    failed = factories.deployment(instances[1:2], last, DeploymentStatus.FAILED, OperationStatus.UNDONE)
    MicroServiceInstance.objects.filter(pk=instances[1].pk).update(
        last_operation=failed.operations.get(), status=InstanceStatus.UPGRADE_FAILED
    )
    assert "can be retried" in in_use(last).detail


def test_rejects_version_being_built(shop):
    version = factories.versions(shop.service, 1, BuildStatus.BUILDING)[0]
    assert "being built" in in_use(version).detail


def test_retry_and_revert_reject_deleted_version(shop):
    _, (one, two, three, _), instances = shop
    old = factories.deployment(instances[:1], three, DeploymentStatus.FAILED, OperationStatus.UNDONE)
    back = factories.deployment(instances[1:2], two, DeploymentStatus.SUCCEEDED, OperationStatus.SUCCEEDED)
    Operation.objects.filter(deployment=back).update(from_version=one)
    for version in (three, one):
        catalog.delete_version(ADMIN, version)
    for act, deployment in ((actions.retry, old), (revert, back)):
        with pytest.raises(Problem) as caught:
            act(ADMIN, deployment)
        assert caught.value.code == "version_deleted"
    assert Deployment.objects.count() == 2


def test_deletes_version_on_its_page(shop, admin_client):
    _, (one, two, *_), _ = shop
    page = admin_client.get(f"/services/shop/versions/{one.pk}/").content.decode()
    assert 'id="sure-delete"' in page and "permanently removed from the store" in page
    said = admin_client.post(f"/services/shop/versions/{two.pk}/delete/", follow=True).content.decode()
    assert "cannot be deleted: it runs on" in said
    said = admin_client.post(f"/services/shop/versions/{one.pk}/delete/", {"reason": "old"}, follow=True)
    assert "1.0 was deleted" in said.content.decode()
    assert not MicroServiceVersion.objects.filter(pk=one.pk).exists()


def test_deletes_service_on_its_page(shop, admin_client):
    service, (*_, last), instances = shop
    factories.deployment(instances[:1], last, DeploymentStatus.FAILED, OperationStatus.UNDONE)
    page = admin_client.get("/services/shop/settings/").content.decode()
    assert "It has 3 instances" in page and "/delete/" not in page
    said = admin_client.post("/services/shop/delete/", {"name": "shop"}, follow=True).content.decode()
    assert "has 3 instances" in said
    actions.forget(ADMIN, service, [row.pk for row in instances], "gone")
    catalog.delete_version(ADMIN, last)
    assert "/services/shop/delete/" in admin_client.get("/services/shop/settings/").content.decode()
    said = admin_client.post("/services/shop/delete/", {"name": "shopp"}, follow=True).content.decode()
    assert "must be the service" in said and MicroService.objects.exists()
    said = admin_client.post("/services/shop/delete/", {"name": "shop"}, follow=True).content.decode()
    assert "shop was deleted" in said and not MicroService.objects.exists()
    assert not MicroServiceVersion.every.exists()
    assert History.objects.filter(action="delete", subject="service", subject_name="shop").exists()


def test_request_waits_for_concurrent_delete(shop):
    """What was looked at before the transaction may be gone in it: a package that is gone is never on its way."""
    _service, (_, running, _, last), _ = shop
    held, go, outcomes = threading.Event(), threading.Event(), []

    def delete() -> None:
        with transaction.atomic():
            catalog.delete_version(ADMIN, last, "old")
            held.set()
            go.wait(60)
        connection.close()

    def request() -> None:
        try:
            outcomes.append(change_version(ADMIN, running, last.pk, "upgrade", host="all"))
        except Problem as problem:
            outcomes.append(problem.code)
        connection.close()

    deleting, requesting = threading.Thread(target=delete), threading.Thread(target=request)
    deleting.start()
    assert held.wait(60)
    requesting.start()
    time.sleep(0.5)  # it has looked, and waits for the row or for its turn to write
    go.set()
    deleting.join(60)
    requesting.join(60)
    assert outcomes == ["version_deleted"] and not Deployment.objects.exists()


def test_requests_to_one_version_run_in_parallel(shop):
    if not connection.features.has_select_for_update:
        return  # there is one writer anyway
    _, (_, _, _, last), _ = shop
    with transaction.atomic():
        catalog.refuse_deleted([last.pk], "/dest_version")
        other = threading.Thread(target=lambda: (_held(last.pk), connection.close()))
        other.start()
        other.join(60)
        assert not other.is_alive()


def _held(number: int) -> None:
    with transaction.atomic():
        catalog.refuse_deleted([number], "/dest_version")
