"""What many tabs show is rendered once for all with the same rights, and holds nothing of another user."""

import re
import threading

import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from access import session_cache
from access.models import Membership, Team
from access.problems import not_found
from access.roles import Role
from console.views import fragment_cache
from microservice.models import MicroService
from tests import factories
from tests.lab.network import wait_until

pytestmark = pytest.mark.django_db
ASKS = {"HX-Request": "true"}


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    monkeypatch.setattr(session_cache.cache, "_known", {})


def tab(name: str, **rights) -> Client:
    client = Client(enforce_csrf_checks=True)
    client.force_login(get_user_model().objects.create_user(name, **rights))
    client.get("/")  # gives it its CSRF cookie
    return client


PAGES = (
    "/",
    "/services/shop/instances/",
    "/deployments/{deployment}/",
    "/operations/{operation}/",
    "/operations/{operation}/log/",
    "/operations/{operation}/output/?offset=0",
    "/services/shop/",
    "/services/shop/versions/",
    "/hosts/",
    "/hosts/{host}/",
)


@pytest.mark.parametrize("page", PAGES)
def test_shares_fragments(page, monkeypatch):
    monkeypatch.setattr(session_cache, "REFRESH_INTERVAL", 60)
    monkeypatch.setattr(fragment_cache, "MAX_AGE", 60)
    deployment = factories.running(3)
    operation = deployment.operations.first()
    page = page.format(deployment=deployment.pk, operation=operation.pk, host=operation.host_id)
    tabs = [tab(f"viewer-{n}") for n in range(5)]
    for one in tabs:
        one.get("/?q=x", headers=ASKS)  # so each of them is known
    with CaptureQueriesContext(connection) as first:
        texts = [tabs[0].get(page, headers=ASKS).content.decode()]
    with CaptureQueriesContext(connection) as others:
        texts += [one.get(page, headers=ASKS).content.decode() for one in tabs[1:]]
    assert len(first) > 2 and len(others) == 0
    own = re.compile(r'(name="(?:csrfmiddlewaretoken|key)" value=")[^"]*')
    assert len({own.sub(r"\1", text) for text in texts}) == 1
    assert "<html" not in texts[0] and not any("viewer-" in text for text in texts)


def test_personalizes_token_and_key():
    deployment = factories.running()
    tabs = [tab("ann", is_superuser=True), tab("bob", is_superuser=True)]
    values = []
    for one in tabs:
        text = one.get(f"/deployments/{deployment.pk}/", headers=ASKS).content.decode()
        assert fragment_cache.TOKEN_PLACEHOLDER not in text and fragment_cache.KEY_PLACEHOLDER not in text
        form = {name: re.search(f'name="{name}" value="([^"]+)"', text)[1] for name in ("csrfmiddlewaretoken", "key")}
        values += form.values()
        other = tabs[1 - tabs.index(one)]
        assert other.post(f"/deployments/{deployment.pk}/pause/", form).status_code == 403
        assert one.post(f"/deployments/{deployment.pk}/pause/", form).status_code == 302
    assert len(set(values)) == 4


def test_separates_permissions():
    red = Team.objects.create(name="red")
    factories.running(name="secret")
    MicroService.objects.update(team=red)
    factories.running(name="open")
    boss, member, stranger = tab("boss", is_superuser=True), tab("member"), tab("stranger")
    Membership.objects.create(team=red, user=get_user_model().objects.get(username="member"), role=Role.VIEWER)
    texts = [one.get("/", headers=ASKS).content.decode() for one in (boss, member, stranger, boss)]
    assert ["secret" in text for text in texts] == [True, True, False, True]
    assert ["Add a service" in text for text in texts] == [True, False, False, True]


def test_renders_again_after_new_event():
    deployment = factories.running()
    one = tab("ann")
    assert "what it does now" not in one.get("/", headers=ASKS).content.decode()
    MicroService.objects.update(description="what it does now")
    assert "what it does now" not in one.get("/", headers=ASKS).content.decode()
    told = factories.event(deployment)
    assert "what it does now" in one.get(f"/?seen={told.pk}", headers=ASKS).content.decode()
    assert {one.get(f"/?seen={wrong}", headers=ASKS).status_code for wrong in ("x", "-1", "9" * 40, "%F0")} == {200}


def test_fragment_expires(monkeypatch):
    factories.running()
    one = tab("ann")
    one.get("/", headers=ASKS)
    MicroService.objects.update(description="what it does now")
    monkeypatch.setattr(fragment_cache, "MAX_AGE", 0)
    assert "what it does now" in one.get("/", headers=ASKS).content.decode()


def test_waits_for_rendering():
    made, inside, go_on, got = [], threading.Event(), threading.Event(), []
    shared = fragment_cache.FragmentCache()

    def render():
        made.append(1)
        inside.set()
        go_on.wait(60)
        raise not_found("deployment")

    def ask():
        try:
            shared.get("page", 0, render)
        except Exception as error:  # noqa: BLE001 - compared below
            got.append(error)

    threads = [threading.Thread(target=ask) for _ in range(10)]
    fragments_newest, fragment_cache.newest = fragment_cache.newest, lambda: 5
    try:
        threads[0].start()
        inside.wait(60)
        for thread in threads[1:]:
            thread.start()
        (one,) = shared._renderings.values()
        wait_until(lambda: len(one.done._cond._waiters) == 9, what="nine wait")
        go_on.set()
        for thread in threads:
            thread.join(60)
    finally:
        fragment_cache.newest = fragments_newest
    assert len(made) == 1 and len(got) == 10 and {error.status for error in got} == {404}


def test_waiting_requests_take_slow_rendering(monkeypatch):
    """On a machine that has too much to do, waiting anew would never end."""
    monkeypatch.setattr(fragment_cache, "newest", lambda: 5)
    monkeypatch.setattr(fragment_cache, "MAX_AGE", 0)
    shared, made, inside, go_on, got = fragment_cache.FragmentCache(), [], threading.Event(), threading.Event(), []

    def render():
        made.append(1)
        inside.set()
        go_on.wait(60)
        return "slow"

    threads = [threading.Thread(target=lambda: got.append(shared.get("page", 5, render))) for _ in range(10)]
    threads[0].start()
    inside.wait(60)
    for thread in threads[1:]:
        thread.start()
    (one,) = shared._renderings.values()
    wait_until(lambda: len(one.done._cond._waiters) == 9, what="nine wait")
    go_on.set()
    for thread in threads:
        thread.join(60)
    assert got == ["slow"] * 10 and len(made) == 1


def test_retries_failed_rendering(monkeypatch):
    monkeypatch.setattr(fragment_cache, "newest", lambda: 5)
    shared = fragment_cache.FragmentCache()
    with pytest.raises(ZeroDivisionError):
        shared.get("page", 0, lambda: 1 / 0)
    assert shared.get("page", 0, lambda: "fine") == "fine"
    assert shared.get("other", 0, lambda: "other") == "other"
    assert len(shared._renderings) == 2


def test_fragment_needs_session():
    answer = Client().get("/", headers=ASKS)
    assert answer.status_code == 401 and "/login/" in answer["HX-Redirect"]
