"""Hosts of other teams are hidden from all but administrators, in every way to see or name a host."""

import json
import re

import pytest
from django.contrib.auth import get_user_model
from django.db import transaction
from django.test import Client
from django.urls import reverse

from access.authentication import caller_of
from access.callers import SYSTEM
from access.models import Membership, Team
from access.tokens import make_token
from asset import hosts
from asset.models import Asset, HostTeam
from audit import events
from audit.models import History
from microservice import event_stream, stream_events
from microservice.models import Operation
from microservice.status import DeploymentStatus, OperationStatus
from tests import factories
from tests.api.client import Api

pytestmark = pytest.mark.django_db
SECRET = "crown-jewels"  # a part of the name of red's host


class Red:
    """Red's host with a service on it, behind a jump host of red's; and what blue has."""

    def __init__(self):
        self.red, self.blue = (Team.objects.create(name=name) for name in ("red", "blue"))
        self.host, self.jump = factories.hosts(2, prefix=SECRET)
        self.free, self.blues = factories.hosts(2, prefix="plain")
        for host, team in ((self.host, self.red), (self.jump, self.red), (self.blues, self.blue)):
            HostTeam.objects.create(host=host, team=team)
        Asset.objects.filter(pk__in=[self.host.pk, self.blues.pk]).update(jump_host=self.jump)
        self.service = factories.service("shop", team=self.blue)
        self.versions = factories.versions(self.service)
        # Blue was there once: then the host had no team.
        instance = factories.instances(self.versions[0], [self.host])[0]
        self.past = factories.deployment(
            [instance, *factories.instances(self.versions[0], [self.blues])],
            self.versions[1],
            DeploymentStatus.FAILED,
            OperationStatus.FAILED,
        )
        self.operation = Operation.objects.get(instance=instance)
        self.operation.error = f"it failed on {self.host.hostname}"
        self.operation.save()
        instance.delete()
        hosts.change(SYSTEM, self.host, {"description": f"about {self.host.hostname}"})
        events.write([events.of_host(self.host.pk, False), events.of_host(self.blues.pk, False)])


@pytest.fixture
def red(db):
    with transaction.atomic():
        return Red()


def user(name: str, **roles: str):
    made = get_user_model().objects.create_user(name)
    for team, role in roles.items():
        Membership.objects.create(team=Team.objects.get(name=team), user=made, role=role)
    return made


@pytest.fixture(params=["viewer", "owner"])
def blue(red, request) -> tuple[Api, Client]:
    """Return a user of blue: by token, and in a browser."""
    who = user("bob", blue=request.param)
    client = Client()
    client.force_login(who)
    return Api(make_token(who, "test", ["read", "publish", "deploy", "admin"])[1]), client


def paths_with_ids(red) -> list[str]:
    return [f"/hosts/{red.host.pk}", f"/operations/{red.operation.pk}", f"/operations/{red.operation.pk}/log"]


def test_api_hides_hosts_of_other_teams(red, blue):
    api, _ = blue
    for path in paths_with_ids(red):
        answer = api.get(path)
        assert answer.status_code == 404, (path, answer.content)
    lists = (
        "/hosts/",
        f"/hosts/?hostname={SECRET}",
        "/hosts/?team=red",
        "/history/",
        "/deployments/",
        f"/deployments/{red.past.pk}",
        f"/deployments/{red.past.pk}/operations/",
        "/services/shop/instances/",
        f"/services/shop/instances/?host={red.host.hostname}",
        f"/hosts/{red.blues.pk}",
        "/teams/",
    )
    for path in lists:
        answer = api.get(path)
        assert answer.status_code == 200 and SECRET not in answer.content.decode(), path
    assert [row["hostname"] for row in api.get("/hosts/").json()["data"]] == [red.free.hostname, red.blues.hostname]
    assert api.get("/hosts/").json()["count"] == 2 and api.get("/hosts/?team=red").json()["count"] == 0
    assert api.get(f"/hosts/{red.blues.pk}").json()["jump_host_id"] is None
    assert {row["jump_host_id"] for row in api.get("/hosts/").json()["data"]} == {None}


def test_hidden_hosts_answer_like_missing_ones(red, blue):
    api, _ = blue
    ways = [
        ("PATCH", "/hosts/{}", {"description": "x"}),
        ("DELETE", "/hosts/{}", None),
        ("POST", "/hosts/{}/check", None),
        ("POST", "/hosts/{}/trust", {"fingerprint": "SHA256:x"}),
    ]
    install = f"/services/shop/versions/{red.versions[0].pk}/install"
    for method, path, body in ways:
        answers = [api.send(method, path.format(number), body) for number in (red.host.pk, 10**6)]
        assert answers[0].status_code == answers[1].status_code in (403, 404)
    for dry_run in (True, False):
        said = []
        for number in (red.host.pk, 10**6):
            answer = api.post(install, {"host": [number], "dry_run": dry_run, "adopt": True})
            assert answer.status_code in (403, 422)
            body = json.dumps({**answer.json(), "request_id": ""})
            said.append(re.sub(rf'(host |"host": ){number}\b', r"\1N", body, flags=re.IGNORECASE))
        assert said[0] == said[1]


