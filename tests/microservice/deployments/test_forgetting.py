"""Lost hosts: their instances are forgotten, whatever runs on them, and the hosts are archived."""

import pytest
from django.utils import timezone

from access.callers import SYSTEM, Caller
from access.problems import Problem
from asset import credentials, hosts
from asset.models import Asset, Credential
from audit.models import History
from callbacks.models import Callback, Delivery, EventType
from deployer.engine.codes import Code
from microservice.deployments import actions, delete_retries, retries
from microservice.models import Deployment, MicroServiceInstance, Operation
from microservice.status import DeploymentStatus, InstanceStatus, OperationStatus
from tests import factories
from tests.microservice.deployments.requests import install, other
from worker.claims import FENCES_PER_INSTANCE
from worker.results import OperationResult
from worker.writer import BatchWriter

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.found("removal")]
ANN = Caller(name="ann", scopes=frozenset({"deploy"}))
ADMIN = Caller(name="root", scopes=frozenset({"read", "publish", "deploy", "admin"}))
WHY = "the machine burned"


@pytest.fixture(autouse=True)
def packages(monkeypatch):
    monkeypatch.setattr("microservice.deployments.installs.require_package", lambda version, pointer: version)
    monkeypatch.setattr("microservice.deployments.destinations.ensure_rewritten", lambda version: version)


@pytest.fixture
def batch(transactional_db):
    made = BatchWriter("w1", 16)
    yield made
    made.close()


def refused(code, act, *args, **more) -> Problem:
    with pytest.raises(Problem) as caught:
        act(*args, **more)
    assert caught.value.code == code, caught.value
    return caught.value


def test_forget(shop):
    service, versions, (one, two, three) = shop
    result = actions.forget(ANN, service, [one.pk, two.pk], WHY)
    assert [(row["id"], row["version"], row["operation_id"]) for row in result] == [
        (one.pk, "2.0", None),
        (two.pk, "2.0", None),
    ]
    assert list(MicroServiceInstance.objects.values_list("pk", flat=True)) == [three.pk]
    rows = History.objects.filter(action="forget").order_by("pk")
    assert [(row.actor, row.subject_id, row.reason, row.before["version"]) for row in rows] == [
        ("ann", one.pk, WHY, "2.0"),
        ("ann", two.pk, WHY, "2.0"),
    ]
    again = install(ADMIN, versions[0], [one.host_id])
    assert again.operations.get().instance_id not in (one.pk, two.pk)


@pytest.mark.parametrize("reason", ["", "  ", "x" * 501, "two\nlines"])
def test_forget_requires_reason(shop, reason):
    service, _, (one, *_) = shop
    assert refused("invalid", actions.forget, ANN, service, [one.pk], reason).status == 422
    assert MicroServiceInstance.objects.count() == 3


def test_forget_requires_right(shop):
    service, _, (one, *_) = shop
    reader = Caller(name="eve", scopes=frozenset({"read"}))
    assert refused("forbidden", actions.forget, reader, service, [one.pk], WHY).status == 403
    other = factories.instances(factories.versions(factories.service("other"))[0], factories.hosts(1, prefix="x"))[0]
    assert refused("wrong_target", actions.forget, ANN, service, [one.pk, other.pk], WHY).status == 422
    assert MicroServiceInstance.objects.count() == 4


@pytest.mark.parametrize("state", [OperationStatus.QUEUED, OperationStatus.RUNNING, OperationStatus.UNKNOWN])
def test_forget_ends_operations(shop, batch, state):
    service, _, (one, *_) = shop
    made = actions.delete(ANN, service, [one.pk])
    claim = None
    if state is not OperationStatus.QUEUED:
        claim = batch.claim()
        if state is OperationStatus.UNKNOWN:
            assert batch.finish(
                OperationResult(claim.operation, OperationStatus.UNKNOWN, error=other("silent"), reached=False)
            )
    result = actions.forget(ANN, service, [one.pk], WHY)
    operation = made.operations.get()
    assert result[0]["operation_id"] == operation.pk
    ended = OperationStatus.NOT_STARTED if state is OperationStatus.QUEUED else OperationStatus.FAILED
    assert (operation.status, operation.instance_id, operation.owner) == (ended, None, "")
    assert WHY in operation.error and operation.instance_id_snapshot == one.pk
    made.refresh_from_db()
    assert made.status == DeploymentStatus.FAILED
    if state is OperationStatus.RUNNING:
        assert not batch.finish(OperationResult(claim.operation, OperationStatus.SUCCEEDED))
        operation.refresh_from_db()
        assert operation.status == OperationStatus.FAILED
    assert batch.claim() is None
    assert not MicroServiceInstance.objects.filter(pk=one.pk).exists()


