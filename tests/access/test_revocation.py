"""Tokens that make tokens, and what ends with what: parents, a click, another password, a shut-out account."""

import threading
from datetime import timedelta

import pytest
from django.contrib.auth import get_user_model
from django.db import connection, connections, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from access import tokens
from access.callers import SCOPES, Caller
from access.models import Membership, Session, Team, Token
from access.problems import Problem
from access.revocation import end_access
from access.roles import Role
from access.tokens import make_token
from audit.models import History
from microservice import tokens as issuing
from tests import factories
from tests.api.conftest import Api, api, person  # noqa: F401

pytestmark = pytest.mark.django_db
EVERYTHING_ELSE = [scope for scope in SCOPES if scope != "tokens"]


def holds(token: str) -> bool:
    return Api(token).get("/services/").status_code == 200


def child_of(token: str, *scopes: str, **more) -> dict:
    answer = Api(token).post("/tokens/", {"name": "child", "scopes": scopes or ["read", "tokens"], **more})
    assert answer.status_code == 201, answer.content
    return answer.json()


# --- who makes tokens -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scopes", [["read"], EVERYTHING_ELSE], ids=["read", "all but tokens"])
def test_managing_tokens_needs_its_scope(api, scopes):  # noqa: F811
    other = api().post("/tokens/", {"name": "other", "scopes": ["read"]}).json()
    some = api(*scopes)
    made = some.post("/tokens/", {"name": "x", "scopes": ["read"]})
    assert (made.status_code, made.json()["code"]) == (403, "forbidden")
    assert some.delete(f"/tokens/{other['id']}").status_code == 403
    assert holds(other["token"])
    own = Token.objects.get(name="test", scopes=scopes)
    assert some.delete(f"/tokens/{own.pk}").status_code == 204, "who finds a lost token can end it"
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
def test_tokens_without_scope_grant_no_access(api, method, body):  # noqa: F811
    """A stolen token for administrators would leave an account behind that outlives it."""
    joe = person("joe", is_active=False)
    path = f"/users/{joe.pk}" if method == "PATCH" else "/users/"
    answer = api("read", "admin").send(method, path, body)
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    joe.refresh_from_db()
    assert not joe.is_active and not joe.is_superuser and not get_user_model().objects.filter(username="eve").exists()
    assert api().send(method, path, body).status_code in (200, 201)


# --- children end with their parents ----------------------------------------------------------------------------------


def test_revokes_all_descendants_and_audits(api):  # noqa: F811
    first = api().post("/tokens/", {"name": "first", "scopes": ["read", "tokens"]}).json()
    line = [first]
    for _ in range(5):
        line.append(child_of(line[-1]["token"]))
    assert [one["parent_id"] for one in line[1:]] == [one["id"] for one in line[:-1]]
    beside = api().post("/tokens/", {"name": "beside", "scopes": ["read"]}).json()
    assert all(holds(one["token"]) for one in line)
    assert api().delete(f"/tokens/{line[1]['id']}").status_code == 204
    assert [holds(one["token"]) for one in line] == [True] + [False] * 5
    assert holds(beside["token"])
    ended = History.objects.filter(action="delete", subject="token").values_list("subject_id", flat=True)
    assert set(ended) == {one["id"] for one in line[1:]}


def test_revoking_descendants_has_constant_queries(api):  # noqa: F811
    def cost(generations: int) -> int:
        line = [make_token(user, "x", ["read"])[0]]
        for _ in range(generations):
            line.append(make_token(user, "x", ["read"], parent=line[-1].pk)[0])
        with CaptureQueriesContext(connection) as asked:
            assert len(tokens.revoke([line[0].pk])) == generations + 1
        return len(asked)

    user = person("joe")
    assert cost(1) == cost(20) <= 6


def test_children_expire_with_their_parent(api):  # noqa: F811
    soon = (timezone.now() + timedelta(days=3)).isoformat()
    parent = api().post("/tokens/", {"name": "p", "scopes": ["read", "tokens"], "expires": soon}).json()
    assert child_of(parent["token"])["expires"] == parent["expires"], "and the usual time is longer"
    assert child_of(parent["token"], expires=None)["expires"] == parent["expires"]


def test_revoked_tokens_create_no_children(db):
    user = person("joe")
    parent = make_token(user, "p", ["read", "tokens"])[0]
    tokens.revoke([parent.pk])
    with pytest.raises(Problem) as problem:
        make_token(user, "c", ["read"], parent=parent.pk)
    assert problem.value.status == 401 and Token.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_revokes_children_created_meanwhile():
    """Only PostgreSQL has two writers at once; there the one who revokes waits for the one who makes."""
    user = person("joe")
    top = make_token(user, "top", ["read", "tokens"])[0]
    parent = make_token(user, "parent", ["read", "tokens"], parent=top.pk)[0]
    made, looked = threading.Event(), threading.Event()

    def make() -> None:
        with transaction.atomic():
            make_token(user, "child", ["read"], parent=parent.pk)
            made.set()
            looked.wait(10 if connection.vendor == "postgresql" else 0)
        connections.close_all()

    thread = threading.Thread(target=make)
    thread.start()
    made.wait(60)
    threading.Timer(1.0, looked.set).start()
    ended = tokens.revoke([top.pk])
    thread.join()
    assert {one.name for one in ended} == {"top", "parent", "child"}
    assert not Token.objects.filter(revoked=None).exists()


# --- ends -------------------------------------------------------------------------------------------------------------


def test_default_lifetime_of_tokens(api, settings):  # noqa: F811
    settings.TOKEN_LIFETIME_DAYS = 30
    made = api().post("/tokens/", {"name": "x", "scopes": ["read"]}).json()
    left = Token.objects.get(pk=made["id"]).expires - timezone.now()
    assert timedelta(days=29) < left <= timedelta(days=30)
    assert api().post("/tokens/", {"name": "x", "scopes": ["read"], "expires": None}).json()["expires"] is None


