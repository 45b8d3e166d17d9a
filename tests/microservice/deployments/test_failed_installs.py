"""After a failed first install another version can be installed; nothing need be deleted before."""

import pytest

from access.callers import SYSTEM, Caller
from access.problems import Problem
from console.queries.services import hosts_without
from microservice.models import MicroServiceInstance
from microservice.status import DeploymentStatus, InstanceStatus, OperationStatus
from tests import factories
from tests.microservice.deployments.requests import end_all, install, other, preview_install

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.found("removal")]
ANN = Caller(name="ann", scopes=frozenset({"deploy"}))


@pytest.fixture
def failed(shop, monkeypatch):
    """Return the service, two of its versions, a host, and the instance whose first install failed there."""
    monkeypatch.setattr("microservice.deployments.installs.require_package", lambda version, pointer: version)
    service, (one, two, *_), _ = shop
    host = factories.hosts(1, prefix="new")[0]
    made = install(ANN, one, [host.pk], port=8080, tag="a")
    end_all(made, OperationStatus.UNDONE, error=other("start failed"))
    return service, one, two, host, MicroServiceInstance.objects.get(host=host)


def test_install_replaces_failed_install(failed):
    _service, _, two, host, instance = failed
    assert (instance.version, instance.status, instance.locked) == (None, InstanceStatus.INSTALL_FAILED, False)
    made = install(ANN, two, [host.pk], port=9090, tag="b", weight=7)
    instance.refresh_from_db()
    assert (instance.port, instance.tag, instance.weight) == (9090, "b", 7)
    assert (instance.status, instance.lock_deployment) == (InstanceStatus.INSTALLING, made)
    operation = made.operations.get()
    assert (operation.instance_id, operation.from_version, operation.dest_version) == (instance.pk, None, two)
    end_all(made, OperationStatus.SUCCEEDED)
    instance.refresh_from_db()
    assert (instance.version, instance.status, instance.locked) == (two, InstanceStatus.RUNNING, False)


def test_failed_and_new_hosts_together(failed):
    _service, _, two, host, instance = failed
    other = factories.hosts(1, prefix="other")[0]
    plan = preview_install(ANN, two, [host.pk, other.pk], port=1)
    assert [row["host_id"] for row in plan["targets"]] == [host.pk, other.pk]
    made = install(ANN, two, [host.pk, other.pk], port=1, plan_token=plan["plan_token"])
    assert made.operations.count() == 2
    assert instance.pk in made.operations.values_list("instance_id", flat=True)


@pytest.mark.parametrize("state", [{"locked": True}, {"is_maintain": True}, {"status": InstanceStatus.RUNNING}])
def test_rejects_other_states(failed, state):
    _service, _, two, host, instance = failed
    if state.get("status") == InstanceStatus.RUNNING:
        state = {**state, "version": two}
    MicroServiceInstance.objects.filter(pk=instance.pk).update(**state)
    for act in (preview_install, install):
        with pytest.raises(Problem) as caught:
            act(ANN, two, [host.pk])
        assert caught.value.code == "already_installed"


def test_rejects_wrong_field(failed):
    _service, _, two, host, instance = failed
    with pytest.raises(Problem) as caught:
        install(ANN, two, [host.pk], port=70000)
    assert caught.value.status == 422
    instance.refresh_from_db()
    assert not instance.locked


def test_dialog_offers_the_host(failed, admin_client):
    service, _, two, host, _ = failed
    places, _ = hosts_without(SYSTEM, service, [])
    assert next(place for place in places if place.host == host).has is False
    page = admin_client.get("/services/shop/instances/").content.decode()
    assert f"install/?host={host.pk}" in page and "Install another version" in page
    page = admin_client.get(f"/services/shop/versions/{two.pk}/install/?host={host.pk}").content.decode()
    assert "already" not in page.split('name="host"')[1].split("</label>")[0]


def test_second_version_runs_on_a_host(make_fleet, worker):
    fleet = make_fleet(
        hosts=1,
        start_command='[ "$VERSION" != 1.0 ] || exit 7; echo "$VERSION" >"$SHARED/v"',
        stop_command="true",
        check_command='[ "$(cat "$SHARED/v")" = "$VERSION" ]',
    )
    worker()
    assert fleet.install(0).status == DeploymentStatus.FAILED
    assert fleet.install(1).status == DeploymentStatus.SUCCEEDED
    assert fleet.current() == "2.0"
    assert MicroServiceInstance.objects.get().version == fleet.versions[1]