def test_later_instance_has_higher_fence(shop, batch):
    service, versions, (one, *_) = shop
    actions.delete(ANN, service, [one.pk])
    old = batch.claim().operation.fence
    actions.forget(ANN, service, [one.pk], WHY)
    install(ADMIN, versions[0], [one.host_id])
    new = batch.claim().operation
    assert new.fence > old and new.fence // FENCES_PER_INSTANCE > old // FENCES_PER_INSTANCE


def test_forget_ends_deferred_install(shop):
    service, versions, (one, *_) = shop
    actions.delete(ANN, service, [one.pk])
    waiting = install(ADMIN, versions[0], [one.host_id])
    actions.forget(ANN, service, [one.pk], WHY)
    waiting.refresh_from_db()
    operation = waiting.operations.get()
    assert operation.status == OperationStatus.NOT_STARTED and WHY in operation.error
    assert waiting.status == DeploymentStatus.FAILED


def fail_delete(batch) -> None:
    claim = batch.claim()
    assert batch.finish(
        OperationResult(claim.operation, OperationStatus.UNDONE, error=other("h cannot be reached"), reached=False)
    )


def test_delete_is_given_up(shop, batch, settings):
    settings.MAX_DELETE_ATTEMPTS = 3
    Callback.objects.create(url="https://example.com/", secret="whsec_AA==", events=list(EventType.values))
    service, _, (one, *_) = shop
    actions.delete(ANN, service, [one.pk])
    fail_delete(batch)
    for tries in (1, 2):
        row = MicroServiceInstance.objects.get(pk=one.pk)
        assert (row.delete_attempts, row.status) == (tries, InstanceStatus.DELETE_FAILED) and row.retry_at
        assert not Delivery.objects.filter(event=EventType.DELETE_GIVEN_UP).exists()
        MicroServiceInstance.objects.filter(pk=one.pk).update(retry_at=timezone.now())
        assert delete_retries.retry_failed_deletes() == 1
        fail_delete(batch)
    row = MicroServiceInstance.objects.get(pk=one.pk)
    assert (row.delete_attempts, row.retry_at, row.status) == (3, None, InstanceStatus.DELETE_FAILED)
    assert delete_retries.retry_failed_deletes() == 0
    delivery = Delivery.objects.get(event=EventType.DELETE_GIVEN_UP)
    assert '"delete_attempts": 3' in delivery.body and "cannot be reached" in delivery.body
    assert History.objects.get(action="give_up").subject_id == one.pk
    retries.retry_instances(ANN, service, [one.pk])  # by hand it can be tried at any time
    fail_delete(batch)
    assert Delivery.objects.filter(event=EventType.DELETE_GIVEN_UP).count() == 2


def test_host_in_use_is_not_archived(shop):
    _, _, (one, *_) = shop
    found = refused("host_in_use", actions.archive_host, ADMIN, one.host, WHY)
    assert "it has instances of shop" in found.detail and found.errors[0]["instance_id"] == one.pk
    jump = factories.hosts(1, prefix="jump")[0]
    Asset.objects.filter(pk=one.host_id).update(jump_host=jump)
    assert one.host.hostname in refused("host_in_use", actions.archive_host, ADMIN, jump, WHY).detail


def test_archive_and_unarchive(shop, client, admin_client):
    service, versions, (one, *_) = shop
    made = factories.deployment([one], versions[2], DeploymentStatus.FAILED, OperationStatus.FAILED)
    name = one.host.hostname
    actions.forget(ANN, service, [one.pk], WHY)
    offers = {f"/services/shop/versions/{versions[0].pk}/install/": f">{name}", "/choose/host/": f'"{name}"'}
    for page, offer in offers.items():
        assert offer in admin_client.get(page).content.decode()
    actions.archive_host(ADMIN, one.host, WHY)
    assert not Asset.objects.filter(pk=one.host_id).exists()
    assert name not in admin_client.get("/hosts/").content.decode()
    assert name in admin_client.get("/hosts/?state=archived").content.decode()
    for page, offer in offers.items():
        assert offer not in admin_client.get(page).content.decode()
    page = admin_client.get(f"/hosts/{one.host_id}/").content.decode()
    assert WHY in page and "archived" in page
    assert Operation.objects.select_related("host").get(deployment=made).host.hostname == name
    assert name in admin_client.get(f"/deployments/{made.pk}/").content.decode()
    rows = History.objects.filter(action="archive")
    assert [(row.actor, row.subject_id, row.reason) for row in rows] == [("root", one.host_id, WHY)]
    for act in (hosts.change, hosts.check, hosts.trust):
        host = Asset.every.get(pk=one.host_id)
        args = {hosts.change: (ADMIN, host, {"port": 23}), hosts.check: (host, ADMIN)}.get(act, (host, "x", ADMIN))
        refused("host_archived", act, *args)
    refused("wrong_target", install, ADMIN, versions[0], [one.host_id])
    hosts.unarchive(ADMIN, Asset.every.get(pk=one.host_id))
    assert name in admin_client.get("/hosts/").content.decode()