def test_endless_tokens_need_an_administrator(api):  # noqa: F811
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


# --- service accounts -------------------------------------------------------------------------------------------------


def test_service_accounts_cannot_sign_in(api):  # noqa: F811
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


def test_service_accounts_ignore_passwords(api):  # noqa: F811
    made = api().post("/users/", {"username": "pipeline", "service": True}).json()
    user = get_user_model().objects.get(pk=made["id"])
    user.set_password("a right long horse")
    user.save()
    answer = Client().post("/login/", {"username": "pipeline", "password": "a right long horse"})
    assert answer.status_code == 200 and not Session.objects.filter(user=user).exists()


def test_administrators_create_tokens_for_service_accounts(api):  # noqa: F811
    joe = person("joe")
    refused = api().post("/tokens/", {"name": "x", "scopes": ["read"], "user": "joe"})
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/user")
    api().post("/users/", {"username": "pipeline", "service": True})
    own = make_token(joe, "own", ["read", "tokens"])[1]
    assert Api(own).post("/tokens/", {"name": "x", "scopes": ["read"], "user": "pipeline"}).status_code == 403


# --- everything of somebody -------------------------------------------------------------------------------------------


def everything_of(name: str = "joe"):
    """A user, a token with a child, and a client that is signed in."""
    user = person(name)
    parent, text = make_token(user, "p", ["read", "tokens"])
    child = make_token(user, "c", ["read"], parent=parent.pk)[1]
    client = Client()
    client.force_login(user)
    return user, [text, child], client


def nothing_works(texts: list[str], client: Client) -> bool:
    return not any(holds(text) for text in texts) and client.get("/account/").status_code == 302


@pytest.mark.parametrize("change", [{"password": "another right horse"}, {"active": False}], ids=["reset", "shut out"])
def test_reset_and_deactivation_end_all_access(api, change):  # noqa: F811
    user, texts, client = everything_of()
    assert all(holds(text) for text in texts) and client.get("/account/").status_code == 200
    assert api().patch(f"/users/{user.pk}", change).status_code == 200
    assert nothing_works(texts, client)
    assert api().patch(f"/users/{user.pk}", {"active": True}).status_code == 200
    assert nothing_works(texts, client)
    assert History.objects.filter(action="end_sessions", subject_id=user.pk).count() == 1
    assert History.objects.filter(action="delete", subject="token").exclude(reason="").count() == 2


def test_ends_all_sessions_and_tokens(api):  # noqa: F811
    user, texts, client = everything_of()
    _, others, other = everything_of("eve")
    answer = api().post(f"/users/{user.pk}/end_sessions", {})
    assert answer.json() == {"sessions": 1, "tokens": 2}
    assert nothing_works(texts, client)
    assert all(holds(text) for text in others) and other.get("/account/").status_code == 200


def test_users_end_only_their_own_access(api):  # noqa: F811
    user, texts, client = everything_of()
    eve, others, _ = everything_of("eve")
    end = lambda number, asked: client.post(
        f"/api/v1/users/{number}/end_sessions", asked, content_type="application/json"
    )
    assert end(eve.pk, {}).status_code == 404
    second = Client()
    second.force_login(user)
    assert end(user.pk, {"tokens": False}).json() == {"sessions": 1, "tokens": 0}
    assert second.get("/account/").status_code == 302 and client.get("/account/").status_code == 200
    assert all(holds(text) for text in texts)
    reader = make_token(user, "r", ["read"])[1]
    assert Api(reader).post(f"/users/{user.pk}/end_sessions", {}).status_code == 403
    assert end(user.pk, {}).json() == {"sessions": 0, "tokens": 3}
    assert all(holds(text) for text in others)


def test_ending_access_has_constant_queries(db):
    def cost(many: int) -> int:
        user = person(f"u{many}")
        for _ in range(many):
            make_token(user, "x", ["read"])
            Client().force_login(user)
        with CaptureQueriesContext(connection) as asked:
            end_access(Caller(name="root"), user, "asked for")
        return len(asked)

    assert cost(1) == cost(12)


def test_reactivation_restores_no_access(api):  # noqa: F811
    """Accounts that were shut out before the rule was there still have their sessions and tokens."""
    user, texts, client = everything_of()
    get_user_model().objects.filter(pk=user.pk).update(is_active=False)
    assert Session.objects.filter(user=user).exists() and Token.objects.filter(user=user, revoked=None).exists()
    assert api().patch(f"/users/{user.pk}", {"active": True}).status_code == 200
    assert nothing_works(texts, client)


@pytest.mark.django_db(transaction=True)
def test_ended_sessions_create_no_tokens():
    """Only PostgreSQL has two writers at once; there the one who ends waits for the one who makes."""
    user = person("joe", is_superuser=True)
    client = Client()
    client.force_login(user)
    number = Session.objects.get().pk
    who = Caller(name="joe", user_id=user.pk, session_id=number, scopes=frozenset(SCOPES))
    made = threading.Event()

    def make() -> None:
        with transaction.atomic():
            issuing.issue(who, "late", ["read"])
            made.set()
            if connection.vendor == "postgresql":
                threading.Event().wait(1)
        connections.close_all()

    thread = threading.Thread(target=make)
    thread.start()
    made.wait(60)
    end_access(Caller(name="root"), user, "asked for")
    thread.join()
    assert Token.objects.get().revoked
    with pytest.raises(Problem) as problem:
        issuing.issue(who, "later", ["read"])
    assert problem.value.status == 401
