"""Choosers: what is found by typing, what is refused, and making what is missing in a dialog."""

import html
import re

import pytest
from django.contrib.auth import get_user_model
from django.test import Client

from access.models import Membership, Team, Token
from access.roles import Role
from asset.models import Asset, Credential
from microservice.models import MicroService
from tests import factories
from tests.console import as_a_browser

from ..markup import markup

pytestmark = pytest.mark.django_db
DIALOG = {"X-Dialog": "1"}


def found(client: Client, kind: str, q: str = "") -> list[str]:
    answer = client.get(f"/choose/{kind}/", {"q": q})
    assert answer.status_code == 200
    return [one["name"] for one in answer.json()["found"]]


@pytest.fixture
def red(db) -> Team:
    return Team.objects.create(name="red")


def owner_of(team: Team, name: str = "olga") -> None:
    Membership.objects.create(team=team, user=get_user_model().objects.get(username=name), role=Role.OWNER)


def test_names_that_begin_so_come_first(admin):
    for name in ("web", "api-web", "web-shop", "other"):
        factories.service(name)
    assert found(admin, "service", "WEB") == ["web", "web-shop", "api-web"]
    factories.hosts(3, prefix="db")
    assert found(admin, "host", Asset.objects.first().ip) == [Asset.objects.first().hostname], "an address finds too"


def test_many_names_are_cut_and_it_says_so(admin, cost):
    factories.hosts(2)
    few = cost(admin, "/choose/host/")
    assert admin.get("/choose/host/").json()["more"] is False
    factories.hosts(30, prefix="more")
    answer = admin.get("/choose/host/").json()
    assert len(answer["found"]) == 20 and answer["more"] is True
    assert cost(admin, "/choose/host/") == few


def test_proposes_only_what_the_user_may_see(admin, operator, red):
    host, open_host = factories.hosts(2)
    host.teams.add(red)
    factories.service("secret", team=red)
    factories.service("unowned")
    Credential.objects.create(name="key", kind="password", secret="s")
    blue = Team.objects.create(name="blue")
    factories.service("plain", team=blue)
    owner_of(blue)
    assert found(operator, "host") == [open_host.hostname]
    assert found(operator, "service") == ["plain"] and found(operator, "team") == ["blue"]
    assert found(operator, "credential") == [] and found(operator, "unowned") == []
    assert found(operator, "person") == ["olga"], "the accounts of others are not listed"
    assert found(admin, "person", "a") == ["ada", "olga"] and found(admin, "credential") == ["key"]
    assert found(admin, "unowned") == ["unowned"]


@pytest.mark.parametrize("q", ["\0", "%", "_", "'", "x" * 5000, "\ud800"])
def test_hostile_searches_find_nothing(admin, q):
    factories.service("shop")
    assert found(admin, "service", q.encode("utf-8", "replace").decode()) in ([], ["shop"])
    assert admin.get("/choose/nosuch/").status_code == 404


def test_a_stranger_finds_nothing(client):
    assert client.get("/choose/person/").status_code == 302
    assert client.get("/credentials/", headers=DIALOG).status_code == 401


# --- the field --------------------------------------------------------------------------------------------------------


def test_refusal_names_similar_names(admin, red):
    factories.service("checkout")
    page = markup(admin.post(f"/teams/{red.pk}/give/", {"service": "checkou"}))
    assert "There is no service “checkou” without a team." in page and "Similar names: checkout." in page
    assert 'value="checkou"' in page and MicroService.objects.get().team is None


def test_capitals_do_not_matter_where_one_name_is_meant(admin, red):
    factories.service("Checkout")
    assert admin.post(f"/teams/{red.pk}/give/", {"service": "checkout"}).status_code == 302
    assert MicroService.objects.get().team == red
    factories.service("pay")
    factories.service("PAY")
    assert admin.post(f"/teams/{red.pk}/give/", {"service": "Pay"}).status_code == 422
    assert admin.post(f"/teams/{red.pk}/give/", {"service": "pay"}).status_code == 302


@pytest.mark.parametrize("name", ["", "\0", "1", "x" * 300, "<b>", "%"])
def test_hostile_names_are_refused_at_the_field(admin, red, name):
    service = factories.service("shop")
    answer = admin.post(f"/teams/{red.pk}/give/", {"service": name or " "})
    assert answer.status_code == 422 and 'id="id_service-wrong"' in markup(answer) and "<b>" not in markup(answer)
    answer = admin.post(f"/teams/{red.pk}/give/", {"service": str(service.pk)})
    assert answer.status_code == 422, "an id is not a name"


def test_several_are_ticked_and_one_more_is_typed(admin):
    for name in ("shop", "pay", "mail"):
        factories.service(name)
    fields = {"name": "ci", "scopes": ["read"], "services": ["shop", "pay"], "services_more": "nosuch"}
    page = markup(admin.post("/tokens/", fields))
    form = next(one for one in as_a_browser.forms(page) if one.has("services_more"))
    assert form.data()["services"] == ["shop", "pay"] and form.data()["services_more"] == ["nosuch"]
    assert "There is no service “nosuch” that you may see." in page and not Token.objects.exists()
    admin.post("/tokens/", {**fields, "services_more": "mail"})
    assert len(Token.objects.get().services) == 3


