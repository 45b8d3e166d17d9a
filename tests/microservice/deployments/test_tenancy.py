"""Hosts that belong to teams: what may come there, who learns of them, and what happens when they change hands."""

import threading

import pytest
from django.db import connection, connections, transaction

from access.callers import SYSTEM, Caller
from access.models import Team
from access.permissions import Rights
from access.problems import Problem
from access.teams import delete_team
from asset import hosts, imports, tenancy
from asset.models import HostTeam
from audit.models import History
from microservice import catalog, notify
from microservice.deployments import actions, retries
from microservice.models import Deployment, MicroServiceInstance, Operation
from microservice.publishing.auto_deploy import build_ended
from microservice.status import Action, DeploymentStatus, InstanceStatus, OperationStatus, UndoStatus
from tests import factories
from tests.microservice.deployments.requests import change_version, install, preview, preview_install
from worker.results import OperationResult
from worker.writer import BatchWriter

pytestmark = pytest.mark.django_db(transaction=True)
EVERY = frozenset({"read", "publish", "deploy", "admin"})


def member(**roles: str) -> Caller:
    """Somebody with these roles in teams."""
    teams = {team.pk: roles[team.name] for team in Team.objects.filter(name__in=roles)}
    return Caller(
        name="somebody", user_id=1, scopes=frozenset({"read", "publish", "deploy"}), rights=Rights(teams, EVERY, True)
    )


class Two:
    """Two teams, each with a service and a host; and a host of nobody."""

    def __init__(self):
        self.red, self.blue = (Team.objects.create(name=name) for name in ("red", "blue"))
        self.service = {name: factories.service(f"of-{name}", team=getattr(self, name)) for name in ("red", "blue")}
        self.service["nobody"] = factories.service("of-nobody")
        self.versions = {name: factories.versions(service) for name, service in self.service.items()}
        self.reds, self.blues, self.free = factories.hosts(3)
        HostTeam.objects.create(host=self.reds, team=self.red)
        HostTeam.objects.create(host=self.blues, team=self.blue)

    def instance(self, name: str, host, version: int = 0, **more) -> MicroServiceInstance:
        return factories.instances(self.versions[name][version], [host], **more)[0]


@pytest.fixture
def two(transactional_db, monkeypatch):
    monkeypatch.setattr("microservice.deployments.installs.require_package", lambda version, pointer: version)
    monkeypatch.setattr("microservice.deployments.destinations.ensure_rewritten", lambda version: version)
    return Two()


@pytest.fixture
def batch(transactional_db):
    made = BatchWriter("w1", 16)
    yield made
    made.close()


def refused(status: int, code: str, call, *arguments, **more) -> Problem:
    before = Deployment.objects.count(), Operation.objects.count(), MicroServiceInstance.objects.count()
    with pytest.raises(Problem) as caught:
        call(*arguments, **more)
    assert (caught.value.status, caught.value.code) == (status, code), caught.value
    assert (Deployment.objects.count(), Operation.objects.count(), MicroServiceInstance.objects.count()) == before
    assert not MicroServiceInstance.objects.filter(locked=True).exists()
    return caught.value


def test_the_rule():
    assert tenancy.is_open([], {1}) and tenancy.is_open([], {None}) and tenancy.is_open([1, 2], {2, 3})
    assert not tenancy.is_open([1], {2}) and not tenancy.is_open([1], {None}) and not tenancy.is_open([1], ())


def test_rule_as_condition(two):
    both = factories.hosts(1)[0]
    both.teams.set([two.red, two.blue])
    every = [two.reds, two.blues, two.free, both]
    for teams in ([], [two.red.pk], [two.blue.pk], [two.red.pk, two.blue.pk], [10**6]):
        closed = set(tenancy.closed_to(teams).values_list("host", flat=True))
        open_ones = {host.pk for host in every if tenancy.is_open([team.pk for team in host.teams.all()], teams)}
        assert closed == {host.pk for host in every} - open_ones


# --- what comes there -------------------------------------------------------------------------------------------------


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
    said = []
    for number in (two.reds.pk, 10**6):
        problem = refused(422, "wrong_target", install, blue, two.versions["blue"][0], [number])
        said.append(problem.detail.replace(str(number), "N"))
    assert said[0] == said[1]
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
    end(made, OperationStatus.FAILED, undo_status=UndoStatus.FAILED)
    again = retries.retry_instances(SYSTEM, two.service["blue"], [instance.pk])
    assert again.operations.get().action == Action.DELETE
    end(again, OperationStatus.FAILED, undo_status=UndoStatus.FAILED)
    assert actions.retry(SYSTEM, again).operations.get().action == Action.DELETE


