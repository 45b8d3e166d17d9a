"""An operation records whether its host was reached, and the pages of hosts show it."""

import pytest

from asset.models import Asset
from audit.models import Event
from microservice.status import OperationStatus
from tests.lab.network import free_port

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.found("keys")]


def test_refused_connection_marks_host_unreachable(make_fleet, worker, admin_client):
    fleet = make_fleet(hosts=2)
    worker()
    fleet.install()
    assert set(Asset.objects.values_list("reachable", "last_error")) == {(True, "")}
    Asset.objects.filter(pk=fleet.assets[1].pk).update(port=free_port())
    fleet.go("upgrade", 0, 1)
    well, silent = Asset.objects.order_by("pk")
    assert (well.reachable, well.last_error) == (True, "")
    assert silent.reachable is False and silent.ip in silent.last_error
    assert [row.data for row in Event.objects.filter(kind="host", data__id=silent.pk)][-1]["reachable"] is False
    page = admin_client.get("/hosts/?q=h1").content.decode()
    assert "unreachable" in page and 'tone-ok">' not in page.split('id="host-')[1].split("<td>")[1]


@pytest.mark.slow
def test_silent_hosts_have_own_errors(make_fleet, worker):
    fleet = make_fleet(hosts=3)
    worker()
    fleet.install()
    for asset in fleet.assets:
        Asset.objects.filter(pk=asset.pk).update(port=free_port())
    fleet.go("upgrade", 0, 1)
    for asset in Asset.objects.all():
        assert asset.reachable is False and f"{asset.ip}:{asset.port}" in asset.last_error


def test_changed_key_is_shown_until_resolved(make_fleet, worker):
    fleet = make_fleet(hosts=1)
    worker()
    fleet.install()
    pinned = fleet.assets[0].host_key
    other = pinned.split()[0] + " " + "AAAAC3NzaC1lZDI1NTE5AAAAILnm2dGkkGqGNDcUmBHG2ufnQbDAGcGPTJr1dPGIQnkX"
    Asset.objects.update(host_key=other)
    assert fleet.go("upgrade", 0, 1).operations.get().status == OperationStatus.UNDONE
    host = Asset.objects.get()
    assert host.offered_key == pinned and "another host key" in host.last_error
    Asset.objects.update(host_key=pinned)
    fleet.go("upgrade", 0, 1)
    host.refresh_from_db()
    assert (host.reachable, host.last_error, host.offered_key) == (True, "", "")


def test_refused_login_is_reachable_but_not_ready(make_fleet, worker, admin_client):
    fleet = make_fleet(hosts=1)
    worker()
    fleet.install()
    Asset.objects.update(username="nobody-of-this-name")
    fleet.go("upgrade", 0, 1)
    host = Asset.objects.get()
    assert host.reachable is True and "rejected the login" in host.last_error
    assert "reachable but not ready" in admin_client.get("/hosts/").content.decode()
