"""Who may create tokens, for whom, and for how long."""

from datetime import timedelta

import pytest
from django.contrib.auth import get_user_model
from django.test import Client
from django.utils import timezone

from access.callers import SCOPES, Caller
from access.models import Membership, Session, Team, Token
from access.problems import Problem
from access.roles import Role
from access.tokens import make_token
from audit.models import History
from microservice import tokens as issuing
from tests import factories
from tests.access.tokens_in_use import child_of, holds
from tests.api.client import Api, person

pytestmark = pytest.mark.django_db

EVERYTHING_ELSE = [scope for scope in SCOPES if scope != "tokens"]


@pytest.mark.parametrize("scopes", [["read"], EVERYTHING_ELSE], ids=["read", "all but tokens"])
def test_managing_tokens_needs_its_scope(api, scopes):
    other = api().post("/tokens/", {"name": "other", "scopes": ["read"]}).json()
    some = api(*scopes)
    made = some.post("/tokens/", {"name": "x", "scopes": ["read"]})
    assert (made.status_code, made.json()["code"]) == (403, "forbidden")
    assert some.delete(f"/tokens/{other['id']}").status_code == 403
    assert holds(other["token"])
    own = Token.objects.get(name="test", scopes=scopes)
    assert some.delete(f"/tokens/{own.pk}").status_code == 204, "a token may revoke itself"
    assert some.get("/services/").status_code == 401


def test_scoped_tokens_create_tokens_for_any_role(db):
    user = get_user_model().objects.create_user("joe")
    Membership.objects.create(team=Team.objects.create(name="red"), user=user, role=Role.VIEWER)
    with_it, without = make_token(user, "a", ["read", "tokens"])[1], make_token(user, "b", ["read"])[1]
    assert child_of(with_it, "read")["scopes"] == ["read"]
    assert Api(without).post("/tokens/", {"name": "x", "scopes": ["read"]}).status_code == 403
    assert Api(with_it).post("/tokens/", {"name": "x", "scopes": ["admin"]}).status_code == 403


def test_browser_users_manage_their_tokens(db):
    browser = Client()
    browser.force_login(person("joe"))
    made = browser.post("/api/v1/tokens/", {"name": "x", "scopes": ["read"]}, content_type="application/json")
    assert made.status_code == 201 and holds(made.json()["token"])
    assert browser.delete(f"/api/v1/tokens/{made.json()['id']}").status_code == 204
    assert not holds(made.json()["token"])


@pytest.mark.parametrize(
    ("method", "body"),
    [
        ("POST", {"username": "eve", "password": "a right long horse"}),
        ("POST", {"username": "eve", "admin": True}),
        ("PATCH", {"password": "a right long horse"}),
        ("PATCH", {"admin": True}),
        ("PATCH", {"active": True}),
    ],
)
def test_tokens_without_scope_grant_no_access(api, method, body):
    """A stolen token for administrators would leave an account behind that outlives it."""
    joe = person("joe", is_active=False)
    path = f"/users/{joe.pk}" if method == "PATCH" else "/users/"
    answer = api("read", "admin").send(method, path, body)
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    joe.refresh_from_db()
    assert not joe.is_active and not joe.is_superuser and not get_user_model().objects.filter(username="eve").exists()
    assert api().send(method, path, body).status_code in (200, 201)


def test_default_lifetime_of_tokens(api, settings):
    settings.TOKEN_LIFETIME_DAYS = 30
    made = api().post("/tokens/", {"name": "x", "scopes": ["read"]}).json()
    left = Token.objects.get(pk=made["id"]).expires - timezone.now()
    assert timedelta(days=29) < left <= timedelta(days=30)
    assert api().post("/tokens/", {"name": "x", "scopes": ["read"], "expires": None}).json()["expires"] is None


def test_endless_tokens_need_an_administrator(api):
    who = Caller(name="joe", user_id=person("joe").pk, scopes=frozenset({"read", "tokens"}))
    far = timezone.now() + timedelta(days=400)
    for end in (None, far):
        with pytest.raises(Problem, match="more than a year"):
            issuing.issue(who, "x", ["read"], expires=end)
    assert issuing.issue(who, "x", ["read"], expires=timezone.now() + timedelta(days=300))
    account = api().post("/users/", {"username": "pipeline", "service": True}).json()
    body = {"name": "x", "scopes": ["read"], "user": "pipeline", "expires": None}
    assert api().post("/tokens/", body).json()["expires"] is None
    assert Token.objects.get(user=account["id"])


def test_service_accounts_cannot_sign_in(api):
    some = api()
    made = some.post("/users/", {"username": "pipeline", "service": True})
    assert (made.status_code, made.json()["service"]) == (201, True)
    path = f"/users/{made.json()['id']}"
    assert some.patch(path, {"password": "a right long horse"}).json()["errors"][0]["pointer"] == "/password"
    refused = some.post("/users/", {"username": "p2", "service": True, "password": "a right long horse"})
    assert refused.json()["errors"][0]["pointer"] == "/password"
    team = Team.objects.create(name="red")
    factories.service("shop", team=team)
    some.post(f"/teams/{team.pk}/members/", {"user": "pipeline", "role": "publisher"})
    token = some.post("/tokens/", {"name": "ci", "scopes": ["read", "publish"], "user": "pipeline"}).json()
    assert token["user"] == "pipeline"
    published = Api(token["token"]).post("/services/shop/versions/", {"version": "1.0"})
    assert published.status_code == 201
    row = History.objects.filter(subject="version").get()
    assert (row.actor, row.token_id, row.token_name) == ("pipeline", token["id"], "ci")


def test_service_accounts_ignore_passwords(api):
    made = api().post("/users/", {"username": "pipeline", "service": True}).json()
    user = get_user_model().objects.get(pk=made["id"])
    user.set_password("a right long horse")
    user.save()
    answer = Client().post("/login/", {"username": "pipeline", "password": "a right long horse"})
    assert answer.status_code == 200 and not Session.objects.filter(user=user).exists()


def test_service_account_tokens_need_an_administrator(api):
    joe = person("joe")
    refused = api().post("/tokens/", {"name": "x", "scopes": ["read"], "user": "joe"})
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/user")
    api().post("/users/", {"username": "pipeline", "service": True})
    own = make_token(joe, "own", ["read", "tokens"])[1]
    assert Api(own).post("/tokens/", {"name": "x", "scopes": ["read"], "user": "pipeline"}).status_code == 403