def test_retry_and_revert_skip_closed_host(two):
    versions = two.versions["blue"]
    first, second = two.instance("blue", two.blues), two.instance("blue", two.free)
    made = change_version(SYSTEM, versions[0], versions[1].pk, "upgrade", host="all", strategy={"max_failures": 2})
    end(made, OperationStatus.UNDONE, undo_status=UndoStatus.UNDONE)
    HostTeam.objects.create(host=two.free, team=two.red)
    refused(409, "host_of_another_team", retries.retry_instances, SYSTEM, two.service["blue"], [second.pk])
    again = actions.retry(SYSTEM, made)
    assert list(again.operations.values_list("instance", flat=True)) == [first.pk]
    assert [row["code"] for row in again.skipped] == ["host_of_another_team.target"]
    end(again, OperationStatus.SUCCEEDED)
    HostTeam.objects.filter(host=two.blues).update(team=two.red)
    refused(409, "nothing_to_do", actions.revert, SYSTEM, again)


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
    offered, _ = dialog.hosts(two.versions["blue"][1], [])
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


# --- at the claim -----------------------------------------------------------------------------------------------------


def end(deployment: Deployment, status, **more) -> None:
    """Ends every operation as the ledger would."""
    from worker import results

    rows = list(deployment.operations.select_related("deployment", "host"))
    Operation.objects.filter(pk__in=[row.pk for row in rows]).update(status=OperationStatus.RUNNING)
    Deployment.objects.filter(pk=deployment.pk).update(status=DeploymentStatus.RUNNING)
    with transaction.atomic():
        notify.publish(results.record_results([OperationResult(row, status, **more) for row in rows]))
    deployment.refresh_from_db()


def test_pending_operation_on_closed_host_never_starts(two, batch):
    """Between the request and the claim: the host is red's now, so blue's operation ends, its instance is free and what
    it was; what goes to another host of the same deployment starts."""
    versions = two.versions["blue"]
    lost, kept = two.instance("blue", two.free), two.instance("blue", two.blues)
    made = change_version(SYSTEM, versions[0], versions[1].pk, "upgrade", host="all")
    HostTeam.objects.create(host=two.free, team=two.red)
    claims = batch.claim_many(10)
    assert [claim.operation.instance_id for claim in claims] == [kept.pk]
    operation = made.operations.get(instance=lost)
    assert (operation.status, operation.started) == (OperationStatus.NOT_STARTED, None)
    assert operation.finished and "belongs to other teams" in operation.error
    lost.refresh_from_db()
    assert (lost.locked, lost.status, lost.version_id) == (False, InstanceStatus.RUNNING, versions[0].pk)
    assert batch.finish(OperationResult(claims[0].operation, OperationStatus.SUCCEEDED))
    made.refresh_from_db()
    assert made.status == DeploymentStatus.FAILED


@pytest.mark.parametrize("how", ["the host", "the service"])
def test_deployment_on_closed_hosts_ends(two, batch, how):
    made = install(SYSTEM, two.versions["blue"][0], [two.blues.pk])
    if how == "the host":
        HostTeam.objects.filter(host=two.blues).update(team=two.red)
    else:
        two.service["blue"].team = two.red
        two.service["blue"].save()
    assert batch.claim_many(10) == []
    made.refresh_from_db()
    assert made.status == DeploymentStatus.FAILED and made.operations.get().status == OperationStatus.NOT_STARTED
    instance = MicroServiceInstance.objects.get()
    assert (instance.locked, instance.status) == (False, InstanceStatus.INSTALL_FAILED)
    refused(409, "host_of_another_team", retries.retry_instances, SYSTEM, two.service["blue"], [instance.pk])
    assert actions.delete(SYSTEM, two.service["blue"], [instance.pk]).operations.get().action == Action.DELETE
    assert len(batch.claim_many(10)) == 1


def test_deferred_install_on_closed_host(two):
    old = two.instance("blue", two.blues)
    gone = actions.delete(SYSTEM, two.service["blue"], [old.pk])
    waits = install(SYSTEM, two.versions["blue"][0], [two.blues.pk])
    HostTeam.objects.filter(host=two.blues).update(team=two.red)
    end(gone, OperationStatus.SUCCEEDED)
    operation = waits.operations.get()
    assert operation.status == OperationStatus.NOT_STARTED and two.blues.hostname in operation.error
    assert not MicroServiceInstance.objects.exists()


