"""Sessions of open streams are read together: no statement for each, and every change is noticed."""

from datetime import timedelta

import pytest
from django.contrib.auth import get_user_model
from django.test import Client, RequestFactory
from django.utils import timezone

from access import session_cache
from access.models import Membership, Session, Team, Token
from access.roles import Role
from access.tokens import make_token

pytestmark = pytest.mark.django_db


@pytest.fixture
def known(monkeypatch):
    """Return a cache that reads the rows at every request."""
    monkeypatch.setattr(session_cache, "REFRESH_INTERVAL", 0)
    return session_cache.SessionCache()


def person(name: str = "ann", **more):
    return get_user_model().objects.create_user(name, password="first", **more)


def asks(user):
    """Return a request of a new session, and a function that makes the same one again."""
    client = Client()
    client.force_login(user)
    return lambda: again(client.cookies["sessionid"].value)


def again(session: str):
    from django.contrib.auth.middleware import AuthenticationMiddleware
    from django.contrib.sessions.middleware import SessionMiddleware

    request = RequestFactory().get("/")
    request.COOKIES["sessionid"] = session
    for middleware in (SessionMiddleware, AuthenticationMiddleware):
        middleware(lambda _: None).process_request(request)
    return request


def test_cached_sessions_cost_no_query(known, monkeypatch, django_assert_num_queries):
    request = asks(person())
    first = known.caller_of(request())
    monkeypatch.setattr(session_cache, "REFRESH_INTERVAL", 60)
    with django_assert_num_queries(0):
        assert all(known.caller_of(request()) is first for _ in range(50))


def test_refreshes_all_sessions_at_once(known, django_assert_num_queries):
    requests = [asks(person(f"u{n}")) for n in range(20)]
    callers = [known.caller_of(request()) for request in requests]
    with django_assert_num_queries(3):  # sessions, accounts, roles
        assert known.caller_of(requests[7]()) is callers[7]


CHANGES = {
    "signed out": lambda user: Session.objects.all().delete(),
    "the session is over": lambda user: Session.objects.update(created=timezone.now() - timedelta(days=15)),
    "left alone": lambda user: Session.objects.update(seen=timezone.now() - timedelta(days=2)),
    "shut out": lambda user: get_user_model().objects.update(is_active=False),
    "deleted": lambda user: user.delete(),
    "another password": lambda user: (user.set_password("second"), user.save()),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_forgets_sessions_without_access(known, change):
    user = person()
    request = asks(user)
    who = known.caller_of(request())
    one = known.remember(request(), who)
    assert known.is_current(one)
    change(user)
    assert not known.is_current(one)
    assert known.caller_of(request()) is None


def test_notices_changed_roles(known):
    user, team = person(), Team.objects.create(name="red")
    request = asks(user)
    who = known.caller_of(request())
    one = known.remember(request(), who)
    Membership.objects.create(user=user, team=team, role=Role.OWNER)
    assert not known.is_current(one)
    assert known.caller_of(request()).owns(team.pk) and not who.owns(team.pk)
    Membership.objects.update(role=Role.VIEWER)
    assert not known.caller_of(request()).owns(team.pk)
    get_user_model().objects.update(is_superuser=True)
    assert known.caller_of(request()).may("admin")
    get_user_model().objects.update(is_superuser=False)
    assert not known.caller_of(request()).may("admin")


def test_notices_changes_during_recognition(known, monkeypatch):
    """The rights were read, then taken away, then the rows are read that later looks are compared with."""
    user = person(is_superuser=True)
    request = asks(user)
    recognised = session_cache.authenticate

    def then_taken_away(asked):
        who = recognised(asked)
        get_user_model().objects.update(is_superuser=False)
        return who

    monkeypatch.setattr(session_cache, "authenticate", then_taken_away)
    known.caller_of(request())
    monkeypatch.setattr(session_cache, "authenticate", recognised)
    assert not known.caller_of(request()).may("admin")


@pytest.mark.parametrize("change", [{"revoked": timezone.now()}, {"expires": timezone.now()}, {"scopes": ["deploy"]}])
def test_caches_tokens_like_sessions(known, change):
    token, secret = make_token(person(), "test", ["read"])
    request = RequestFactory().get("/", headers={"Authorization": f"Bearer {secret}"})
    who = known.caller_of(request)
    one = known.remember(request, who)
    assert known.is_current(one)
    Token.objects.filter(pk=token.pk).update(**change)
    assert not known.is_current(one)


def test_forgets_idle_sessions(known, monkeypatch):
    request = asks(person())
    known.caller_of(request())
    assert len(known._known) == 1
    monkeypatch.setattr(session_cache, "FORGET_AFTER", 0)
    known.caller_of(again("none"))
    assert not known._known


def test_refreshes_returning_sessions(known, monkeypatch):
    """A tab that was hidden opens another stream, of a session without recent requests."""
    request = asks(person())
    who = known.caller_of(request())
    one = known.remember(request(), who)
    one.last_used -= session_cache.FORGET_AFTER + 1
    assert known.is_current(known.remember(request(), who))
    one.last_used -= session_cache.FORGET_AFTER + 1
    assert known.is_current(one)


def test_first_team_ends_default_rights(known):
    request = asks(person())
    who = known.caller_of(request())
    one = known.remember(request(), who)
    assert who.may_anywhere("deploy")
    Team.objects.create(name="red")
    assert not known.is_current(one)
    assert not known.caller_of(request()).may_anywhere("read")
