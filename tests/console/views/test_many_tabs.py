"""Two hundred tabs of as many users cost the database what one costs, and none shows what its user lost."""

import http.client
import time
from collections import Counter

import pytest
from django.contrib.auth import get_user_model
from django.test import Client

from access.models import Membership, Session, Team
from access.roles import Role
from access.sessions import digest_of
from bench.tabs import Tab
from microservice.models import Deployment, MicroService
from tests import factories
from tests.lab.network import wait_until
from tests.lab.web import Web

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]
MANY = 200
CHANGES = 3
A_SECOND = 10  # statements of the process itself: the hub's looks at the events, one look at all viewers
A_REPEAT = 12  # of what a busy server refused or broke off: a page, a stream or a fragment is asked for again
A_CHANGE = 60  # both fragments, rendered up to twice more where the tabs' questions are spread over seconds


@pytest.fixture
def web(environment, tmp_path):
    settings = {"WEB_THREADS": str(MANY + 16)}
    with Web(
        {**environment, **settings}, tmp_path / "web.log", application="bench.statement_counter:application"
    ) as running:
        yield running


def session(name: str) -> str:
    client = Client()
    client.force_login(get_user_model().objects.create_user(name))
    return client.cookies["sessionid"].value


def statements(web) -> int:
    """How many the web process has sent so far."""
    connection = http.client.HTTPConnection("127.0.0.1", web.port, timeout=60)
    connection.request("GET", "/healthz")
    return int(connection.getresponse().headers["X-Statements-So-Far"])


def opened(web, sessions: list[str], page: str) -> list[Tab]:
    tabs = [Tab(web.url, one, page) for one in sessions]
    for tab in tabs:
        tab.open()
    for tab in tabs:
        tab.wait_until_open()
    return tabs


def change(deployment, words: str) -> None:
    """Return what both the fleet and the deployment's page show."""
    MicroService.objects.update(description=words)
    Deployment.objects.update(status_reason=words)
    factories.event(deployment, "operation", status="running")


def all_show(tabs: list[Tab], words: str) -> None:
    late = lambda: [tab for tab in tabs if not (tab.texts and words in tab.texts[-1][1])]
    try:
        wait_until(lambda: not late(), seconds=60, what=f"“{words}” in every tab")
    except TimeoutError as error:
        why = Counter(tab.over or tab.trouble or "shows something else" for tab in late())
        raise TimeoutError(f"{error}: {dict(why)}") from None


def cost(web, tabs: list[Tab], deployment) -> tuple[int, float]:
    """Statements of a few changes that every one of these tabs has shown; how many more they may be than of one tab."""
    change(deployment, "warm")
    all_show(tabs, "warm")
    before, began, repeats = statements(web), time.monotonic(), sum(tab.repeats for tab in tabs)
    for n in range(CHANGES):
        change(deployment, f"change {n} of {len(tabs)}")
        all_show(tabs, f"change {n} of {len(tabs)}")
    sent, repeats = statements(web) - before, sum(tab.repeats for tab in tabs) - repeats
    return sent, CHANGES * A_CHANGE + (time.monotonic() - began) * A_SECOND + repeats * A_REPEAT


def test_two_hundred_tabs_cost_as_much_as_one(web):
    deployment = factories.running(20)
    pages = ("/", f"/deployments/{deployment.pk}/")
    sessions = [session(f"u{n}") for n in range(MANY)]
    each = [tab for page in pages for tab in opened(web, [sessions.pop()], page)]
    few, _ = cost(web, each, deployment)
    tabs = each + [tab for page in pages for tab in opened(web, sessions[page == "/" :: 2], page)]
    assert len(tabs) == MANY
    many, more = cost(web, tabs, deployment)
    assert many <= few + more
    for tab in tabs:
        tab.close()


def test_stops_showing_after_loss_of_rights(web):
    deployment, red = factories.running(), Team.objects.create(name="red")
    MicroService.objects.update(team=red)
    names = ("stays", "signed out", "shut out", "left the team")
    sessions = [session(name) for name in names]
    people = {name: get_user_model().objects.get(username=name) for name in names}
    Membership.objects.bulk_create(Membership(team=red, user=one, role=Role.VIEWER) for one in people.values())
    tabs = dict(zip(names, opened(web, sessions, "/services/shop/instances/"), strict=True))
    change(deployment, "for the team")
    all_show(list(tabs.values()), "for the team")
    Session.objects.filter(digest=digest_of(sessions[1])).delete()
    get_user_model().objects.filter(username="shut out").update(is_active=False)
    Membership.objects.filter(user=people["left the team"]).delete()
    gone = {name: tab for name, tab in tabs.items() if name != "stays"}
    wait_until(lambda: all(tab.over for tab in gone.values()), seconds=20, what="streams end, and none begins again")
    assert all(tab.repeats for tab in gone.values()), "their streams were ended: nothing else is asked again"
    assert {name: tab.over[-3:] for name, tab in gone.items()} == {
        "signed out": "401",
        "shut out": "401",
        "left the team": "403",
    }
    shown = {name: len(tab.texts) for name, tab in gone.items()}
    change(deployment, "for the team alone")
    all_show([tabs["stays"]], "for the team alone")
    assert {name: len(tab.texts) for name, tab in gone.items()} == shown
    statuses = {
        name: tab.ask("/services/shop/instances/", **{"HX-Request": "true"}).status for name, tab in tabs.items()
    }
    assert statuses == {"stays": 200, "signed out": 401, "shut out": 401, "left the team": 403}
    for tab in tabs.values():
        tab.close()
