"""A user's sessions, what ends them, and the own password asked for once more."""

import re
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from access.models import Membership, ServiceAccount, Session, Team, Token
from access.roles import Role
from access.tokens import make_token
from audit.history import record
from audit.models import History
from tests import factories

pytestmark = pytest.mark.django_db
PASSWORD = "olga-password-1"


def signed_in(name: str = "olga", agent: str = "Firefox", address: str = "192.0.2.7") -> Client:
    client = Client(headers={"User-Agent": agent}, REMOTE_ADDR=address)
    assert client.post("/login/", {"username": name, "password": f"{name}-password-1"}).status_code == 302
    return client


def is_in(client: Client) -> bool:
    return client.get("/account/").status_code == 200


def later(**span) -> None:
    Session.objects.update(proved=timezone.now() - timedelta(**span))


def text(answer) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.content.decode()))


def test_lists_and_ends_sessions(operator):
    phone, desk = signed_in(agent="A phone", address="192.0.2.8"), signed_in(agent="A desk")
    page = desk.get("/account/")
    assert "A phone" in text(page) and "192.0.2.8" in text(page) and "this session" in text(page)
    assert text(page).count("sign in ") >= 2
    olga = User.objects.get(username="olga")
    number = Session.objects.get(agent="A phone").pk
    assert desk.post(f"/people/{olga.pk}/sessions/{number}/end/").status_code == 302
    assert not is_in(phone) and is_in(desk) and is_in(operator)
    token = make_token(olga, "ci", ["read"])[0]
    desk.post(f"/people/{olga.pk}/end/", {})
    assert not is_in(operator) and is_in(desk), "without the tick, tokens stay"
    token.refresh_from_db()
    assert token.revoked is None
    assert "1 tokens have ended" in text(desk.post(f"/people/{olga.pk}/end/", {"tokens": "on"}, follow=True))
    token.refresh_from_db()
    assert token.revoked and History.objects.filter(action="delete", subject="token", subject_id=token.pk).exists()


def test_only_administrators_end_sessions_of_others(admin, operator, viewer):
    olga, vera = (User.objects.get(username=name) for name in ("olga", "vera"))
    number = Session.objects.get(user=vera).pk
    assert operator.post(f"/people/{vera.pk}/end/", {"tokens": "on"}).status_code == 404
    assert operator.post(f"/people/{vera.pk}/sessions/{number}/end/").status_code == 404
    assert operator.post(f"/people/{olga.pk}/sessions/{number}/end/").status_code == 404
    assert is_in(viewer)
    page = text(admin.get(f"/people/{vera.pk}/"))
    assert "End all sessions" in page
    admin.post(f"/people/{vera.pk}/end/", {"tokens": "on"})
    assert not is_in(viewer) and is_in(operator)


def test_new_password_revokes_tokens(operator):
    olga = User.objects.get(username="olga")
    token = make_token(olga, "ci", ["read"])[0]
    page = operator.get("/account/").content.decode()
    assert re.search(r'name="tokens"[^>]*checked', page), "ticked from the start"
    new = {"old": PASSWORD, "password": "a new horse 77", "again": "a new horse 77"}
    operator.post("/account/", new)
    token.refresh_from_db()
    assert token.revoked is None
    operator.post(
        "/account/",
        {**new, "old": "a new horse 77", "password": "a horse 78 x", "again": "a horse 78 x", "tokens": "on"},
    )
    token.refresh_from_db()
    assert token.revoked and is_in(operator)


def test_sign_ins_of_others_are_hidden(admin, operator):
    signed_in("ada")
    assert "ada" not in text(operator.get("/history/")) and "ada" in text(admin.get("/history/"))
    assert operator.get("/api/v1/history/?action=sign_in").json()["count"] == 0


# --- the own password, once more --------------------------------------------------------------------------------------