def test_archived_host_frees_its_name(shop):
    host = factories.hosts(1, prefix="old")[0]
    actions.archive_host(ADMIN, host, WHY)
    again = hosts.create(ADMIN, {"hostname": host.hostname, "ip": "10.9.9.9"})
    assert again.pk != host.pk
    refused("already_exists", hosts.unarchive, ADMIN, Asset.every.get(pk=host.pk))
    refused("already_exists", hosts.create, ADMIN, {"hostname": host.hostname, "ip": "10.9.9.8"})


def test_archived_host_frees_its_credential(shop):
    credential = Credential.objects.create(name="old", kind="password", secret="pw")
    host = factories.hosts(1, prefix="old")[0]
    Asset.objects.filter(pk=host.pk).update(credential=credential)
    refused("credential_in_use", credentials.delete, ADMIN, credential)
    actions.archive_host(ADMIN, host, WHY)
    credentials.delete(ADMIN, credential)
    assert Asset.every.get(pk=host.pk).credential is None


def test_archive_forgets_all_or_nothing(shop):
    service, _, (one, *_) = shop
    other = factories.instances(factories.versions(factories.service("other"))[0], [one.host])[0]
    half = Caller(name="half", scopes=ADMIN.scopes, services=frozenset({service.pk}))
    refused("forbidden", actions.archive_host, half, one.host, WHY, True)
    assert MicroServiceInstance.objects.filter(host=one.host).count() == 2
    actions.archive_host(ADMIN, one.host, WHY, True)
    assert not MicroServiceInstance.objects.filter(pk__in=[one.pk, other.pk]).exists()
    assert Asset.every.get(pk=one.host_id).archived_by == "root"


def test_install_races_archive(shop, monkeypatch):
    """The host was looked up before it was archived: the second look, under its lock, finds it out."""
    from microservice.deployments import installs

    _service, versions, _ = shop
    host = factories.hosts(1, prefix="late")[0]
    look_up = installs._look_up

    def late(*args):
        found = look_up(*args)
        actions.archive_host(ADMIN, host, WHY)
        return found

    monkeypatch.setattr(installs, "_look_up", late)
    refused("host_archived", install, ADMIN, versions[0], [host.pk])
    assert not MicroServiceInstance.objects.filter(host=host).exists()


def test_forget_many(shop, django_assert_max_num_queries):
    service, versions, _ = shop
    many = factories.instances(versions[0], factories.hosts(40, prefix="many"))
    with django_assert_max_num_queries(45):
        actions.forget(SYSTEM, service, [row.pk for row in many], WHY)
    assert Deployment.objects.count() == 0 and History.objects.filter(action="forget").count() == 40


def test_archived_hosts_keep_their_team():
    from access.models import Team
    from access.teams import delete_team
    from asset.models import HostTeam

    team, host = Team.objects.create(name="red"), factories.hosts(1, prefix="old")[0]
    HostTeam.objects.create(host=host, team=team)
    actions.archive_host(ADMIN, host, WHY)
    assert "archived hosts included" in refused("team_in_use", delete_team, ADMIN, team).hint
    archived = Asset.every.get(pk=host.pk)
    refused("host_archived", hosts.change, ADMIN, archived, {"teams": [], "port": 23})
    hosts.change(ADMIN, archived, {"teams": []})
    delete_team(ADMIN, team)


def test_advice_after_forgetting(shop, admin_client):
    service, _, (one, two, _) = shop
    for row, error in ((one, None), (two, "left on the host: releases/1.0/theirs")):
        made = actions.delete(ANN, service, [row.pk])
        if error is None:
            actions.forget(ANN, service, [row.pk], WHY)
        else:
            Operation.objects.filter(deployment=made).update(
                status=OperationStatus.FAILED, error=error, error_code=Code.LEFT_ON_HOST
            )
        page = admin_client.get(f"/operations/{made.operations.get().pk}/").content.decode()
        assert ("instance was forgotten because" if error is None else "could not be removed") in page