def test_claim_statements_with_teams(two):
    """Whose the hosts are is part of the question that is asked anyway, however many operations are due."""
    from collections import Counter

    from django.test.utils import CaptureQueriesContext

    from worker.claims import claim

    counts = []
    for name, host in (("nobody", two.free), ("blue", two.blues)):
        for number in range(2):
            more = factories.hosts(5 if number else 1)
            if host is two.blues:
                HostTeam.objects.bulk_create(HostTeam(host=one, team=two.blue) for one in more)
            factories.instances(two.versions[name][0], more)
        versions = two.versions[name]
        change_version(SYSTEM, versions[0], versions[1].pk, "upgrade", host="all")
        with transaction.atomic(), CaptureQueriesContext(connection) as asked:
            claims, _ = claim("w", Counter(), [], 20, 20, "")
        assert len(claims) == 6
        counts.append(len(asked))
    assert counts[0] == counts[1]


# --- changing hands ---------------------------------------------------------------------------------------------------


def test_host_in_use_keeps_its_teams(two):
    two.instance("blue", two.free)
    two.instance("nobody", two.free)
    problem = refused(409, "team_in_the_way", hosts.change, SYSTEM, two.free, {"teams": ["red"]})
    assert "of-blue, of-nobody" in problem.detail and not two.free.teams.exists()
    MicroServiceInstance.objects.filter(microservice=two.service["nobody"]).delete()
    hosts.change(SYSTEM, two.free, {"teams": ["red", two.blue.pk]})
    assert set(two.free.teams.values_list("name", flat=True)) == {"red", "blue"}
    refused(409, "team_in_the_way", hosts.change, SYSTEM, two.free, {"teams": ["red"]})
    hosts.change(SYSTEM, two.free, {"teams": []})
    row = History.objects.filter(subject="host").latest("pk")
    assert (row.before, row.after) == ({"teams": ["blue", "red"]}, {"teams": []})


def test_service_keeps_its_team(two):
    service = two.service["red"]
    two.instance("red", two.reds)
    for team in (two.blue, None):
        problem = refused(409, "team_in_the_way", catalog.change_service, SYSTEM, service, {"team": team})
        assert two.reds.hostname in problem.detail
        service.refresh_from_db()
        assert service.team == two.red
    two.reds.teams.add(two.blue)
    assert catalog.change_service(SYSTEM, service, {"team": two.blue}).team == two.blue


def test_team_with_hosts_is_not_deleted(two):
    two.service["red"].versions.all().delete()
    two.service["red"].delete()
    with pytest.raises(Problem) as caught:
        delete_team(SYSTEM, two.red)
    assert (caught.value.status, caught.value.code) == (409, "team_in_use") and "hosts" in caught.value.detail
    hosts.delete(SYSTEM, two.reds)
    delete_team(SYSTEM, two.red)


def test_install_races_change_of_teams(two):
    """On both databases: an instance of blue on a host of red's never comes about, whoever is first."""
    ways = set()
    for _ in range(12):
        start, answers = threading.Barrier(2), []

        def ask(call, start=start, answers=answers):
            start.wait()
            try:
                call()
                answers.append("")
            except Problem as problem:
                answers.append(problem.code)
            finally:
                connections.close_all()

        calls = (
            lambda: hosts.change(SYSTEM, two.free, {"teams": ["red"]}),
            lambda: install(SYSTEM, two.versions["blue"][0], [two.free.pk]),
        )
        threads = [threading.Thread(target=ask, args=(call,)) for call in calls]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(answers) in (["", "host_of_another_team"], ["", "team_in_the_way"]), answers
        assert two.free.teams.exists() != MicroServiceInstance.objects.filter(host=two.free).exists()
        ways |= set(answers)
        two.free.teams.clear()
        Operation.objects.all().delete()
        MicroServiceInstance.objects.all().delete()


def test_import_teams(two):
    text = "hostname,ip,teams\na,10.9.0.1,red;blue\nb,10.9.0.2,\n"
    made = imports.import_many(SYSTEM, imports.from_csv(text))
    made += imports.import_many(SYSTEM, [{"hostname": "c", "ip": "10.9.0.3", "teams": [two.red.pk, "blue"]}])
    assert [sorted(host.teams.values_list("name", flat=True)) for host in made] == [
        ["blue", "red"],
        [],
        ["blue", "red"],
    ]
    with pytest.raises(Problem) as caught:
        imports.import_many(SYSTEM, [{"hostname": "d", "ip": "10.9.0.4", "teams": ["green"]}])
    assert caught.value.errors == [
        {"pointer": "/0/teams", "reason": "team not found", "code": "no_such_team", "params": {}}
    ]
    for wrong in ("red", [True], [0], ["x" * 65], ["red"] * 65):
        with pytest.raises(Problem):
            hosts.change(SYSTEM, two.free, {"teams": wrong})