def test_token_of_hidden_service_is_refused(operator, red):
    factories.service("secret", team=red)
    answer = operator.post("/tokens/", {"name": "ci", "scopes": ["read"], "services": ["secret"]})
    assert answer.status_code in (403, 422) and not Token.objects.exists()


def test_owner_adds_by_name_who_is_not_proposed(operator, red):
    owner_of(red)
    get_user_model().objects.create_user("eve")
    page = markup(operator.get(f"/teams/{red.pk}/"))
    assert "Only administrators can add users." in page and "data-makes" not in page
    assert "Type the username of anyone else." in page
    assert operator.post(f"/teams/{red.pk}/member/", {"user": "eve", "role": "viewer"}).status_code == 302
    assert Membership.objects.filter(user__username="eve", team=red).exists()


# --- making what is missing -------------------------------------------------------------------------------------------

MADE = {
    "/credentials/": ({"name": "key", "kind": "password", "secret": "s3cret"}, "key", {"name": ""}),
    "/people/": ({"username": "bo", "active": "on"}, "bo", {"username": "b o"}),
    "/teams/": ({"name": "sales"}, "sales", {"name": "12"}),
    "/new-service/": ({"name": "shop", "language": "other"}, "shop", {"name": "a b"}),
}


@pytest.mark.parametrize("address", MADE)
def test_dialog_makes_and_names_it(admin, address):
    fields, name, bad = MADE[address]
    proposed = admin.get(address, {"name": name}, headers=DIALOG)
    page = markup(proposed)
    assert "<html" not in page and f'value="{name}"' in page and f'action="{address}"' in page
    assert 'id="new1-title"' in page and 'id="id_' not in page, "the page below has these ids"
    refused = admin.post(address, fields | bad, headers=DIALOG)
    assert refused.status_code == 422 and "<html" not in markup(refused) and "-wrong" in markup(refused)
    assert "s3cret" not in markup(refused)
    answer = admin.post(address, fields, headers=DIALOG)
    assert answer.status_code == 201 and answer.json()["name"] == name and name in answer.json()["says"]
    assert "was added" not in markup(admin.get("/account/")), "said in the dialog, not on a later page"


@pytest.mark.parametrize("address", MADE)
def test_dialog_refuses_without_the_right(operator, address):
    answer = operator.post(address, MADE[address][0], headers=DIALOG)
    assert answer.status_code == 403 and "<html" not in markup(answer) and 'role="alert"' in markup(answer)
    assert not Credential.objects.exists() and not Team.objects.exists() and not MicroService.objects.exists()


def test_dialogs_above_each_other_have_their_own_ids(admin):
    assert 'id="new2-title"' in markup(admin.get("/teams/", headers={"X-Dialog": "2"}))
    assert 'id="new1-title"' in markup(admin.get("/teams/", headers={"X-Dialog": '"><b>'}))


# --- the host's form --------------------------------------------------------------------------------------------------

HOST = {"hostname": "web9", "ip": "192.0.2.9", "port": "22", "username": "root", "base_path": "/srv/services"}


@pytest.fixture
def never_checked(monkeypatch):
    from asset import host_check

    monkeypatch.setattr(host_check, "check", lambda host, caller: {"offered_key": "", "key_changed": False})


def test_host_names_its_credential_jump_host_and_teams(admin, red, never_checked):
    key = Credential.objects.create(name="prod key", kind="password", secret="s")
    (gate,) = factories.hosts(1, prefix="gate")
    chosen = {"credential_id": "prod key", "jump_host_id": gate.hostname, "teams": ["red"]}
    assert admin.post("/hosts/new/", HOST | chosen).status_code == 302
    host = Asset.objects.get(hostname="web9")
    assert (host.credential, host.jump_host, list(host.teams.all())) == (key, gate, [red])
    form = next(one for one in as_a_browser.forms(markup(admin.get(f"/hosts/{host.pk}/edit/"))) if one.has("teams"))
    assert form.data()["credential_id"] == ["prod key"] and form.data()["teams"] == ["red"]
    assert admin.post(f"/hosts/{host.pk}/edit/", HOST | {"credential_id": ""}).status_code == 302
    host.refresh_from_db()
    assert (host.credential, host.jump_host, list(host.teams.all())) == (None, None, [])


@pytest.mark.parametrize("name", ["credential_id", "jump_host_id", "teams"])
def test_host_with_unknown_name_is_refused_at_its_field(admin, name):
    page = markup(admin.post("/hosts/new/", HOST | {name: "nosuch"}))
    assert f'id="id_{name}-wrong"' in page and "nosuch" in page and not Asset.objects.exists()


def test_dialog_adds_a_host_and_checks_it(admin, never_checked):
    answer = admin.post("/hosts/new/", HOST, headers=DIALOG)
    assert answer.status_code == 201 and answer.json()["name"] == "web9"
    assert 'value="web7"' in markup(admin.get("/hosts/new/", {"name": "web7"}, headers=DIALOG))


