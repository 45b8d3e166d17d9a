"""The security log and the history: sign-ins, refusals, and which token acted, from which address."""

import json
import logging
from datetime import timedelta

import pytest
from django.contrib.auth import get_user_model
from django.test import Client
from django.utils import timezone

from access import failed_sign_ins, security_log, token_use
from access.client_ip import neighbourhood
from access.models import FailedSignIns, Token, TokenAddress
from access.tokens import make_token
from audit.models import History
from runtime.logs import JsonFormatter
from tests.api.client import Api
from tests.lab.web import Web

pytestmark = pytest.mark.django_db
FAR = {"REMOTE_ADDR": "192.0.2.7"}


@pytest.fixture
def ann(db):
    return get_user_model().objects.create_user("ann", password="right horse 1")


@pytest.fixture
def lines():
    """Each line of the access log, as the product writes it."""

    class Kept(logging.Handler):
        def emit(self, record):
            kept.append(json.loads(self.format(record)))

    kept: list[dict] = []
    handler = Kept()
    handler.setFormatter(JsonFormatter())
    security_log.log.addHandler(handler)
    yield kept
    security_log.log.removeHandler(handler)


def sign_in(name="ann", password="right horse 1", **more) -> Client:
    client = Client(headers={"User-Agent": "Firefox"}, **{**FAR, **more})
    client.post("/login/", {"username": name, "password": password})
    return client


def entries(**what) -> list[History]:
    return list(History.objects.filter(**what).order_by("pk"))


def test_records_sign_in_and_sign_out(ann, lines):
    sign_in().post("/logout/")
    came, went = entries(subject="user")
    assert [(row.action, row.actor, row.subject_id, row.address, row.after["agent"]) for row in (came, went)] == [
        ("sign_in", "ann", ann.pk, "192.0.2.7", "Firefox"),
        ("sign_out", "ann", ann.pk, "192.0.2.7", "Firefox"),
    ]
    assert [(line["event"], line["user"], line["address"]) for line in lines] == [
        ("signed in", "ann", "192.0.2.7"),
        ("signed out", "ann", "192.0.2.7"),
    ]
    assert all(line["request"] == row.after["request_id"] for line, row in zip(lines, (came, went), strict=True))


def over(minutes: int = 6) -> int:
    FailedSignIns.objects.update(since=timezone.now() - timedelta(minutes=minutes))
    return failed_sign_ins.flush()


def test_records_failures_once_per_window(ann, lines):
    for _ in range(5):
        sign_in(password="wrong")
    sign_in(password="wrong", REMOTE_ADDR="192.0.2.8")
    assert [line["event"] for line in lines] == ["sign-in failed"] * 6
    assert {line["subject"] for line in lines} == {"ann"} and lines[-1]["address"] == "192.0.2.8"
    assert not entries(action="sign_in_failed") and failed_sign_ins.flush() == 0, "the window is not over"
    assert over() == 2
    rows = entries(action="sign_in_failed")
    assert [(row.subject_id, row.address, row.after["failed"], row.after["refused"]) for row in rows] == [
        (ann.pk, "192.0.2.7", 5, 0),
        (ann.pk, "192.0.2.8", 1, 0),
    ]
    assert not FailedSignIns.objects.exists()


def test_counts_refused_attempts(ann, lines):
    for _ in range(14):
        sign_in(password="wrong")
    assert (lines[-1]["event"], lines[-1]["reason"]) == ("refused", "too_many_attempts")
    assert lines[-2]["event"] == "sign-in refused: too many attempts"
    over()
    [row] = entries(action="sign_in_failed")
    assert row.after["failed"] + row.after["refused"] == 14 and row.after["refused"] >= 4


def test_keeps_names_of_accounts_only(ann, lines):
    """People type their passwords there."""
    for typed in ("my secret horse", 'x\n{"event": "signed in", "user": "root"}', "ANN\r\nann"):
        sign_in(name=typed, password="x")
    over()
    everything = str(lines) + str([(row.subject_name, row.after, row.actor) for row in entries()])
    assert "horse" not in everything and "root" not in everything
    assert [row.subject_name for row in entries(action="sign_in_failed")] == [failed_sign_ins.UNKNOWN]


def test_limits_rows_for_a_flood_of_names(db, monkeypatch):
    monkeypatch.setattr(failed_sign_ins, "MAX_WINDOWS", 5)
    for number in range(40):
        failed_sign_ins.count("nobody", f"192.0.2.{number}", "")
    assert FailedSignIns.objects.count() <= 6
    assert sum(FailedSignIns.objects.values_list("failed", flat=True)) == 40


