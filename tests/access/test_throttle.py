"""Guesses of passwords and tokens are counted per account and per address."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.contrib.auth import get_user_model
from django.db import connections
from django.test import Client
from django.utils import timezone

from access import expiry, throttle
from access.callers import Caller
from access.models import KnownAddress, Throttle
from access.problems import Problem
from access.reauthentication import prove_password

pytestmark = pytest.mark.django_db


def guesses(count: int, username="ann", address="192.0.2.1") -> int:
    """How many of `count` sign-ins were let through to the password."""
    let_through = 0
    for _ in range(count):
        try:
            throttle.sign_in(username, address)
            let_through += 1
        except Problem as problem:
            assert (problem.status, problem.code) == (429, "too_many_attempts")
            assert 1 <= int(problem.headers["Retry-After"]) <= 301
    return let_through


def test_limits_guesses_for_account_and_address():
    assert guesses(15) == 10
    assert guesses(1, address="192.0.2.2") == 1  # its owner, elsewhere, is not locked out
    Throttle.objects.update(since=timezone.now() - timedelta(minutes=6))
    assert guesses(1) == 1


def test_ignores_case_of_names():
    assert guesses(10) + guesses(5, username="ANN") == 10


SPELLINGS = (" vera", "vera ", "\uff56era", "\tvera", "\u00a0vera", " " * 150 + "vera", "VERA", "\uff36era")


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_counts_every_spelling_of_a_name(spelling, client):
    get_user_model().objects.create_user("vera", password="right horse")
    for _ in range(10):
        client.post("/login/", {"username": spelling, "password": "wrong"})
    assert client.post("/login/", {"username": "vera", "password": "right horse"}).status_code == 429
    assert client.post("/login/", {"username": spelling, "password": "right horse"}).status_code == 429
    elsewhere = {"REMOTE_ADDR": "192.0.2.7"}
    signed_in = client.post("/login/", {"username": spelling, "password": "right horse"}, **elsewhere)
    assert signed_in.status_code == (302 if spelling.casefold() == spelling else 200)


def test_ignores_spaces_in_names():
    let_through = [guesses(1, username=" " * (n % 45) + "vera", address=f"192.0.2.{n % 20}") for n in range(180)]
    assert sum(let_through) == 100


def test_one_address_locks_no_account_out(client):
    get_user_model().objects.create_user("frank", password="right horse")
    assert guesses(102, "frank", "127.0.0.1") == 10
    assert client.post("/login/", {"username": "frank", "password": "x"}).status_code == 429
    right = {"username": "frank", "password": "right horse"}
    assert client.post("/login/", right, REMOTE_ADDR="192.0.2.9").status_code == 302


def from_everywhere(username: str) -> None:
    """Guess an account's password from many addresses."""
    assert sum(guesses(1, username, f"198.51.100.{n}") for n in range(120)) == 100


def test_known_addresses_and_browsers_may_sign_in(client):
    get_user_model().objects.create_user("ann", password="right horse")
    right, wrong = {"username": "ann", "password": "right horse"}, {"username": "ann", "password": "wrong"}
    assert client.post("/login/", right, REMOTE_ADDR="192.0.2.1").status_code == 302
    cookie = client.cookies["device"]
    assert cookie["httponly"] and cookie["samesite"] == "Strict" and "ann" not in cookie.value
    from_everywhere("ann")
    assert Client().post("/login/", right, REMOTE_ADDR="192.0.2.2").status_code == 429  # unknown: with the strangers
    assert Client().post("/login/", right, REMOTE_ADDR="192.0.2.1").status_code == 302  # the address
    browser = Client()
    browser.cookies["device"] = cookie.value
    assert browser.post("/login/", right, REMOTE_ADDR="192.0.2.3").status_code == 302  # the browser, elsewhere
    browser = Client()
    browser.cookies["device"] = cookie.value
    guessed = [browser.post("/login/", wrong, REMOTE_ADDR=f"203.0.113.{n}").status_code for n in range(12)]
    assert guessed == [200] * 10 + [429] * 2  # a thief of the cookie has these guesses, and no more


