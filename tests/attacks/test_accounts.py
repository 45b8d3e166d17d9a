"""Tokens, sign-ins, roles and traces: entries 9, 10, 11, 14 and 15."""

import http.client
import json
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from .caller import Answer, Client, Meant
from .instance import PASSWORD

SPELLINGS = (" frank", "frank ", "\uff46rank", "\tfrank", "\u00a0frank", " " * 150 + "frank", "FRANK", "frank\u3000")
RATE, BURST = 0.5, 20  # sign-in pages a second and at once, by docs/production/nginx.conf


def token(who: Client, name: str, scopes: list[str], **more) -> tuple[Client, dict]:
    made = who.made("/tokens/", {"name": name, "scopes": scopes, **more})
    return Client(who.url, made["token"], who.source), made


@pytest.mark.entry(9)
def test_leaked_token_makes_token(instance, tried):
    alice, carol = instance.people["alice"], instance.people["carol"]
    answer = carol.post("/tokens/", {"name": "child", "scopes": ["read"]})
    tried("a token without the scope tokens makes another", answer.said, answer.status == 403)
    admins, _ = token(alice, "admins", ["read", "publish", "deploy", "admin"])
    answer = admins.post("/tokens/", {"name": "child", "scopes": ["read"]})
    tried("… also one of the scope admin", answer.said, answer.status == 403)
    leaked, first = token(alice, "leaked", ["read", "tokens"])
    child, second = token(leaked, "child", ["read", "tokens"])
    grandchild, _ = token(child, "grandchild", ["read"])
    assert second["parent_id"] == first["id"] and grandchild.get("/services/").status == 200
    answer = leaked.post("/tokens/", {"name": "more", "scopes": ["deploy"]})
    tried("a token makes one with more rights", answer.said, answer.status == 403)
    _, endless = token(leaked, "endless", ["read"], expires=None)
    tried(
        "… and one without an end",
        f"it ends with the first, {endless['expires'][:10]}",
        endless["expires"] == first["expires"] is not None,
    )
    reader, _ = token(alice, "reader", ["read"])
    answer = reader.api("DELETE", f"/tokens/{first['id']}")
    tried("a reader's token ends another of the same person", answer.said, answer.status in (403, 404))
    assert instance.admin.api("DELETE", f"/tokens/{first['id']}").status == 204
    statuses = [one.get("/services/").status for one in (leaked, child, grandchild)]
    tried("children of a revoked token go on", f"{statuses}", statuses == [401] * 3)
    rows = instance.admin.whole("/history/?subject=token&limit=100")
    acted = [row for row in rows if row["subject_name"] == "child" and row.get("token")]
    assert any(row["token"]["id"] == first["id"] for row in acted), "the history names the token that acted"


def sign_in(instance, address: str, username: str, password: str, cookies: dict | None = None) -> Answer:
    """Past nginx's own limits, as a proxy of ours would pass it on: the application's counts alone."""
    headers = {"X_Forwarded_For": address, "X_Forwarded_Proto": "https"}
    client = Client(instance.web.url)
    client.cookies = dict(cookies or {})
    page = client.ask("GET", "/login/", **headers)
    assert page.status == 200
    fields = {"username": username, "password": password, "csrfmiddlewaretoken": client.csrf}
    return client.form("/login/", fields, Referer=f"{instance.url}/login/", **headers)


@pytest.mark.entry(10)
def test_lock_out_and_spellings(instance, tried):
    instance.admin.made("/users/", {"username": "heidi", "password": PASSWORD.format("heidi")})
    statuses = [sign_in(instance, "198.51.100.7", "frank", "wrong").status for _ in range(102)]
    assert statuses[0] == 200 and statuses.count(429) >= 90, statuses
    for spelled in SPELLINGS:
        answer = sign_in(instance, "198.51.100.7", spelled, PASSWORD.format("frank"))
        shown = ascii(spelled) if len(spelled) < 20 else f"'frank' behind {spelled.count(' ')} spaces"
        tried(f"over the limit, the name is spelled {shown}", str(answer.status), answer.status == 429)
    answer = sign_in(instance, "198.51.100.99", "frank", PASSWORD.format("frank"))
    tried(
        "102 wrong passwords from one address lock the right person out",
        f"from another address {answer.status}: in",
        answer.status == 302,
    )
    answer = sign_in(instance, "198.51.100.7", "heidi", PASSWORD.format("heidi"))
    assert answer.status == 302, "the control: others of that address may still sign in"


@pytest.mark.entry(10)
def test_many_sign_ins(instance, tried):
    """nginx passes on no more requests than its rate allows in the time that they take."""

    def status(_: int) -> int:
        return instance.browser("127.0.6.1").ask("GET", "/login/").status

    statuses: list[int] = []
    began = time.monotonic()
    with ThreadPoolExecutor(8) as pool:
        while statuses.count(429) <= 20 and len(statuses) < 300:
            statuses += pool.map(status, range(60))
    passed, allowed = len(statuses) - statuses.count(429), 1 + BURST + RATE * (time.monotonic() - began)
    tried(
        f"{len(statuses)} sign-in pages of one address, through nginx",
        f"{statuses.count(429)} times 429",
        statuses[0] == 200 and statuses.count(429) > 20 and passed <= allowed,
    )