def test_logs_refusals(ann, lines):
    row, token = make_token(ann, "ci", ["read"])
    Api(token).post("/services/", {"name": "x"})
    line = lines[-1]
    assert {
        name: line[name] for name in ("event", "level", "user", "token", "token_name", "status", "reason", "path")
    } == {
        "event": "refused",
        "level": "warning",
        "user": "ann",
        "token": row.pk,
        "token_name": "ci",
        "status": 403,
        "reason": "forbidden",
        "path": "/api/v1/services/",
    }
    assert line["address"] == "127.0.0.1" and line["request"]
    sign_in().post("/new-service/", {"name": "x"})  # needs admin
    assert (lines[-1]["status"], lines[-1]["user"], lines[-1]["reason"]) == (403, "ann", "forbidden")


def test_logs_names_of_invalid_tokens(ann, lines):
    row, token = make_token(ann, "ci", ["read"])
    for change, reason in (
        ({"revoked": timezone.now()}, "revoked"),
        ({"revoked": None, "expires": timezone.now()}, "expired"),
    ):
        Token.objects.update(**change)
        assert Api(token).get("/services/").status_code == 401
        found = next(line for line in reversed(lines) if line["event"] == "token refused")
        assert (found["reason"], found["token"], found["token_name"], found["user"]) == (reason, row.pk, "ci", "ann")
    Api("dpl_made-up").get("/services/")
    assert [line["reason"] for line in lines[-2:]] == ["unknown", "unauthorized"]
    assert "dpl_" not in str(lines)


def test_logs_missing_csrf_tokens(ann, lines):
    client = Client(enforce_csrf_checks=True)
    client.force_login(ann)
    client.post("/account/", {"old": "x"})
    assert (lines[-1]["event"], lines[-1]["status"], lines[-1]["user"]) == ("refused", 403, "ann")


def use(token: str, address: str) -> None:
    assert (
        Client(REMOTE_ADDR=address).get("/api/v1/services/", headers={"Authorization": f"Bearer {token}"}).status_code
        == 200
    )


def test_records_new_addresses_of_tokens(ann, lines):
    row, token = make_token(ann, "ci", ["read"])
    use(token, "192.0.2.7")
    assert not entries(action="first_use"), "the first place is where it belongs"
    for _ in range(3):
        use(token, "192.0.2.8")
    [first] = entries(action="first_use")
    assert (first.actor, first.token_id, first.subject_id, first.address) == ("ann", row.pk, row.pk, "192.0.2.8")
    assert [line["event"] for line in lines] == ["token used for the first time", "token used from a new address"]
    token_use._noted.clear()  # an hour later, or another process
    use(token, "192.0.2.8")
    assert lines[-1]["event"] == "token used" and len(entries(action="first_use")) == 1


def test_limits_addresses_of_a_token(ann, monkeypatch):
    monkeypatch.setattr(token_use, "MAX_ADDRESSES", 3)
    token = make_token(ann, "ci", ["read"])[1]
    for number in range(10):
        use(token, f"192.0.2.{number}")
    assert TokenAddress.objects.count() == 3 and len(entries(action="first_use")) == 2
    assert neighbourhood("2001:db8::1") == neighbourhood("2001:db8::2"), "one stranger's addresses are one"


def test_logs_requests_to_the_admin_site(db, lines):
    root = get_user_model().objects.create_superuser("root")
    client = Client()
    client.force_login(root)
    client.get("/admin/")
    assert (lines[-1]["event"], lines[-1]["user"], lines[-1]["path"]) == ("admin page", "root", "/admin/")


@pytest.mark.django_db(transaction=True)
def test_access_log_has_the_client_address(environment, tmp_path):
    import urllib.request

    settings = {"ACCESS_LOG": "-", "TRUSTED_PROXIES": "127.0.0.1", "DEBUG": "1"}
    with Web({**environment, **settings}, tmp_path / "log") as web:
        sent = {"X-Forwarded-For": "198.51.100.9, 192.0.2.77", "X-Request-ID": "request-of-a-test"}
        urllib.request.urlopen(urllib.request.Request(f"{web.url}/healthz", headers=sent), timeout=60).close()
        web.wait_for("request-of-a-test", 10)
    line = next(line for line in (tmp_path / "log").read_text().splitlines() if "GET /healthz" in line)
    assert line.startswith("192.0.2.77 ") and "127.0.0.1" not in line


def test_refused_sign_in_checks_no_password(ann, monkeypatch):
    for _ in range(10):
        sign_in(password="wrong")
    looked: list = []
    monkeypatch.setattr("django.contrib.auth.forms.authenticate", lambda *_, **named: looked.append(named))
    client = Client(**FAR)
    answer = client.post("/login/", {"username": "ann", "password": "right horse 1"})
    assert answer.status_code == 429 and not looked and 'value="ann"' in answer.content.decode()