def test_rejects_forged_browser_cookies(client):
    get_user_model().objects.create_user("mallory", password="right horse")
    get_user_model().objects.create_user("ann", password="right horse")
    client.post("/login/", {"username": "mallory", "password": "right horse"})
    from_everywhere("ann")
    own = client.cookies["device"].value
    for value in (own, own[:-1] + ("A" if own[-1] != "A" else "B"), "x", ""):
        browser = Client()
        browser.cookies["device"] = value
        answer = browser.post("/login/", {"username": "ann", "password": "right horse"}, REMOTE_ADDR="192.0.2.4")
        assert answer.status_code == 429


def test_knows_addresses_for_ninety_days():
    throttle.sign_in("ann", "192.0.2.1")
    throttle.signed_in("ann", "192.0.2.1")
    from_everywhere("ann")
    assert guesses(1, address="192.0.2.1") == 1
    KnownAddress.objects.update(seen=timezone.now() - timedelta(days=91))
    assert guesses(1, address="192.0.2.1") == 0
    throttle.prune()
    assert KnownAddress.objects.count() == 0


def test_guesses_do_not_block_reauthentication():
    ann = get_user_model().objects.create_user("ann", password="right horse")
    from_everywhere("ann")
    caller = Caller(name="ann", user_id=ann.pk, address="198.51.100.1")
    prove_password(caller, ann, "right horse")
    statuses = []
    for _ in range(11):
        with pytest.raises(Problem) as refused:
            prove_password(caller, ann, "wrong")
        statuses.append(refused.value.status)
    assert statuses == [422] * 10 + [429]


def test_limits_guesses_of_an_address():
    assert sum(guesses(1, username=f"user{number}") for number in range(60)) == 50


def test_guesses_for_many_names_fill_no_table():
    for number in range(70):
        guesses(1, username=f"user{number}")
    assert Throttle.objects.count() == 1 + 2 * 50  # the address, and for each that was let through its two


def test_limits_guesses_for_an_account():
    assert sum(guesses(1, address=f"192.0.2.{number}") for number in range(120)) == 100


def test_does_not_count_correct_passwords():
    for _ in range(60):
        throttle.sign_in("ann", "192.0.2.1")
        throttle.signed_in("ann", "192.0.2.1")


def test_stores_no_typed_names():
    throttle.sign_in("my password by mistake", "192.0.2.1")
    assert not Throttle.objects.filter(key__contains="password").exists()
    throttle.sign_in("\0\ud800" * 300, "")


def test_removes_old_counts():
    guesses(1)
    throttle.prune()
    assert Throttle.objects.count() == 3
    Throttle.objects.update(since=timezone.now() - timedelta(minutes=6))
    throttle.prune()
    assert Throttle.objects.count() == 0


def test_worker_removes_old_counts(monkeypatch):
    guesses(1)
    Throttle.objects.update(since=timezone.now() - timedelta(minutes=6))
    monkeypatch.setattr(expiry, "_last_run", 0.0)
    expiry.run_if_due()
    assert not Throttle.objects.exists()


def test_wrong_tokens_end_in_429():
    client = Client()
    statuses = [
        client.get(
            "/api/v1/services/", headers={"Authorization": "Bearer wrong", "X-Forwarded-For": f"1.1.1.{number}"}
        ).status_code
        for number in range(103)
    ]
    assert statuses == [401] * 100 + [429] * 3


def test_sign_in_ignores_forged_addresses():
    get_user_model().objects.create_superuser("ann", password="right horse")
    client = Client()
    send = lambda password, number: client.post(
        "/login/?next=/teams/",
        {"username": "ann", "password": password},
        headers={"X-Forwarded-For": f"1.1.1.{number}"},
    )
    answers = [send("wrong", number) for number in range(12)]
    assert [answer.status_code for answer in answers] == [200] * 10 + [429] * 2
    assert int(answers[-1]["Retry-After"]) > 0
    assert send("right horse", 20).status_code == 429
    Throttle.objects.all().delete()
    assert send("right horse", 20)["Location"] == "/teams/"
    assert client.get("/teams/").status_code == 200


@pytest.mark.django_db(transaction=True)
def test_counts_concurrent_guesses(transactional_db):
    throttle.sign_in("ann", "192.0.2.1")

    def guess(_):
        try:
            return guesses(2)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(10) as pool:
        assert sum(pool.map(guess, range(20))) == 9
    assert set(Throttle.objects.values_list("count", flat=True)) == {10}  # what was refused counts for nothing
