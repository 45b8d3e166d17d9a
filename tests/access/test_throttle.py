"""Guesses of passwords and tokens are counted per account and per address."""
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.contrib.auth import get_user_model
from django.db import connections
from django.test import Client
from django.utils import timezone

from access import throttle
from access.models import Throttle
from access.problems import Problem

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


def test_an_account_takes_ten_guesses_from_an_address_in_five_minutes():
    assert guesses(15) == 10
    assert guesses(1, address="192.0.2.2") == 1  # its owner, elsewhere, is not locked out
    Throttle.objects.update(since=timezone.now() - timedelta(minutes=6))
    assert guesses(1) == 1


def test_upper_case_makes_no_other_account():
    assert guesses(10) + guesses(5, username="ANN") == 10


def test_an_address_takes_fifty_guesses_over_all_accounts():
    assert sum(guesses(1, username=f"user{number}") for number in range(60)) == 50


def test_an_account_takes_a_hundred_guesses_from_all_addresses():
    assert sum(guesses(1, address=f"192.0.2.{number}") for number in range(120)) == 100


def test_the_right_password_is_not_counted():
    for _ in range(60):
        throttle.sign_in("ann", "192.0.2.1")
        throttle.signed_in("ann", "192.0.2.1")


def test_what_people_typed_is_not_kept():
    throttle.sign_in("my password by mistake", "192.0.2.1")
    assert not Throttle.objects.filter(key__contains="password").exists()
    throttle.sign_in("\0\ud800" * 300, "")


def test_old_counts_are_forgotten():
    guesses(1)
    throttle.prune()
    assert Throttle.objects.count() == 3
    Throttle.objects.update(since=timezone.now() - timedelta(minutes=6))
    throttle.prune()
    assert Throttle.objects.count() == 0


def test_wrong_tokens_end_in_429_whatever_the_client_says_about_its_address():
    client = Client()
    statuses = [
        client.get("/api/v1/services/", headers={"Authorization": "Bearer wrong", "X-Forwarded-For": f"1.1.1.{number}"})
        .status_code for number in range(103)
    ]
    assert statuses == [401] * 100 + [429] * 3


def test_signing_in_counts_guesses_whatever_the_client_says_about_its_address():
    get_user_model().objects.create_superuser("ann", password="right horse")
    client = Client()
    send = lambda password, number: client.post("/login/?next=/teams/", {"username": "ann", "password": password},
                                                headers={"X-Forwarded-For": f"1.1.1.{number}"})
    answers = [send("wrong", number) for number in range(12)]
    assert [answer.status_code for answer in answers] == [200] * 10 + [429] * 2
    assert int(answers[-1]["Retry-After"]) > 0
    assert send("right horse", 20).status_code == 429
    Throttle.objects.all().delete()
    assert send("right horse", 20)["Location"] == "/teams/"
    assert client.get("/teams/").status_code == 200


@pytest.mark.django_db(transaction=True)
def test_many_guesses_at_once_do_not_slip_through(transactional_db):
    throttle.sign_in("ann", "192.0.2.1")

    def guess(_):
        try:
            return guesses(2)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(10) as pool:
        # Fewer than nine where several count before the first of them looks: never more.
        assert sum(pool.map(guess, range(20))) <= 9
    assert max(Throttle.objects.values_list("count", flat=True)) == 41
