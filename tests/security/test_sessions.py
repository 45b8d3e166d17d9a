"""Signing in and out, and headers of requests: rules that the security review confirmed."""

import itertools

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.hashers import MD5PasswordHasher
from django.contrib.sessions.backends.db import SessionStore
from django.test import Client

from access.tokens import make_token
from microservice.models import MicroService

pytestmark = pytest.mark.django_db
PASSWORD = "vera-password-1"
API = "/api/v1/services/"


@pytest.fixture
def vera():
    return get_user_model().objects.create_user("vera", password=PASSWORD)


def sign_in(client: Client | None = None, name="vera", password=PASSWORD, **form):
    client = client or Client()
    return client, client.post("/login/", {"username": name, "password": password, **form})


def is_in(client: Client) -> bool:
    return client.get(API).status_code == 200


def token_of(user) -> dict[str, str]:
    made = make_token(user, "ci", ["read"])
    secret = next(one for one in (made if isinstance(made, tuple) else (made,)) if isinstance(one, str))
    return {"Authorization": f"Bearer {secret}"}


def test_login_replaces_planted_session(vera):
    """Session fixation: a planted id gives no access."""
    planted = SessionStore()
    planted["planted"] = "by a stranger"
    planted.create()
    client, stranger = Client(), Client()
    for one in (client, stranger):
        one.cookies["sessionid"] = planted.session_key
    name = next(cookie for cookie in sign_in(client)[0].cookies if "sessionid" in cookie)
    assert is_in(client) and client.cookies[name].value != planted.session_key
    assert not is_in(stranger)
    made_up, _ = sign_in(client)
    assert is_in(made_up)
    forged = Client()
    forged.cookies[name] = "x" * 32
    assert not is_in(forged)


def test_logout_needs_post_and_ends_session(vera):
    client, _ = sign_in()
    copied = Client()
    for name, cookie in client.cookies.items():
        copied.cookies[name] = cookie.value
    assert is_in(copied)
    for method in ("get", "head", "put", "delete", "patch", "trace"):
        assert getattr(client, method)("/logout/").status_code == 405
    assert is_in(client)
    assert client.post("/logout/").status_code == 302
    assert not is_in(client) and not is_in(copied)


def test_password_change_ends_sessions(vera, admin_client):
    here, elsewhere = sign_in()[0], sign_in()[0]
    form = {"old": PASSWORD, "password": "Quite-another-7", "again": "Quite-another-7"}
    assert here.post("/account/", form).status_code in (200, 302)
    assert is_in(here) and not is_in(elsewhere)
    answer = admin_client.patch(f"/api/v1/users/{vera.pk}", {"password": "Third-one-of-them-9"}, "application/json")
    assert answer.status_code == 200, answer.content
    assert not is_in(here)


def test_deactivated_user_has_no_session_or_token(vera):
    client, bearer = sign_in()[0], token_of(vera)
    assert is_in(client) and Client().get(API, headers=bearer).status_code == 200
    vera.is_active = False
    vera.save()
    assert not is_in(client) and Client().get(API, headers=bearer).status_code == 401


ELSEWHERE = (
    "//evil.example",
    "///evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "https://evil.example/",
    "http:evil.example",
    "javascript:alert(1)",
    "/\t/evil.example",
    "/\n/evil.example",
    " //evil.example",
    "data:text/html,x",
    "https:/\\evil.example",
    "//testserver@evil.example",
    "\x00//evil.example",
    "ftp://testserver/",
)


@pytest.mark.parametrize("place", ELSEWHERE, ids=ascii)
def test_redirects_within_the_site_only(vera, place):
    form = {"username": "vera", "password": PASSWORD}
    answers = [sign_in(next=place)[1], Client().post(f"/login/?next={place}", form)]
    answers.append(Client().post("/language/", {"language": "en", "next": place}))
    answers.append(Client().post("/language/", {"language": "en"}, headers={"Referer": place}))
    for answer in answers:
        assert answer.status_code in (302, 200, 204), answer
        assert answer.get("Location", "/") in ("/", "/login/"), (place, answer["Location"])


@pytest.mark.parametrize(
    "host", ["evil.example", "testserver.evil.example", "evil.example:80", "testserver@evil.example"]
)
def test_foreign_host_header_is_refused(host, vera):
    assert Client().get("/login/", headers={"Host": host}).status_code == 400
    forwarded = {"X-Forwarded-Host": host, "X-Forwarded-Proto": "https", "Forwarded": f"host={host}"}
    answer = Client().get("/", headers=forwarded)
    assert answer.status_code == 302 and answer["Location"].startswith("/login/")
    assert host.encode() not in Client().get("/login/", headers={"X-Forwarded-Host": host}).content


def test_forms_need_csrf_token(vera):
    """On signing in too: a user cannot be signed in to another account unknowingly."""
    strict = Client(enforce_csrf_checks=True)
    page = strict.get("/login/")
    token = page.context["csrf_token"]
    form = {"username": "vera", "password": PASSWORD}
    assert strict.post("/login/", form).status_code == 403
    for foreign in (
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://testserver.evil.example"},
    ):
        assert strict.post("/login/", {**form, "csrfmiddlewaretoken": token}, headers=foreign).status_code == 403
    secure = strict.post(
        "/login/", {**form, "csrfmiddlewaretoken": token}, secure=True, headers={"Referer": "https://evil.example/"}
    )
    assert secure.status_code == 403
    assert strict.post("/login/", {**form, "csrfmiddlewaretoken": "y" * 64}).status_code == 403
    assert not is_in(strict)
    assert strict.post("/login/", {**form, "csrfmiddlewaretoken": token}).status_code == 302
    made = strict.post("/api/v1/services/", {"name": "shop"}, "application/json")
    assert made.status_code == 403 and not MicroService.objects.exists()


@pytest.mark.parametrize("path", ["/", "/login/", API, "/api/v1/openapi.json", "/healthz"])
def test_no_cors_and_no_trace(path, vera):
    for method, origin in itertools.product(("get", "options"), ("https://evil.example", "null")):
        answer = getattr(Client(), method)(path, headers={"Origin": origin, "Access-Control-Request-Method": "POST"})
        assert not [name for name in answer.headers if name.lower().startswith("access-control-")], path
    traced = Client().trace(path, headers={"Cookie": "canary-7134=1"})
    assert b"canary-7134" not in traced.content
    if path in ("/login/", API):
        assert traced.status_code in (401, 405), path


def test_unknown_user_costs_as_much_as_wrong_password(vera, monkeypatch):
    """By the work that is done: one hash, whichever name is given. The clock of a busy machine shows nothing."""
    get_user_model().objects.create_user("inactive", password=PASSWORD, is_active=False)
    get_user_model().objects.create_user("passwordless")
    made = []
    real = MD5PasswordHasher.encode
    monkeypatch.setattr(MD5PasswordHasher, "encode", lambda *a, **k: (made.append(1), real(*a, **k))[1])
    costs = {}
    for name in ("vera", "nobody", "inactive", "passwordless", "v" * 150, "ве́ра"):
        made.clear()
        answer = sign_in(name=name, password="wrong")[1]
        costs[name] = (answer.status_code, len(made))
    assert set(costs.values()) == {(200, 1)}, costs