def test_form_of_a_host_costs_the_same_with_many_rows(admin, cost):
    (host,) = factories.hosts(1)
    few = cost(admin, f"/hosts/{host.pk}/edit/")
    factories.hosts(20, prefix="more")
    for number in range(20):
        Team.objects.create(name=f"team {number}")
    assert cost(admin, f"/hosts/{host.pk}/edit/") == few


# --- where else something is made -------------------------------------------------------------------------------------


def test_install_dialog_offers_a_new_host_to_who_may_add_one(admin, operator):
    (version,) = factories.versions(factories.service("shop"), 1)
    address = f"/services/shop/versions/{version.pk}/install/"
    page = markup(admin.get(address))
    assert 'href="/hosts/new/"' in page and 'data-makes="find_host"' in page and 'id="find_host"' in page
    page = markup(operator.get(address))
    assert "data-makes" not in page and "Only administrators can add hosts." in page


def test_pipelines_page_makes_a_token_in_a_dialog(admin):
    factories.service("shop")
    link = re.search(r'href="(/tokens/[^"]+)"', markup(admin.get("/pipelines/", {"service": "shop"})))
    form = as_a_browser.forms(markup(admin.get(html.unescape(link[1]), headers=DIALOG)))[0]
    assert form.data()["services"] == ["shop"] and form.data()["scopes"] == ["publish", "deploy"]
    refused = admin.post("/tokens/", form.data(), headers=DIALOG)
    assert refused.status_code == 422 and "<html" not in markup(refused) and not Token.objects.exists()
    made = admin.post("/tokens/", form.data() | {"name": "ci"}, headers=DIALOG)
    assert made.status_code == 201 and "Copy it now" in markup(made) and "<html" not in markup(made)
    assert len(Token.objects.get().services) == 1
    assert 'name="services"' not in markup(admin.get("/tokens/?services="))
    assert "Copy it now" not in markup(admin.get("/tokens/"))


@pytest.mark.parametrize("given", ["services=%00&scopes=admin", "services=<b>", "scopes=nosuch", "name=%00"])
def test_hostile_proposals_do_no_harm(admin, given):
    answer = admin.get(f"/tokens/?{given}")
    assert answer.status_code == 200 and "<b>" not in markup(answer)
    assert admin.get(f"/people/?{given}", headers=DIALOG).status_code == 200


# --- filters ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "name", "kind"),
    [
        ("/deployments/", "service", "service"),
        ("/builds/", "service", "service"),
        ("/builds/", "requested_by", "person"),
        ("/history/", "service", "service"),
        ("/history/", "actor", "person"),
        ("/history/moves/", "service", "service"),
        ("/pipelines/", "service", "service"),
    ],
)
def test_filters_propose_names_and_keep_what_is_typed(operator, address, name, kind):
    factories.service("shop")
    page = markup(operator.get(address, {name: "shop"}))
    chooser = re.search(rf'data-chooser="/choose/{kind}/".*?name="{name}" value="shop"', page)
    assert chooser and "data-makes" not in chooser[0]
    assert operator.get(address, {name: "\0"}).status_code in (200, 422)
    assert operator.get(address, {name: "x" * 5000}).status_code in (200, 422)


# --- the team of a new service ----------------------------------------------------------------------------------------


def test_new_service_gets_its_team(admin, operator, red):
    service = {"name": "shop", "language": "other"}
    assert admin.post("/new-service/", service | {"team": "red"}).status_code == 302
    assert MicroService.objects.get(name="shop").team == red
    page = markup(admin.post("/new-service/", {"name": "pay", "language": "go", "team": "nosuch"}))
    assert 'id="id_team-wrong"' in page and 'value="pay"' in page and 'value="nosuch"' in page
    assert admin.post("/new-service/", {"name": "pay", "language": "go", "team": ""}).status_code == 302
    assert MicroService.objects.get(name="pay").team is None


def test_owner_of_two_teams_chooses_one(operator, red):
    owner_of(red)
    assert 'value="red"' in markup(operator.get("/new-service/")), "the only one is chosen"
    blue = Team.objects.create(name="blue")
    Team.objects.create(name="green")
    owner_of(blue)
    assert 'value="red"' not in markup(operator.get("/new-service/"))
    service = {"name": "shop", "language": "other"}
    assert operator.post("/new-service/", service).status_code == 422
    assert operator.post("/new-service/", service | {"team": "green"}).status_code == 422, "one that is not theirs"
    assert operator.post("/new-service/", service | {"team": "blue"}).status_code == 302
    assert MicroService.objects.get().team == blue


def test_service_settings_say_where_build_servers_are_configured(admin, operator, red):
    factories.service("shop", team=red)
    owner_of(red)
    link = '<a href="/settings/" target="_blank">Configure build servers…</a>'
    assert link in markup(admin.get("/services/shop/settings/"))
    page = markup(operator.get("/services/shop/settings/"))
    assert link not in page and ("Only administrators can configure build servers." in page or "“build” scope" in page)
