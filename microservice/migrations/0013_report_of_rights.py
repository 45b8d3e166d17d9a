"""Tells what accounts and tokens lose by new rules, and brings the admin site's log, which is gone, into the history.

Nothing of anybody's is changed here: the rules are in the code. What is printed is also one row of the history.
"""
from datetime import UTC, datetime

from django.conf import settings
from django.db import connections, migrations

LADDER = ("viewer", "publisher", "deployer", "owner")
BATCH = 1000
LOG = "django_admin_log"


def before(roles):
    """The role on services of no team by the rule so far: without a role deployer, else the best one, no owner."""
    if not roles:
        return "deployer"
    return LADDER[min(max(LADDER.index(role) for role in roles), LADDER.index("deployer"))]


def losses(apps):
    """({account: role so far on services of no team}, [tokens that no longer change what builds run])."""
    User = apps.get_model(*settings.AUTH_USER_MODEL.split("."))
    Membership, Token = apps.get_model("access", "Membership"), apps.get_model("access", "Token")
    lose, now = {}, settings.DEFAULT_ROLE
    if apps.get_model("access", "Team").objects.exists():
        roles = {}
        for user, role in Membership.objects.order_by().values_list("user", "role"):
            roles.setdefault(user, []).append(role)
        people = User.objects.filter(is_active=True, is_superuser=False).order_by("username")
        for pk, name in people.values_list("pk", "username"):
            was = before(roles.get(pk, []))
            if not now or LADDER.index(now) < LADDER.index(was):
                lose[name] = was
    rows = Token.objects.filter(revoked=None).order_by("pk").values_list("pk", "name", "scopes", "services")
    bound = [f"{pk} {name}" for pk, name, scopes, services in rows
             if services and "admin" in scopes and "build" not in scopes]
    return lose, bound


def report(apps, schema_editor):
    lose, bound = losses(apps)
    now = settings.DEFAULT_ROLE or "none"
    for name, was in lose.items():
        print(f"  {name}: was {was} on services of no team, has the default role ({now}) from now on.")
    if lose:
        print("  Give these services to teams, or set DEFAULT_ROLE: see docs/rights.md.")
    for one in bound:
        print(f"  Token {one}: changes no build fields of its services any more; that takes the scope build.")
    if lose or bound:
        apps.get_model("microservice", "History").objects.create(
            actor="system", action="upgrade", subject="settings", subject_name="DEFAULT_ROLE",
            before={"services of no team": lose, "tokens that changed build fields": bound},
            after={"services of no team": now}, reason="New rules for services of no team and for build fields.",
        )


def keep_admin_log(apps, schema_editor):
    """The admin site is gone. What it noted of changes becomes history; its table would keep accounts from being
    deleted."""
    connection = connections[schema_editor.connection.alias]
    if LOG not in connection.introspection.table_names():
        return
    History = apps.get_model("microservice", "History")
    kept = 0
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT l.action_time, u.username, l.action_flag, t.model, l.object_id, l.object_repr, l.change_message "
            f"FROM {LOG} l JOIN auth_user u ON u.id = l.user_id "  # noqa: S608  a constant
            "LEFT JOIN django_content_type t ON t.id = l.content_type_id ORDER BY l.id"
        )
        rows = cursor.fetchall()
    for start in range(0, len(rows), BATCH):
        made = [_row(History, *row) for row in rows[start : start + BATCH]]
        History.objects.bulk_create(made)
        kept += len(made)
    if kept:
        print(f"  {kept} changes that were made in the admin site are in the history now.")
    schema_editor.execute(f"DROP TABLE {LOG}")


def _row(History, when, who, flag, model, number, name, message):
    moment = datetime.fromisoformat(when) if isinstance(when, str) else when  # SQLite gives times as text
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return History(
        created=moment, actor=who[:150], action={1: "create", 2: "change", 3: "delete"}.get(flag, "change"),
        subject=(model or "")[:32], subject_id=int(number) if (number or "").isdigit() else None,
        subject_name=name[:300], reason=f"In the admin site: {message}"[:500],
    )


class Migration(migrations.Migration):

    dependencies = [
        ("microservice", "0012_service_secrets"),
        ("access", "0003_teams"),
        ("contenttypes", "0002_remove_content_type_name"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.RunPython(report, migrations.RunPython.noop),
        migrations.RunPython(keep_admin_log, migrations.RunPython.noop),
    ]
