"""Hosts that belong to teams: which requests may use them, and who sees them."""

import pytest
from django.db import transaction

from access.callers import SYSTEM
from access.problems import Problem
from asset import tenancy
from asset.models import HostTeam
from microservice.deployments import actions, retries
from microservice.models import MicroServiceInstance, Operation
from microservice.publishing.auto_deploy import build_ended
from microservice.status import Action, OperationStatus, UndoStatus
from tests import factories
from tests.microservice.deployments.requests import change_version, install, preview, preview_install, revert

from .two_teams import end_operations, member, refused

pytestmark = pytest.mark.django_db(transaction=True)


def test_host_is_open_to_its_teams():
    assert tenancy.is_open([], {1}) and tenancy.is_open([], {None}) and tenancy.is_open([1, 2], {2, 3})
    assert not tenancy.is_open([1], {2}) and not tenancy.is_open([1], {None}) and not tenancy.is_open([1], ())


def test_sql_condition_matches_the_rule(two):
    both = factories.hosts(1)[0]
    both.teams.set([two.red, two.blue])
    every = [two.reds, two.blues, two.free, both]
    for teams in ([], [two.red.pk], [two.blue.pk], [two.red.pk, two.blue.pk], [10**6]):
        closed = set(tenancy.closed_to(teams).values_list("host", flat=True))
        open_ones = {host.pk for host in every if tenancy.is_open([team.pk for team in host.teams.all()], teams)}
        assert closed == {host.pk for host in every} - open_ones


@pytest.mark.parametrize(
    "name, host, code",
    [
        ("red", "reds", ""),
        ("red", "free", ""),
        ("nobody", "free", ""),
        ("blue", "blues", ""),
        ("blue", "reds", "host_of_another_team"),
        ("nobody", "reds", "host_of_another_team"),
    ],
)
def test_install_respects_teams(two, name, host, code):
    target = getattr(two, host)
    for ask in (preview_install, install):
        call = (ask, SYSTEM, two.versions[name][0], [target.pk])
        if code:
            problem = refused(409, code, *call)
            assert target.hostname in problem.detail and target.hostname in problem.errors[0]["reason"]
        else:
            call[0](*call[1:])


def test_host_of_two_teams(two):
    two.free.teams.set([two.red, two.blue])
    for name in ("red", "blue"):
        install(SYSTEM, two.versions[name][0], [two.free.pk])
    refused_now = pytest.raises(Problem, match="of-nobody cannot be deployed to")
    with refused_now:
        install(SYSTEM, two.versions["nobody"][0], [two.free.pk])


def test_hosts_of_other_teams_are_not_revealed(two):
    """Blue is told the same of red's host as of one that does not exist."""
    blue = member(blue="owner")
    reasons = []
    for number in (two.reds.pk, 10**6):
        problem = refused(422, "wrong_target", install, blue, two.versions["blue"][0], [number])
        reasons.append(problem.detail.replace(str(number), "N"))
    assert reasons[0] == reasons[1]
    problem = refused(
        409,
        "host_of_another_team",
        install,
        member(blue="owner", red="viewer"),
        two.versions["blue"][0],
        [two.reds.pk],
    )
    assert two.reds.hostname in problem.detail


def misplaced(two, **more) -> MicroServiceInstance:
    """Blue's instance on a host that is red's: what no request leads to, and rows that were written by hand may."""
    return two.instance("blue", two.reds, version=1, **more)


@pytest.mark.parametrize("action, dest", [("upgrade", 2), ("revert", 0)])
def test_no_version_change_on_closed_host(two, action, dest):
    instance, versions = misplaced(two), two.versions["blue"]
    call = (SYSTEM, versions[1], versions[dest], action)
    for ask in (preview, change_version):
        problem = refused(409, "host_of_another_team", ask, *call, host=[instance.host_id])
        assert two.reds.hostname in problem.detail
    refused(409, "nothing_to_do", change_version, *call)
    here = two.instance("blue", two.blues, version=1)
    made = change_version(*call)
    assert [row["code"] for row in made.skipped] == ["host_of_another_team.target"]
    assert list(made.operations.values_list("instance", flat=True)) == [here.pk]


def test_delete_is_always_possible(two):
    instance = misplaced(two)
    made = actions.delete(SYSTEM, two.service["blue"], [instance.pk])
    end_operations(made, OperationStatus.FAILED, undo_status=UndoStatus.FAILED)
    again = retries.retry_instances(SYSTEM, two.service["blue"], [instance.pk])
    assert again.operations.get().action == Action.DELETE
    end_operations(again, OperationStatus.FAILED, undo_status=UndoStatus.FAILED)
    assert actions.retry(SYSTEM, again).operations.get().action == Action.DELETE


def test_retry_and_revert_skip_closed_host(two):
    versions = two.versions["blue"]
    first, second = two.instance("blue", two.blues), two.instance("blue", two.free)
    made = change_version(SYSTEM, versions[0], versions[1].pk, "upgrade", host="all", strategy={"max_failures": 2})
    end_operations(made, OperationStatus.UNDONE, undo_status=UndoStatus.UNDONE)
    HostTeam.objects.create(host=two.free, team=two.red)
    refused(409, "host_of_another_team", retries.retry_instances, SYSTEM, two.service["blue"], [second.pk])
    again = actions.retry(SYSTEM, made)
    assert list(again.operations.values_list("instance", flat=True)) == [first.pk]
    assert [row["code"] for row in again.skipped] == ["host_of_another_team.target"]
    end_operations(again, OperationStatus.SUCCEEDED)
    HostTeam.objects.filter(host=two.blues).update(team=two.red)
    refused(409, "nothing_to_do", revert, SYSTEM, again)


def test_auto_deploy_skips_closed_host(two):
    service, versions = two.service["blue"], two.versions["blue"]
    service.auto_deploy_tag = "follow"
    service.save()
    misplaced(two, tag="follow")
    here = two.instance("blue", two.blues, version=1, tag="follow")
    with transaction.atomic():
        build_ended(versions[2])
    assert list(Operation.objects.values_list("instance", flat=True)) == [here.pk]


def test_dialogs_disable_closed_host(two):
    from console.queries import dialog, services

    misplaced(two)
    two.instance("blue", two.blues, version=1)
    offered, _ = dialog.hosts(two.versions["blue"][1], dialog.Picked([]))
    assert {row.host.hostname: reason for row, reason in offered} == {
        two.reds.hostname: f"{two.reds} belongs to other teams than the service.",
        two.blues.hostname: "",
    }
    places, _ = services.hosts_without(SYSTEM, two.service["nobody"], [])
    assert {place.host.pk: place.closed for place in places} == {
        two.reds.pk: True,
        two.blues.pk: True,
        two.free.pk: False,
    }
    places, _ = services.hosts_without(member(blue="viewer"), two.service["blue"], [])
    assert {place.host.pk for place in places} == {two.blues.pk, two.free.pk}
