"""What an upgraded installation keeps: sessions stay, endless tokens stay valid and are listed."""

import hashlib
from datetime import timedelta

import pytest
from django.contrib.auth import HASH_SESSION_KEY, get_user_model
from django.contrib.sessions.backends.db import SessionStore as Before
from django.contrib.sessions.models import Session as Old
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.test import Client
from django.utils import timezone

from access.models import Session, Token

pytestmark = pytest.mark.django_db(transaction=True)
BEFORE, NOW = ("access", "0003_teams"), ("access", "0004_sessions_and_service_accounts")


def migrate(to: tuple[str, str]):
    executor = MigrationExecutor(connection)
    executor.migrate([to])
    return executor.loader.project_state([to]).apps


def migrate_to_the_end() -> None:
    """Also the apps that need a later step of this one, and went back with it."""
    executor = MigrationExecutor(connection)
    executor.migrate([leaf for leaf in executor.loader.graph.leaf_nodes() if leaf[0] != "sessions"])


@pytest.fixture
def old():
    yield migrate(BEFORE)
    migrate_to_the_end()


def session(user, **more) -> str:
    store = Before()
    store.update(
        {
            "_auth_user_id": str(user.pk),
            "_auth_user_backend": "django.contrib.auth.backends.ModelBackend",
            HASH_SESSION_KEY: user.get_session_auth_hash(),
            **more,
        }
    )
    store.save()
    return store.session_key


def test_upgrade_keeps_sessions_names_endless_tokens(old, capsys):
    user = get_user_model().objects.create_user("ann")
    key, gone = session(user), session(user)
    Old.objects.filter(session_key=gone).update(expire_date=timezone.now() - timedelta(days=1))
    Old.objects.create(session_key="x" * 32, session_data="nonsense", expire_date=timezone.now() + timedelta(days=1))
    tokens = old.get_model("access", "Token").objects
    for name, end in (("for ever", None), ("for a day", timezone.now() + timedelta(days=1))):
        tokens.create(
            user_id=user.pk,
            name=name,
            digest=hashlib.sha256(name.encode()).hexdigest(),
            hint="dpl_",
            scopes=["read"],
            expires=end,
        )
    migrate(NOW)
    output = capsys.readouterr().out
    assert "1 sessions were taken over" in output and "1 tokens have no end" in output
    assert "'for ever' of ann" in output and "for a day" not in output
    assert not Old.objects.exists(), "they held the cookies themselves"
    [row] = Session.objects.all()
    assert (row.user, row.proved) == (user, None) and row.created <= timezone.now()
    migrate_to_the_end()
    assert Client(headers={"Cookie": f"sessionid={key}"}).get("/account/").status_code == 200
    assert Client(headers={"Cookie": f"sessionid={gone}"}).get("/account/").status_code == 302
    answer = Client().get("/api/v1/services/", headers={"Authorization": "Bearer for ever"})
    assert answer.status_code == 200 and Token.objects.get(name="for ever").expires is None