def test_token_requires_recent_password(operator, client):
    signed = signed_in()
    form = {"name": "ci", "scopes": ["read"]}
    assert "own_password" not in signed.get("/tokens/").content.decode()
    later(minutes=11)
    assert 'name="own_password"' in signed.get("/tokens/").content.decode()
    for wrong in ({}, {"own_password": "guess"}):
        answer = signed.post("/tokens/", form | wrong)
        assert answer.status_code == 422 and 'value="ci"' in answer.content.decode()
        assert 'aria-invalid="true"' in answer.content.decode() and not Token.objects.exists()
    assert "guess" not in answer.content.decode()
    assert signed.post("/tokens/", form | {"own_password": PASSWORD}).status_code == 200
    assert Token.objects.get().name == "ci"
    assert "own_password" not in signed.get("/tokens/").content.decode(), "it is fresh again"
    later(minutes=11)
    answers = [signed.post("/tokens/", form | {"own_password": "guess"}) for _ in range(12)]
    assert "Too many attempts" in text(answers[-1]), "guesses count as those of signing in do"


def test_api_requires_recent_password(operator):
    signed = signed_in()
    post = lambda: signed.post("/api/v1/tokens/", {"name": "ci", "scopes": ["read"]}, content_type="application/json")
    later(minutes=11)
    assert (post().status_code, post().json()["code"]) == (403, "reauthenticate")
    later(minutes=1)
    assert post().status_code == 201


@pytest.mark.parametrize("change", [{"password": "another horse 10"}, {"admin": "on"}], ids=["password", "admin"])
def test_which_changes_require_recent_password(admin, operator, change):
    olga = User.objects.get(username="olga")
    same = {"username": "olga", "active": "on"}
    later(minutes=11)
    assert admin.post(f"/people/{olga.pk}/", same | {"last_name": "Berg"}).status_code == 302
    same["last_name"] = "Berg"
    assert admin.post(f"/people/{olga.pk}/", same | change).status_code == 422
    olga.refresh_from_db()
    assert olga.check_password(PASSWORD) and not olga.is_superuser
    assert admin.post(f"/people/{olga.pk}/", same | change | {"own_password": "ada-password-1"}).status_code == 302
    olga.refresh_from_db()
    assert olga.is_superuser or not olga.check_password(PASSWORD)
    assert "ada-password-1" not in str(list(History.objects.values_list("before", "after")))


# --- service accounts and the token that acted ------------------------------------------------------------------------


def test_creates_service_account_with_token(admin, operator):
    red = Team.objects.create(name="red")
    factories.service("shop", team=red)
    admin.post("/people/", {"username": "pipeline", "service": "on", "active": "on"})
    account = ServiceAccount.objects.get().user
    Membership.objects.create(team=red, user=account, role=Role.PUBLISHER)
    assert "service account" in text(admin.get("/people/"))
    address = f"/people/{account.pk}/"
    form = {"token-name": "ci", "token-scopes": ["read"], "token-endless": "on"}
    page = admin.post(f"{address}token/", form).content.decode()
    secret = re.search(r"Bearer (dpl_[\w-]+)", page)[1]
    assert Token.objects.get().user == account and Token.objects.get().expires is None
    assert Client().get("/api/v1/services/", headers={"Authorization": f"Bearer {secret}"}).status_code == 200
    assert admin.post(f"{address}token/", {"token-name": ""}).status_code == 422
    assert (
        admin.post(address, {"username": "pipeline", "active": "on", "password": "a right horse 9"}).status_code == 422
    )
    olga = User.objects.get(username="olga")
    assert admin.post(f"/people/{olga.pk}/token/", form).status_code == 422, "people make their own"


def test_history_shows_token(admin):
    from access.callers import Caller

    record(Caller(name="carol", token_id=7, token_name="ci-deploy"), "create", "host", None, subject_name="web1")
    assert "carol token ci-deploy" in text(admin.get("/history/"))
    row = admin.get("/api/v1/history/").json()["data"][0]
    assert (row["actor"], row["token"]) == ("carol", {"id": 7, "name": "ci-deploy"})


def test_session_pages_query_count(admin, operator, cost):
    olga = User.objects.get(username="olga")
    addresses = ((operator, "/account/"), (admin, f"/people/{olga.pk}/"), (admin, "/people/"), (operator, "/tokens/"))
    small = [cost(*one) for one in addresses]
    for _ in range(8):
        signed_in()
        make_token(olga, "x", ["read"], parent=make_token(olga, "y", ["read"])[0].pk)
    assert [cost(*one) for one in addresses] == small