def test_console_hides_hosts_of_other_teams(red, blue):
    _, client = blue
    for name, number in (("host", red.host.pk), ("operation", red.operation.pk), ("log", red.operation.pk)):
        assert client.get(reverse(f"console:{name}", args=[number])).status_code == 404
    shop, version = red.service.name, red.versions[0].pk
    pages = [
        "/",
        "/hosts/",
        f"/hosts/?q={SECRET}",
        "/hosts/?team=red",
        f"/hosts/{red.blues.pk}/",
        "/deployments/",
        f"/deployments/{red.past.pk}/",
        "/history/",
        f"/history/?q={SECRET}",
        "/history/moves/?since=2020-01-01T00:00",
        f"/services/{shop}/instances/",
        f"/services/{shop}/versions/{version}/install/",
        f"/services/{shop}/versions/{version}/install/?find={SECRET}&part=hosts",
        f"/services/{shop}/versions/{version}/install/?host={red.host.pk}",
        reverse("console:operation", args=[red.past.operations.exclude(pk=red.operation.pk).get().pk]),
    ]
    for page in pages:
        answer = client.get(page)
        text = answer.content.decode()
        assert answer.status_code == 200, (page, answer.status_code)
        hidden = (red.host.hostname, f">{red.host.ip}<", red.jump.hostname, f"@{red.jump.ip}:")
        assert not [one for one in hidden if one in text], page


def test_host_events_reach_those_who_see_it(red):
    from django.test import RequestFactory

    from api.resources import events as stream

    wanted = {}
    for name, roles in (("bob", {"blue": "viewer"}), ("rita", {"red": "viewer"})):
        token = make_token(user(name, **roles), "t", ["read"])[1]
        request = RequestFactory().get("/", headers={"Authorization": f"Bearer {token}"})
        request.caller = caller_of(request)
        seen = []
        original = event_stream.broadcaster.join
        try:
            event_stream.broadcaster.join = lambda wants, *_, seen=seen, **__: (
                seen.append(wants) or (_ for _ in ()).throw(event_stream.TooManyStreams())
            )
            with pytest.raises(Exception, match="event streams open"):
                stream._stream(request, 0, None)
        finally:
            event_stream.broadcaster.join = original
        wanted[name] = {item.data["id"] for item in stream_events.read(0) if item.kind == "host" and seen[0](item)}
    assert red.host.pk in wanted["rita"] and red.host.pk not in wanted["bob"]
    assert red.blues.pk in wanted["bob"] and red.blues.pk not in wanted["rita"]


def test_administrators_assign_hosts_to_teams(red, api):
    boss = api()
    made = boss.post("/hosts/", {"hostname": "new", "ip": "10.7.7.7", "teams": ["red", red.blue.pk]})
    assert made.status_code == 201 and made.json()["teams"] == ["blue", "red"]
    number = made.json()["id"]
    changed = boss.patch(f"/hosts/{number}", {"teams": ["blue"]})
    assert changed.json()["teams"] == ["blue"]
    row = History.objects.filter(subject="host", subject_id=number, action="change").get()
    assert (row.before, row.after) == ({"teams": ["blue", "red"]}, {"teams": ["blue"]})
    assert [one["id"] for one in boss.get("/hosts/?team=blue").json()["data"]] == [number, red.blues.pk]
    wrong = boss.patch(f"/hosts/{number}", {"teams": ["green"]})
    assert wrong.status_code == 422 and wrong.json()["errors"][0]["pointer"] == "/teams"
    csv = b"hostname,ip,teams\nfrom-csv,10.7.7.8,red;blue\n"
    brought = boss.send("POST", "/hosts/import", csv, content_type="text/csv")
    assert brought.json()["data"][0]["teams"] == ["blue", "red"]
    assert boss.delete(f"/teams/{red.red.pk}").json()["code"] == "team_in_use"


@pytest.mark.parametrize("role", ["owner"])
def test_owners_change_no_hosts(red, role):
    who = Api(make_token(user("rita", red=role), "t", ["read", "publish", "deploy", "admin"])[1])
    assert who.get(f"/hosts/{red.host.pk}").json()["jump_host_id"] == red.jump.pk
    host = f"/hosts/{red.host.pk}"
    new = {"hostname": "x", "ip": "10.1.1.1", "teams": ["red"]}
    for method, path, body in (("PATCH", host, {"teams": []}), ("DELETE", host, None), ("POST", "/hosts/", new)):
        assert who.send(method, path, body).status_code == 403


def test_refuses_to_separate_host_and_service(red, api):
    boss = api()
    refused = boss.patch(f"/hosts/{red.blues.pk}", {"teams": ["red"]})
    assert (refused.status_code, refused.json()["code"]) == (409, "team_in_the_way")
    assert "shop" in refused.json()["detail"]
    refused = boss.patch("/services/shop", {"team": "red"})
    assert (refused.status_code, refused.json()["code"]) == (409, "team_in_the_way")
    assert red.blues.hostname in refused.json()["detail"]


def test_a_service_gets_a_user_on_its_hosts(red, api):
    boss = api()
    done = boss.patch("/services/shop", {"run_as": "shop", "private_releases": True})
    assert (done.json()["run_as"], done.json()["private_releases"]) == ("shop", True)
    for wrong in ("Shop", "-x", "#0", "a b", "1a", "a" * 33, "a\n"):
        refused = boss.patch("/services/shop", {"run_as": wrong})
        assert refused.status_code == 422 and refused.json()["errors"][0]["pointer"] == "/run_as", wrong
    refused = boss.patch("/services/shop", {"run_as": ""})
    assert refused.status_code == 422 and refused.json()["errors"][0]["pointer"] == "/private_releases"


def test_host_lists_have_constant_queries(red, django_assert_num_queries):
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    who = Api(make_token(user("rita", red="viewer", blue="viewer"), "t", ["read"])[1])
    counts = []
    for _ in range(2):
        who.get("/hosts/")
        with CaptureQueriesContext(connection) as queries:
            assert who.get("/hosts/").status_code == 200
        counts.append(len(queries))
        HostTeam.objects.bulk_create(HostTeam(host=host, team=red.blue) for host in factories.hosts(20))
    assert counts[0] == counts[1]
