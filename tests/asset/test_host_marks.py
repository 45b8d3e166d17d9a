"""Two rows for one machine and folder are found by the mark in the folder, and the second is refused by name."""

import subprocess

import pytest

from access.callers import Caller
from access.models import Team
from asset import host_marks, hosts
from asset.models import Asset, HostTeam
from microservice.deployments import actions
from microservice.status import DeploymentStatus, OperationStatus
from tests.microservice.deployments.requests import install
from tests.microservice.deployments.test_forgetting import ADMIN

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.found("keys")]
WHO = Caller(name="ann", scopes=frozenset({"admin"}))


def twin(of: Asset, **more) -> Asset:
    """Another row for the same machine and folder, by another name."""
    fields = {name: getattr(of, name) for name in ("ip", "port", "username", "credential", "host_key", "base_path")}
    return Asset.objects.create(**{**fields, "hostname": "alias", **more})


def text(fleet) -> str:
    return (fleet.hosts[0].root / ".deployer-host").read_text().strip()


def test_refuses_an_operation_on_a_second_row(make_fleet, worker):
    fleet = make_fleet(hosts=1)
    worker()
    assert fleet.install().status == DeploymentStatus.SUCCEEDED
    assert text(fleet) == host_marks.mark_of(fleet.assets[0])
    second = twin(fleet.assets[0])
    made = fleet.ended(install(ADMIN, fleet.versions[1], [second.pk]))
    operation = made.operations.get()
    assert operation.status == OperationStatus.UNDONE
    assert "belong to another host: h0" in operation.error and "Nothing was changed" in operation.error
    fleet.assets, rest = fleet.assets[:1], second
    assert fleet.running() == "1.0" and rest.instances.get().version is None
    assert fleet.go("upgrade", 0, 1).status == DeploymentStatus.SUCCEEDED, "the first row is not affected"


def test_check_names_the_other_row_if_visible(make_fleet):
    fleet = make_fleet(hosts=1)
    first = fleet.assets[0]
    assert hosts.check(first, WHO)["ready"]
    second = twin(first)
    found = hosts.check(second, WHO)
    assert not found["ready"] and found["error"] == "This is the same machine and folder as h0."
    second.refresh_from_db()
    assert second.last_error == found["error"]
    team = Team.objects.create(name="red")
    HostTeam.objects.create(host=first, team=team)
    from access.permissions import Rights

    other = Caller(name="eve", user_id=1, scopes=frozenset({"deploy"}), rights=Rights({}, frozenset(), True))
    assert "h0" not in hosts.check(second, other)["error"]
    assert hosts.check(first, WHO)["ready"]


def test_accepts_another_folder_of_the_machine(make_fleet, tmp_path):
    fleet = make_fleet(hosts=1)
    hosts.check(fleet.assets[0], WHO)
    folder = fleet.hosts[0].root / "other"
    folder.mkdir()
    assert hosts.check(twin(fleet.assets[0], base_path=str(folder)), WHO)["ready"]


def test_check_takes_over_an_abandoned_folder(make_fleet, worker):
    fleet = make_fleet(hosts=1)
    worker()
    fleet.install()
    first = fleet.assets[0]
    actions.archive_host(ADMIN, first, "moved", forget_instances=True)
    second = twin(first, hostname="h0")
    found = hosts.check(second, WHO)
    assert found["ready"] and "no longer exists" in " ".join(found["warnings"])
    assert text(fleet) == host_marks.mark_of(second)
    assert hosts.check(second, WHO)["warnings"] == []
    fleet.assets = [second]
    made = fleet.ended(install(ADMIN, fleet.versions[1], [second.pk]))
    assert made.status == DeploymentStatus.SUCCEEDED, "the fence of the new instance is above the forgotten one's"
    assert fleet.running() == "2.0"


def test_reports_a_mark_that_cannot_be_replaced(make_fleet):
    """The check said that the folder was this one's from now on, and the next operation was refused."""
    fleet = make_fleet(hosts=1)
    first = fleet.assets[0]
    left = fleet.hosts[0].root / ".deployer-host"
    left.write_text("999999-17 gone\n")
    if subprocess.run(["chattr", "+i", left], capture_output=True).returncode:
        pytest.skip("this file system has no files that even root cannot replace")
    try:
        found = hosts.check(first, WHO)
    finally:
        subprocess.run(["chattr", "-i", left], check=True)
    assert not found["ready"] and "could not be replaced" in found["error"] and "gone" in found["error"]
    assert not found["warnings"] and str(left) in found["next_step"]
    assert hosts.check(first, WHO)["ready"] and text(fleet) == host_marks.mark_of(first)


def test_recognizes_marks_of_other_installations(make_fleet):
    fleet = make_fleet(hosts=1)
    first = fleet.assets[0]
    mark = host_marks.mark_of(first)
    assert host_marks.owner(mark) == first and host_marks.owner("") is host_marks.owner("x") is None
    number = mark.split("-")[0]
    assert host_marks.owner(f"{number}-17 h0") is None
    Asset.every.filter(pk=first.pk).update(archived=first.created)
    assert host_marks.owner(mark) is None
