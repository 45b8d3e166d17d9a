"""Signed-in users, and a count of a page's database queries."""

import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from access.models import Membership, Team
from access.roles import Role
from console.views import fragment_cache


@pytest.fixture(autouse=True)
def fragments(monkeypatch):
    """Let no test see what another one rendered: the rows of both have the same ids."""
    monkeypatch.setattr(fragment_cache, "_cache", fragment_cache.FragmentCache())


def _client(name: str, **rights) -> Client:
    user = get_user_model().objects.create_user(name, password=f"{name}-password-1", **rights)
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def admin(db) -> Client:
    """Return a client whose user has every right."""
    return _client("ada", is_staff=True, is_superuser=True)


@pytest.fixture
def operator(db) -> Client:
    """Return a client whose user may read, publish and deploy, and not administer."""
    return _client("olga")


@pytest.fixture
def viewer(db, settings) -> Client:
    """Return a client whose user may only read: a team exists, and services without one are open to every reader."""
    settings.DEFAULT_ROLE = Role.VIEWER
    client = _client("vera")
    team = Team.objects.create(name="lookers")
    Membership.objects.create(team=team, user=get_user_model().objects.get(username="vera"), role=Role.VIEWER)
    return client


@pytest.fixture
def cost():
    """`cost(client, "/")`: how many queries a page takes; the page must be there."""

    def count(client: Client, address: str) -> int:
        with CaptureQueriesContext(
            connection,
        ) as queries:
            answer = client.get(address)
        assert answer.status_code == 200, answer.content[:500]
        return len(queries)

    return count