@pytest.mark.entry(11)
def test_roles_outside_team(instance, tried):
    alice, bob = instance.people["alice"], instance.people["bob"]
    red, blue = instance.teams["red"], instance.teams["blue"]
    instance.admin.made("/users/", {"username": "gina", "password": PASSWORD.format("gina")})
    gina = instance.browser("127.0.4.3")
    assert gina.sign_in("gina", PASSWORD.format("gina")).status == 302

    def publishes(when: str) -> None:
        answer = gina.post("/services/common/versions/", {"version": "x"})
        tried(f"{when} publishes on a service of no team", answer.said, answer.status in (403, 404))
        answer = gina.post("/tokens/", {"name": "x", "scopes": ["deploy"]})
        tried("… and makes a token for it", answer.said, answer.status == 403)

    publishes("a new account")
    alice.made(f"/teams/{red}/members/", {"user": "gina", "role": "viewer"})
    publishes("a viewer of red")
    number = next(one["id"] for one in instance.admin.whole("/users/?limit=100") if one["username"] == "gina")
    assert alice.api("DELETE", f"/teams/{red}/members/{number}").status == 204
    publishes("a user removed from the last team")
    bob.made(f"/teams/{blue}/members/", {"user": "gina", "role": "deployer"})
    answer = gina.post("/services/common/versions/", {"version": "x"})
    tried("a deployer by another owner's grace publishes on it", answer.said, answer.status in (403, 404))
    assert bob.api("DELETE", f"/teams/{blue}/members/{number}").status == 204
    answer = bob.post(f"/teams/{blue}/members/", {"user": 1, "role": "viewer"})
    tried(
        "an owner learns a name by its number",
        answer.said,
        answer.status in (403, 404, 422) and "admin" not in answer.json["detail"],
    )


@pytest.mark.entry(14)
def test_users_created_without_history(instance, tried):
    browser = instance.browser("127.0.4.4")
    assert browser.sign_in("admin", PASSWORD.format("admin")).status == 302
    for path in ("/admin/", "/admin/auth/user/add/", "/admin/auth/user/1/change/", "/admin/auth/group/add/"):
        fields = {"username": "ghost", "password1": PASSWORD, "password2": PASSWORD, "is_superuser": "on"}
        answers = [browser.ask("GET", path).status, browser.form(path, fields).status]
        tried(f"an administrator opens and sends {path}", f"{answers}", answers == [404, 404])
    names = [one["username"] for one in instance.admin.whole("/users/?limit=100")]
    assert "ghost" not in names and "alice" in names


@pytest.mark.entry(15)
def test_attempts_are_logged(instance, tried):
    browser = instance.browser("127.0.4.5")
    assert browser.sign_in("alice", "a wrong one 815").status == 200
    vera = Client(instance.url, instance.people["vera"].token, "127.0.4.6")
    assert vera.api("PATCH", "/services/redsvc", {"description": "x"}).status == 403
    assert Client(instance.url, "dep_nonsense", "127.0.4.7").get("/services/").status == 401
    log = [json.loads(line) for line in instance.web.log().splitlines() if line.startswith("{")]
    for address, what, who in (
        ("127.0.4.5", "a wrong password", ""),
        ("127.0.4.6", "what a viewer may not", "vera"),
        ("127.0.4.7", "a wrong token", ""),
    ):
        lines = [line for line in log if line.get("address") == address and who in str(line.get("user", ""))]
        tried(
            f"{what} leaves no trace",
            f"{len(lines)} lines, the last: {lines[-1:] and lines[-1].get('event')}",
            bool(lines),
        )
    refused = [line for line in log if line.get("address") == "127.0.4.6"][-1]
    assert refused["token"] and refused["path"] == "/api/v1/services/redsvc", refused
    rows = instance.admin.whole("/history/?subject=user&limit=200")
    kinds = {row["action"] for row in rows}
    tried("sign-ins are in no history", f"{sorted(kinds)}", "sign_in" in kinds)  # failures: once their window is over
    everything = instance.web.log() + instance.worker.log()
    values = {name: value for name, value in instance.secrets.items() if name != "BROKER_URL"}  # a path: no password
    values |= {"a wrong password": "a wrong one 815", "a password": PASSWORD.format("alice")}
    values |= {f"{name}'s token": one.token for name, one in instance.people.items()}
    found = [name for name, value in values.items() if value in everything]
    tried("the logs hold a password, a token or a key", f"found {found}", not found)
    output = instance.manage("verify_history")
    assert "all as written" in output, output


@pytest.mark.entry(18)
def test_ended_sessions_and_teams(instance, tried):
    instance.admin.made("/users/", {"username": "ivan", "password": PASSWORD.format("ivan")})
    ivan = instance.browser("127.0.4.8")
    assert ivan.sign_in("ivan", PASSWORD.format("ivan")).status == 302
    number = next(one["id"] for one in instance.admin.whole("/users/?limit=100") if one["username"] == "ivan")
    for active in (False, True):
        assert instance.admin.api("PATCH", f"/users/{number}", {"active": active}).status == 200
    answer = ivan.ask("GET", "/account/")
    tried(
        "a session lives on when its person was shut out and let in again",
        str(answer.status),
        answer.status == http.client.FOUND,
    )
    vera = instance.people["vera"]
    seen = vera.get("/history/?limit=200").text
    tried(
        "a viewer of red reads of blue's people in the history",
        Meant("nothing"),
        "dave" not in seen and "blue" not in seen,
    )
    named, _ = token(instance.people["alice"], "named", ["read"], services=["redsvc"])
    answer = named.get("/teams/")
    tried("a token for one service lists the teams", answer.said, answer.status == 403)
