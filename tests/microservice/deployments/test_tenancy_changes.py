"""Hosts and services that move to another team, and teams that are deleted."""

import threading

import pytest
from django.db import connections

from access.callers import SYSTEM
from access.problems import Problem
from access.teams import delete_team
from asset import hosts, imports
from audit.models import History
from microservice import catalog
from microservice.models import MicroServiceInstance, Operation
from tests.microservice.deployments.requests import install

from .two_teams import refused

pytestmark = pytest.mark.django_db(transaction=True)


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
    """On both databases: an instance of blue on a host of red's never comes about, whichever request is first."""
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
