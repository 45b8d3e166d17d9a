"""No admin site exists: people and rights change through the console and the API only, which record it."""

import importlib
import sys

import pytest
from django.apps import apps
from django.contrib.auth import get_user_model
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.urls import get_resolver

from access import accounts
from access.callers import SYSTEM
from access.models import Membership, Team
from access.tokens import make_token
from audit.models import History
from tests import factories

ADDRESSES = (
    "",
    "login/",
    "logout/",
    "password_change/",
    "password_change/done/",
    "jsi18n/",
    "autocomplete/",
    "r/1/1/",
    "auth/user/",
    "auth/user/add/",
    "auth/user/1/change/",
    "auth/user/1/password/",
    "auth/user/1/delete/",
    "auth/group/",
    "auth/group/add/",
    "access/token/",
    "asset/credential/1/change/",
    "microservice/history/",
    "django_celery_results/taskresult/",
    "django_celery_results/groupresult/add/",
)


@pytest.mark.django_db
def test_admin_site_is_not_found(client):
    root = get_user_model().objects.create_superuser("root")
    client.force_login(root)
    for address in ADDRESSES:
        for method in (client.get, client.post):
            answer = method(f"/admin/{address}", {"username": "ghost", "is_superuser": "on"})
            assert answer.status_code == 404, address
    assert get_user_model().objects.count() == 1 and not History.objects.exists()


def test_admin_site_is_not_installed():
    assert not apps.is_installed("django.contrib.admin")
    importlib.import_module("deployer.urls")
    assert "django.contrib.admin.sites" not in sys.modules

    def every(resolver):
        for pattern in resolver.url_patterns:
            yield pattern
            if hasattr(pattern, "url_patterns"):
                yield from every(pattern)

    assert not [one for one in every(get_resolver()) if getattr(one, "app_name", "") == "admin"]


# --- reports of an upgrade --------------------------------------------------------------------------------------------


@pytest.fixture
def upgrade(transactional_db, capsys):
    """`upgrade()` runs the migration on rows as they are, and gives what it printed."""
    module = importlib.import_module("microservice.migrations.0013_report_of_rights")

    def run() -> str:
        capsys.readouterr()
        then = MigrationExecutor(connection).loader.project_state([("microservice", "0018_complete_checkouts")]).apps
        with connection.schema_editor() as editor:
            module.report(then, editor)
            module.keep_admin_log(then, editor)
        return capsys.readouterr().out

    return run


def test_upgrade_reports_lost_rights(upgrade, settings):
    user, red = get_user_model(), Team.objects.create(name="red")
    shop = factories.service("shop")
    user.objects.create_user("frank")
    vera = user.objects.create_user("vera")
    Membership.objects.create(team=red, user=vera, role="viewer")
    bob = user.objects.create_user("bob")
    Membership.objects.create(team=red, user=bob, role="owner")
    user.objects.create_user("gone", is_active=False)
    make_token(bob, "ci", ["admin"], services=[shop.pk])
    make_token(bob, "builder", ["admin", "build"], services=[shop.pk])
    output = upgrade()
    row = History.objects.get(action="upgrade")
    assert row.before["services of no team"] == {"bob": "deployer", "frank": "deployer", "vera": "viewer"}
    assert [one.split()[1] for one in row.before["tokens that changed build fields"]] == ["ci"]
    assert all(name in output for name in ("bob", "frank", "vera", " ci")) and "gone" not in output
    settings.DEFAULT_ROLE = "publisher"
    upgrade()
    assert set(History.objects.filter(action="upgrade").first().before["services of no team"]) == {"bob", "frank"}


def test_upgrade_without_teams_reports_nothing(upgrade):
    get_user_model().objects.create_user("frank")
    assert upgrade() == "" and not History.objects.exists()


def test_admin_log_becomes_history(upgrade):
    """Its rows refer to accounts, and are no longer deleted together with one."""
    ghost = get_user_model().objects.create_user("ghost")
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE TABLE django_admin_log (id integer PRIMARY KEY, action_time timestamp NOT NULL, object_id text, "
            "object_repr varchar(200) NOT NULL, action_flag smallint NOT NULL, change_message text NOT NULL, "
            "content_type_id integer NULL REFERENCES django_content_type (id), "
            "user_id integer NOT NULL REFERENCES auth_user (id))"
        )
        cursor.execute("SELECT id FROM django_content_type WHERE app_label = 'auth' AND model = 'user'")
        kind = cursor.fetchone()[0]
        cursor.execute(
            "INSERT INTO django_admin_log VALUES (1, '2026-01-31 12:00:00', '7', 'eve', 1, 'Added.', %s, %s)",
            [kind, ghost.pk],
        )
    assert "1 changes" in upgrade()
    row = History.objects.get()
    assert (row.actor, row.action, row.subject) == ("ghost", "create", "user")
    assert (row.subject_id, row.subject_name) == (7, "eve")
    assert row.created.isoformat() == "2026-01-31T12:00:00+00:00" and "admin site" in row.reason
    accounts.delete_user(SYSTEM, ghost)
    assert not get_user_model().objects.exists()
    assert upgrade() == ""
