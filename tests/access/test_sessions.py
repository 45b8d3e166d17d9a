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


def test_session_has_user_address_and_browser(ann):
    client = signed_in(ann, REMOTE_ADDR="192.0.2.7")
    row = Session.objects.get()
    assert (row.user, row.address, row.agent) == (ann, "192.0.2.7", AGENT)
    cookie = client.cookies["sessionid"].value
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM user_session")
        assert cookie not in str(cursor.fetchall())
    assert Client().get("/account/", headers={"Cookie": f"sessionid={row.digest}"}).status_code == 302


def test_shortens_user_agents(ann):
    client = Client(headers={"User-Agent": "a\nb\x1b[31m" + "x" * 9000})
    client.post("/login/", {"username": "ann", "password": "right horse 1"})
    agent = Session.objects.get().agent
    assert agent.startswith("a b [31m") and len(agent) == 200 and agent.isprintable()


def test_idle_sessions_end(ann, settings):
    client = signed_in(ann)
    age(seen=timedelta(seconds=settings.SESSION_IDLE_TIMEOUT - 5))
    assert is_in(client)
    age(seen=timedelta(seconds=settings.SESSION_IDLE_TIMEOUT + 1))
    assert not is_in(client)


def test_used_sessions_end_after_their_lifetime(ann, settings):
    client = signed_in(ann)
    age(created=timedelta(seconds=settings.SESSION_ABSOLUTE_TIMEOUT - 5))
    assert is_in(client)
    age(created=timedelta(seconds=settings.SESSION_ABSOLUTE_TIMEOUT + 1))
    assert not is_in(client)
    assert client.get("/api/v1/services/").status_code == 401


def test_polling_does_not_prolong_a_session(ann):
    client = signed_in(ann)
    for headers in ({"HX-Request": "true"}, {"Accept": "text/event-stream"}):
        age(seen=timedelta(hours=2))
        assert is_in(client, **headers)
        assert timezone.now() - Session.objects.get().seen > timedelta(hours=1)
    assert is_in(client)
    assert timezone.now() - Session.objects.get().seen < timedelta(minutes=1)


def test_records_use_once_a_minute(ann, django_assert_num_queries):
    client = signed_in(ann)
    age(seen=timedelta(minutes=2))
    with django_assert_num_queries(4 + 3):  # session, user, roles, the service; and the note in a savepoint
        client.get("/api/v1/services/999")
    with django_assert_num_queries(4):
        client.get("/api/v1/services/999")


def test_new_password_keeps_the_start_of_sessions(ann):
    client = signed_in(ann)
    age(created=timedelta(days=3))
    before = Session.objects.get()
    answer = client.post("/account/", {"old": "right horse 1", "password": "a new horse 77", "again": "a new horse 77"})
    assert answer.status_code == 302 and is_in(client)
    after = Session.objects.get()
    assert after.digest != before.digest, "the cookie is another one"
    assert (after.created, after.address, after.agent) == (before.created, before.address, before.agent)


def test_running_requests_restore_no_ended_session(ann):
    client = signed_in(ann)
    store = SessionStore(client.cookies["sessionid"].value)
    store["seen"] = "before"
    sessions.end_all(ann.pk)
    with pytest.raises(sessions.UpdateError):
        store.save()
    assert not Session.objects.exists() and not is_in(client)


def test_sign_out_clears_session_and_cache(ann):
    client = signed_in(ann)
    cookie = client.cookies["sessionid"].value
    answer = client.post("/logout/")
    assert answer["Clear-Site-Data"] == '"cache"'
    assert not Session.objects.exists()
    assert not is_in(Client(headers={"Cookie": f"sessionid={cookie}"}))


def test_sign_in_rotates_the_key(ann):
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


def test_sweeps_ended_sessions_only(ann, settings, monkeypatch):
    signed_in(ann), signed_in(ann)
    Session.objects.filter(pk=Session.objects.first().pk).update(
        seen=timezone.now() - timedelta(seconds=settings.SESSION_IDLE_TIMEOUT + 1)
    )
    monkeypatch.setattr(expiry, "_last_run", 0.0)
    expiry.run_if_due()
    assert Session.objects.count() == 1


def test_password_is_fresh_for_ten_minutes(ann):
    client = signed_in(ann)
    store = SessionStore(client.cookies["sessionid"].value)
    assert store.is_fresh
    age(proved=timedelta(minutes=11))
    store = SessionStore(client.cookies["sessionid"].value)
    assert not store.is_fresh
    store.confirm_password()
    assert SessionStore(client.cookies["sessionid"].value).is_fresh


def test_sign_in_without_request_creates_a_session(ann):
    from django.contrib.auth import login

    request = HttpRequest()
    request.session = SessionStore()
    login(request, ann)
    request.session.save()
    assert Session.objects.get().user == ann
