"""Slow and large requests against gunicorn alone: whoever is honest is answered meanwhile."""
import http.client
import json
import socket
import time
import urllib.parse
import urllib.request

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.hashers import PBKDF2PasswordHasher

from tests.lab.attack import Slow, seconds
from tests.lab.network import wait_until
from tests.lab.web import Web

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(240)]
MANY = 150
SOON = 5.0  # seconds; without the protection there is no answer in 15
COOKIE = "c" * 32


@pytest.fixture
def web(environment, tmp_path):
    with Web({**environment, "HEAD_TIMEOUT": "3", "BODY_TIMEOUT": "4"}, tmp_path / "web.log") as running:
        urllib.request.urlopen(f"{running.url}/login/", timeout=60).close()
        yield running


def ann() -> None:
    """An account whose password the web process can check: it has not the tests' quick hasher."""
    get_user_model().objects.create(username="ann", password=PBKDF2PasswordHasher().encode("right horse", "s" * 22))


def head(url: str, path: str, length: int, method: str = "POST", kind: str = "application/x-www-form-urlencoded",
         more: str = "") -> bytes:
    host = url.partition("//")[2]
    return (f"{method} {path} HTTP/1.1\r\nHost: {host}\r\nCookie: csrftoken={COOKIE}\r\nReferer: {url}/login/\r\n"
            f"Content-Type: {kind}\r\nContent-Length: {length}\r\n{more}\r\n").encode()


def signed_in(url: str) -> float:
    """Seconds that an honest sign-in takes, from the page to the redirect."""
    began = time.monotonic()
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
    page = opener.open(f"{url}/login/", timeout=15).read().decode()
    token = page.partition('name="csrfmiddlewaretoken" value="')[2].partition('"')[0]
    sent = urllib.parse.urlencode({"csrfmiddlewaretoken": token, "username": "ann", "password": "right horse"})
    answer = opener.open(f"{url}/login/", sent.encode(), timeout=15)
    assert answer.url == f"{url}/"
    return time.monotonic() - began


ATTACKS = {
    "nothing": lambda url: b"",
    "half a head": lambda url: b"POST /login/ HTTP/1.1\r\nHost: x\r\nX-",
    "sign-in": lambda url: head(url, "/login/", 1000) + b"u",
    "webhook": lambda url: head(url, "/api/v1/builds/git/webhook", 1000, kind="application/json") + b"{",
    "API": lambda url: head(url, "/api/v1/services/", 1000, kind="application/json") + b"{",
    "package": lambda url: head(url, "/api/v1/services/shop/versions/1/package", 1 << 30, "PUT") + b"x",
    "expecting": lambda url: head(url, "/login/", 1000, more="Expect: 100-continue\r\n"),
    "chunks": lambda url: head(url, "/login/", 0).replace(b"Content-Length: 0", b"Transfer-Encoding: chunked") + b"5",
    "no end": lambda url: b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n",
}


@pytest.mark.parametrize("kind", ATTACKS)
def test_slow_clients_hold_up_nobody_and_are_let_go(web, kind):
    ann()
    with Slow(web.url, MANY, ATTACKS[kind](web.url)) as attack:
        assert len(attack.connections) == MANY
        for _ in range(3):
            attack.drip()
            assert seconds(f"{web.url}/healthz") < SOON
        assert signed_in(web.url) < 2 * SOON
        wait_until(lambda: attack.ended() == MANY, 30, "all of them answered or closed")
    assert "Traceback" not in web.log()
