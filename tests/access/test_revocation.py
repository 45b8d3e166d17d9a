"""Revocation: tokens end with their parents, all access of an account with one click or with its password."""

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
from access.models import Session, Token
from access.problems import Problem
from access.revocation import end_access
from access.tokens import make_token
from audit.models import History
from microservice import tokens as issuing
from tests.access.tokens_in_use import child_of, holds
from tests.api.client import Api, person

pytestmark = pytest.mark.django_db


def test_revokes_all_descendants_and_audits(api):
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


def test_revoking_descendants_has_constant_queries(api):
    def cost(generations: int) -> int:
        line = [make_token(user, "x", ["read"])[0]]
        for _ in range(generations):
            line.append(make_token(user, "x", ["read"], parent=line[-1].pk)[0])
        with CaptureQueriesContext(connection) as queries:
            assert len(tokens.revoke([line[0].pk])) == generations + 1
        return len(queries)

    user = person("joe")
    assert cost(1) == cost(20) <= 6


def test_children_expire_with_their_parent(api):
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


def everything_of(name: str = "joe"):
    """Return a user, a token with a child, and a client that is signed in."""
    user = person(name)
    parent, text = make_token(user, "p", ["read", "tokens"])
    child = make_token(user, "c", ["read"], parent=parent.pk)[1]
    client = Client()
    client.force_login(user)
    return user, [text, child], client


def nothing_works(texts: list[str], client: Client) -> bool:
    return not any(holds(text) for text in texts) and client.get("/account/").status_code == 302


@pytest.mark.parametrize("change", [{"password": "another right horse"}, {"active": False}], ids=["reset", "shut out"])
def test_reset_and_deactivation_end_all_access(api, change):
    user, texts, client = everything_of()
    assert all(holds(text) for text in texts) and client.get("/account/").status_code == 200
    assert api().patch(f"/users/{user.pk}", change).status_code == 200
    assert nothing_works(texts, client)
    assert api().patch(f"/users/{user.pk}", {"active": True}).status_code == 200
    assert nothing_works(texts, client)
    assert History.objects.filter(action="end_sessions", subject_id=user.pk).count() == 1
    assert History.objects.filter(action="delete", subject="token").exclude(reason="").count() == 2


def test_ends_all_sessions_and_tokens(api):
    user, texts, client = everything_of()
    _, others, other = everything_of("eve")
    answer = api().post(f"/users/{user.pk}/end_sessions", {})
    assert answer.json() == {"sessions": 1, "tokens": 2}
    assert nothing_works(texts, client)
    assert all(holds(text) for text in others) and other.get("/account/").status_code == 200


def test_users_end_only_their_own_access(api):
    user, texts, client = everything_of()
    eve, others, _ = everything_of("eve")
    end = lambda number, body: client.post(
        f"/api/v1/users/{number}/end_sessions", body, content_type="application/json"
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
        with CaptureQueriesContext(connection) as queries:
            end_access(Caller(name="root"), user, "asked for")
        return len(queries)

    assert cost(1) == cost(12)


def test_reactivation_restores_no_access(api):
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
