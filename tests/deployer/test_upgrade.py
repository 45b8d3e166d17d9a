"""An upgrade from the last release before the apps were split: every row of every table is kept."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth import get_user_model
from django.contrib.auth.management import create_permissions
from django.contrib.contenttypes.models import ContentType
from django.db import connection, models
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.recorder import MigrationRecorder

from access.sealed import SealedMap, SealedMapField

pytestmark = pytest.mark.django_db(transaction=True)

# The newest migration of each app in that release; apps of Django and of libraries are at their newest.
OLD_LEAVES = {
    "access": "0005_known_addresses",
    "asset": "0008_archived_hosts",
    "builds": "0004_attempts",
    "callbacks": "0002_more_tellings",
    "microservice": "0018_complete_checkouts",
    "outside": "0001_initial",
}
NEW_APPS = {"audit"}
RENAMED_COLUMNS = {
    ("asset", "fetch_address"): "package_address",
    ("asset", "fetch_port"): "package_port",
    ("micro_service", "auto_deploy"): "auto_deploy_tag",
    ("micro_service_instance", "again_at"): "retry_at",
    ("micro_service_instance", "tries"): "delete_attempts",
    ("operation", "asked"): "poll_count",
    ("operation", "instance_number"): "instance_id_snapshot",
}
MOVED_MODELS = {
    ("microservice", "event"): ("audit", "event"),
    ("microservice", "history"): ("audit", "history"),
    ("microservice", "historyhead"): ("audit", "historyhead"),
}
FRAMEWORK_TABLES = {"django_migrations", "django_content_type"}
MOMENT = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)


@pytest.fixture
def old_apps() -> Iterator[Any]:
    """Create the old schema from nothing, with content types and permissions as `migrate` leaves them."""
    leaves = MigrationExecutor(connection).loader.graph.leaf_nodes()
    drop_all_tables()
    MigrationRecorder(connection).ensure_schema()
    old_leaves = [(app, OLD_LEAVES.get(app, newest)) for app, newest in leaves if app not in NEW_APPS]
    executor = MigrationExecutor(connection)
    executor.migrate(old_leaves)
    state = executor.loader.project_state(old_leaves).apps
    create_types_and_permissions(state)
    yield state
    migrate_to_now()
    ContentType.objects.clear_cache()


def test_upgrade_keeps_every_row(old_apps: Any) -> None:
    fill_every_table(old_apps)
    before = {table: rows_of(table) for table in tables()}
    assert [table for table, rows in before.items() if not rows] == []
    migrate_to_now()
    after = {table: rows_of(table) for table in tables()}
    for table, rows in before.items():
        if table not in FRAMEWORK_TABLES:
            assert after[table] == [with_new_columns(table, row, after[table][0]) for row in rows], table
    for model in apps.get_models(include_auto_created=True):
        if model._meta.db_table not in before:
            continue  # its table is new
        assert list(model._base_manager.all()), f"{model} is read by the current code"


def test_content_types_and_permissions_follow_models(old_apps: Any) -> None:
    user = get_user_model().objects.create_user("ann")
    permission = old_apps.get_model("auth", "Permission").objects.get(
        content_type__app_label="microservice", codename="view_history"
    )
    user.user_permissions.add(permission.pk)
    before = types_by_id()
    migrate_to_now()
    assert types_by_id() == {number: MOVED_MODELS.get(name, name) for number, name in before.items()}
    create_types_and_permissions(apps)
    assert sorted(set(types_by_id().values())) == sorted(types_by_id().values()), "no type twice"
    assert get_user_model().objects.get(pk=user.pk).has_perm("audit.view_history")


def migrate_to_now() -> None:
    executor = MigrationExecutor(connection)
    executor.migrate(executor.loader.graph.leaf_nodes())


def drop_all_tables() -> None:
    with connection.constraint_checks_disabled(), connection.cursor() as cursor:
        for table in tables():
            cascade = "CASCADE" if connection.vendor == "postgresql" else ""
            cursor.execute(f"DROP TABLE {connection.ops.quote_name(table)} {cascade}")


def tables() -> list[str]:
    return sorted(connection.introspection.table_names())


def create_types_and_permissions(state: Any) -> None:
    ContentType.objects.clear_cache()
    for config in apps.get_app_configs():
        create_permissions(config, verbosity=0, apps=state)


def types_by_id() -> dict[int, tuple[str, str]]:
    return {number: (app, model) for number, app, model in ContentType.objects.values_list("pk", "app_label", "model")}


def rows_of(table: str) -> list[dict[str, Any]]:
    """Return the rows as the database has them, by column."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)} ORDER BY 1")
        columns = [column[0] for column in cursor.description]
        return [dict(zip(columns, map(comparable, row), strict=True)) for row in cursor.fetchall()]


def comparable(value: Any) -> Any:
    return bytes(value) if isinstance(value, memoryview) else value


def with_new_columns(table: str, old_row: dict[str, Any], new_row: dict[str, Any]) -> dict[str, Any]:
    """Return an old row by its new columns; columns that are new since have the value of `new_row`."""
    renamed = {RENAMED_COLUMNS.get((table, column), column): value for column, value in old_row.items()}
    return {column: value for column, value in new_row.items() if column not in renamed} | renamed


def fill_every_table(state: Any) -> None:
    """Create a row of every model, with a value in every field; relations that form circles are set at the end."""
    missing = [model for model in state.get_models(include_auto_created=True) if not model._base_manager.exists()]
    while missing:
        ready = [model for model in missing if all(exists(target) for target in required(model))]
        assert ready, f"no row can be created of {missing}"
        for model in ready:
            model._base_manager.create(**{field.attname: value_of(field) for field in filled_fields(model)})
        missing = [model for model in missing if model not in ready]
    for model in state.get_models(include_auto_created=True):
        relations = [field for field in model._meta.concrete_fields if field.remote_field and field.null]
        if relations:
            model._base_manager.update(**{field.attname: value_of(field) for field in relations})


def filled_fields(model: Any) -> list[Any]:
    fields = [field for field in model._meta.concrete_fields if not isinstance(field, models.AutoField)]
    return [field for field in fields if not field.remote_field or exists(field.remote_field.model)]


def required(model: Any) -> list[Any]:
    return [field.remote_field.model for field in model._meta.concrete_fields if field.remote_field and not field.null]


def exists(model: Any) -> bool:
    return model._base_manager.exists()


def value_of(field: Any) -> Any:
    if field.remote_field:
        return field.remote_field.model._base_manager.values_list(field.target_field.attname, flat=True).first()
    if isinstance(field, SealedMapField):
        return SealedMap().after({"NAME": "a secret value"}, MOMENT)
    if isinstance(field, models.JSONField):
        return json.loads('{"key": ["ä", 1, null]}')
    for kind, value in VALUES.items():
        if isinstance(field, kind):
            return value
    text = f"{field.name} ä'\"%"
    return text[: field.max_length] if field.max_length else text


# By kind of field, the more specific first; every other field gets a text.
VALUES: dict[type, Any] = {
    models.BooleanField: True,
    models.DateTimeField: MOMENT,
    models.GenericIPAddressField: "10.1.2.3",
    models.BinaryField: b"\x00\xff data",
    models.IntegerField: 7,
}
