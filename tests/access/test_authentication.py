"""Who a request comes from, and what that costs."""

from datetime import timedelta

import pytest
from django.contrib.auth import get_user_model
from django.test import Client, RequestFactory
from django.utils import timezone

from access.authentication import caller_of
from access.callers import Caller
from access.models import Membership, Team, Token
from access.problems import Problem
from access.roles import Role
from access.tokens import make_token
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def user(db):
    return get_user_model().objects.create_user("ann", is_staff=True)


def ask(token: str) -> Caller | None:
    return caller_of(RequestFactory().get("/", headers={"Authorization": f"Bearer {token}"}))


def refused(token: str) -> bool:
    with pytest.raises(Problem) as problem:
        ask(token)
    return problem.value.status == 401 and "WWW-Authenticate" in problem.value.headers


def test_token_has_owner_and_rights(user):
    shop, cart, other = (factories.service(name).pk for name in ("shop", "cart", "other"))
    row, token = make_token(user, "ci", ["read", "publish"], services=[shop, shop, cart])
    caller = ask(token)
    assert (caller.name, caller.user_id, caller.token_id) == ("ann", user.pk, row.pk)
    assert (caller.scopes, caller.services) == ({"read", "publish"}, {shop, cart})
    assert caller.may("read", shop)
    assert not caller.may("read", other)
    assert not caller.may("admin")


def test_token_loses_rights_with_its_owner(user):
    token = make_token(user, "ci", ["read", "publish", "admin"])[1]
    get_user_model().objects.update(is_superuser=True)
    assert ask(token).may("admin")
    get_user_model().objects.update(is_superuser=False)
    assert not ask(token).may("admin")
    assert ask(token).may("publish")
    Membership.objects.create(team=Team.objects.create(name="red"), user=user, role=Role.VIEWER)
    assert not ask(token).may("read") and ask(token).may_enter("read") and not ask(token).may_enter("publish")


@pytest.mark.parametrize(
    "change",
    [
        {"revoked": timezone.now()},
        {"expires": timezone.now() - timedelta(seconds=1)},
        {"digest": "0" * 64},
    ],
)
def test_refuses_ended_tokens(user, change):
    token = make_token(user, "ci", ["read"])[1]
    assert ask(token)
    Token.objects.update(**change)
    assert refused(token)


def test_refuses_tokens_of_deactivated_users(user):
    token = make_token(user, "ci", ["read"])[1]
    get_user_model().objects.update(is_active=False)
    assert refused(token)


@pytest.mark.parametrize("token", ["", " ", "x", "dpl_", "ü", "'; drop table token", "x" * 8000, "a b"])
def test_refuses_malformed_tokens(user, token):
    request = RequestFactory().get("/", HTTP_AUTHORIZATION=f"Bearer {token}")
    with pytest.raises(Problem):
        caller_of(request)


def test_anonymous_without_token_or_session(db):
    assert caller_of(RequestFactory().get("/")) is None
    assert caller_of(RequestFactory().get("/", headers={"Authorization": "Basic YTpi"})) is None


def test_token_costs_two_queries_and_a_write_a_minute(user, django_assert_num_queries):
    token = make_token(user, "ci", ["read"])[1]
    with django_assert_num_queries(2 + 5):  # what is written beside may be refused and harm nothing: it has a savepoint
        ask(token)
    first = Token.objects.get().last_used
    assert first is not None
    with django_assert_num_queries(2):
        ask(token)
    Token.objects.update(last_used=timezone.now() - timedelta(seconds=61))
    ask(token)
    assert Token.objects.get().last_used > first


def test_tokens_are_distinctive_and_unique(user):
    tokens = {make_token(user, "ci", ["read"])[1] for _ in range(20)}
    assert len(tokens) == 20
    assert all(token.startswith("dpl_") and len(token) > 40 for token in tokens)


def test_every_page_has_a_request_id():
    answer = Client().get("/nosuch", headers={"X-Request-ID": "from-outside-1"})
    assert answer["X-Request-ID"] == "from-outside-1"
    assert len(Client().get("/nosuch")["X-Request-ID"]) == 32
