"""Browser sessions: whose, from where, for how long, and that an ended one is over everywhere at once."""

from datetime import timedelta

import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from django.http import HttpRequest
from django.test import Client
from django.utils import timezone

from access import expiry, sessions
from access.models import Session
from access.sessions import SessionStore

pytestmark = pytest.mark.django_db
AGENT = "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0"


@pytest.fixture
def ann(db):
    return get_user_model().objects.create_user("ann", password="right horse 1")


def signed_in(user, **more) -> Client:
    client = Client(headers={"User-Agent": AGENT}, **more)
    assert client.post("/login/", {"username": user.username, "password": "right horse 1"}).status_code == 302
    return client


def is_in(client: Client, **headers) -> bool:
    return client.get("/account/", headers=headers).status_code == 200


def age(**fields: timedelta) -> None:
    now = timezone.now()
    Session.objects.update(**{name: now - span for name, span in fields.items()})


def test_a_session_names_its_person_place_and_browser_and_keeps_no_cookie(ann):
    client = signed_in(ann, REMOTE_ADDR="192.0.2.7")
    row = Session.objects.get()
    assert (row.user, row.address, row.agent) == (ann, "192.0.2.7", AGENT)
    cookie = client.cookies["sessionid"].value
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM user_session")
        assert cookie not in str(cursor.fetchall())
    assert Client().get("/account/", headers={"Cookie": f"sessionid={row.digest}"}).status_code == 302


def test_a_browsers_words_are_one_short_line(ann):
    client = Client(headers={"User-Agent": "a\nb\x1b[31m" + "x" * 9000})
    client.post("/login/", {"username": "ann", "password": "right horse 1"})
    agent = Session.objects.get().agent
    assert agent.startswith("a b [31m") and len(agent) == 200 and agent.isprintable()


def test_a_session_that_nobody_uses_ends(ann, settings):
    client = signed_in(ann)
    age(seen=timedelta(seconds=settings.SESSION_IDLE_TIMEOUT - 5))
    assert is_in(client)
    age(seen=timedelta(seconds=settings.SESSION_IDLE_TIMEOUT + 1))
    assert not is_in(client)


def test_a_session_ends_however_much_it_is_used(ann, settings):
    client = signed_in(ann)
    age(created=timedelta(seconds=settings.SESSION_ABSOLUTE_TIMEOUT - 5))
    assert is_in(client)
    age(created=timedelta(seconds=settings.SESSION_ABSOLUTE_TIMEOUT + 1))
    assert not is_in(client)
    assert client.get("/api/v1/services/").status_code == 401


def test_a_page_that_asks_by_itself_does_not_keep_its_session(ann):
    client = signed_in(ann)
    for headers in ({"HX-Request": "true"}, {"Accept": "text/event-stream"}):
        age(seen=timedelta(hours=2))
        assert is_in(client, **headers)
        assert timezone.now() - Session.objects.get().seen > timedelta(hours=1)
    assert is_in(client)
    assert timezone.now() - Session.objects.get().seen < timedelta(minutes=1)


def test_use_is_noted_once_a_minute_and_costs_nothing_between(ann, django_assert_num_queries):
    client = signed_in(ann)
    age(seen=timedelta(minutes=2))
    with django_assert_num_queries(4 + 3):  # session, user, roles, the service; and the note in a savepoint
        client.get("/api/v1/services/999")
    with django_assert_num_queries(4):
        client.get("/api/v1/services/999")


def test_another_password_makes_no_session_younger(ann):
    client = signed_in(ann)
    age(created=timedelta(days=3))
    before = Session.objects.get()
    answer = client.post("/account/", {"old": "right horse 1", "password": "a new horse 77", "again": "a new horse 77"})
    assert answer.status_code == 302 and is_in(client)
    after = Session.objects.get()
    assert after.digest != before.digest, "the cookie is another one"
    assert (after.created, after.address, after.agent) == (before.created, before.address, before.agent)


def test_a_request_under_way_does_not_bring_an_ended_session_back(ann):
    client = signed_in(ann)
    store = SessionStore(client.cookies["sessionid"].value)
    store["seen"] = "before"
    sessions.end_all(ann.pk)
    with pytest.raises(sessions.UpdateError):
        store.save()
    assert not Session.objects.exists() and not is_in(client)


def test_signing_out_ends_the_session_and_tells_the_browser_to_forget_the_pages(ann):
    client = signed_in(ann)
    cookie = client.cookies["sessionid"].value
    answer = client.post("/logout/")
    assert answer["Clear-Site-Data"] == '"cache"'
    assert not Session.objects.exists()
    assert not is_in(Client(headers={"Cookie": f"sessionid={cookie}"}))


def test_signing_in_gives_another_key_and_begins_anew(ann):
    client = Client()
    store = client.session
    store["x"] = 1
    store.save()
    client.cookies["sessionid"] = before = store.session_key
    age(created=timedelta(days=3))
    client.post("/login/", {"username": "ann", "password": "right horse 1"})
    row = Session.objects.get()
    assert client.cookies["sessionid"].value != before
    assert timezone.now() - row.created < timedelta(minutes=1) and row.proved


def test_what_is_over_is_swept_away_and_nothing_else(ann, settings, monkeypatch):
    signed_in(ann), signed_in(ann)
    Session.objects.filter(pk=Session.objects.first().pk).update(
        seen=timezone.now() - timedelta(seconds=settings.SESSION_IDLE_TIMEOUT + 1)
    )
    monkeypatch.setattr(expiry, "_last_run", 0.0)
    expiry.run_if_due()
    assert Session.objects.count() == 1


def test_the_password_is_fresh_for_ten_minutes(ann):
    client = signed_in(ann)
    store = SessionStore(client.cookies["sessionid"].value)
    assert store.is_fresh
    age(proved=timedelta(minutes=11))
    store = SessionStore(client.cookies["sessionid"].value)
    assert not store.is_fresh
    store.confirm_password()
    assert SessionStore(client.cookies["sessionid"].value).is_fresh


def test_somebody_who_signs_in_without_a_request_has_a_session_too(ann):
    from django.contrib.auth import login

    request = HttpRequest()
    request.session = SessionStore()
    login(request, ann)
    request.session.save()
    assert Session.objects.get().user == ann
