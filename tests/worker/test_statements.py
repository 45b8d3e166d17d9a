"""The worker's statements use the same indexes with bound statuses as with literal ones, on both databases."""

from collections import Counter

import pytest
from django.db import connection, transaction

from asset import tenancy
from microservice.status import Action, DeploymentStatus, OperationStatus
from runtime.sql import for_update
from worker import claims, statements

pytestmark = pytest.mark.django_db

CLAIMABLE = (DeploymentStatus.QUEUED, DeploymentStatus.RUNNING)
STATUSES = (OperationStatus.QUEUED, OperationStatus.RUNNING, OperationStatus.UNKNOWN)


def statement(name: str) -> str:
    now = claims._SQLITE_NOW if connection.vendor == "sqlite" else "CURRENT_TIMESTAMP"
    sql = getattr(statements, name).replace(":now", now).replace(":ids", "1, 2, 3")
    return sql.replace(":closed", tenancy.CLOSED).replace(":lock", for_update("o"))


def plan_of(sql: str, *params: object) -> str:
    """Return the database's query plan. PostgreSQL, whose tables are empty here, is kept from reading them whole."""
    explain = "EXPLAIN QUERY PLAN " if connection.vendor == "sqlite" else "EXPLAIN (COSTS OFF) "
    with transaction.atomic(), connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(explain + sql, params)
        return "\n".join(row[-1] for row in cursor.fetchall())  # before it SQLite has the numbers of its nodes


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("HAS_WORK", (*CLAIMABLE, *STATUSES)),
        ("WAITING_DEPLOYMENTS", (*CLAIMABLE, OperationStatus.QUEUED)),
        ("IN_FLIGHT", (OperationStatus.RUNNING,)),
        ("NEXT_OF_DEPLOYMENT", (1, OperationStatus.QUEUED, 8)),
        ("CLOSED", (Action.DELETE,)),
        ("OWNED", ("w1", OperationStatus.RUNNING)),
    ],
)
def test_bound_statuses_use_same_query_plan(name, params):
    literals = tuple(f"'{value}'" if isinstance(value, str) else value for value in params)
    assert plan_of(statement(name), *params) == plan_of(statement(name) % literals)


def test_open_operations_use_partial_indexes():
    plan = plan_of(statement("HAS_WORK"), *CLAIMABLE, *STATUSES)
    running = ("operation_lease", "operation_owner")  # PostgreSQL takes either while there are no rows
    assert any(index in plan for index in running) and "operation_due" in plan


def test_every_statement_runs():
    assert claims._has_work() == (False, False, False)
    assert claims._due(Counter(), 1, 1, around=False) == []
    assert claims._in_flight().overall == 0
    assert claims._drop_closed([1]) == ([1], [])
