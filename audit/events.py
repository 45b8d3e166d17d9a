"""Changes as rows, which every live view reads in one order.

A reader asks for the rows after the last id that it has. That is only right if ids become visible in order, which a
sequence does not guarantee: of two transactions the later id may commit first. So writers take one lock, write events
last in their transaction, and release the lock with the commit. SQLite has one writer anyway.
"""

from collections.abc import Iterable
from typing import Any

from django.db import connection

from messages.rendering import english
from runtime import bulk_insert

from .models import Event, History

# Kinds of events that belong to no service and no host: every reader may see them.
FOR_ALL = frozenset({"environment", "freeze"})
_LOCK = 0x6465706C  # any number that nothing else in this database uses


def write(events: Iterable[Event]) -> None:
    """Write events, as the last statement of the caller's transaction."""
    rows = list(events)
    if not rows:
        return
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
    names = ("deployment", "operation", "kind", "data", "created")
    bulk_insert.insert(
        Event, names, ((row.deployment_id, row.operation_id, row.kind, row.data, row.created) for row in rows)
    )


def after(last_id: int, deployment_id: int | None = None, limit: int = 500) -> list[Event]:
    """Return the next events, oldest first; of one deployment, or of all."""
    rows = Event.objects.filter(id__gt=last_id).order_by("id")
    if deployment_id is not None:
        rows = rows.filter(deployment_id=deployment_id)
    return list(rows[:limit])


def any_after(last_id: int) -> bool:
    """Return whether there is any. Called many times a second, so without the cost of the ORM."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM event WHERE id > %s LIMIT 1", [last_id])
        return cursor.fetchone() is not None


def of_history(row: History) -> Event | None:
    """Return the event of a change without a deployment; None where no page shows it live."""
    if row.subject not in ("host", *FOR_ALL) and (row.microservice_id is None or row.subject == "deployment"):
        return None  # deployments write events of their own
    if row.subject == "host" and row.action == "delete" and (row.before or {}).get("teams"):
        return None  # its teams are no longer known when the event is delivered
    data = {"action": row.action, "id": row.subject_id, "service_id": row.microservice_id or 0}
    return Event(kind=row.subject, data=data, created=row.created)


def of_deployment(deployment: Any, **more: Any) -> Event:  # a Deployment: this app is below that one
    return Event(
        deployment_id=deployment.pk,
        kind="deployment",
        data={
            "status": str(deployment.status),
            "reason": english(deployment.reason) if deployment.reason else "",
            **more,
        },
    )


def of_host(number: int, reachable: bool | None) -> Event:
    return Event(kind="host", data={"id": number, "reachable": reachable})


def of_operation(operation: Any) -> Event:  # an Operation
    return Event(
        deployment_id=operation.deployment_id,
        operation_id=operation.pk,
        kind="operation",
        data={
            "id": operation.pk,
            "instance_id": operation.instance_id_snapshot,
            "host_id": operation.host_id,
            "status": str(operation.status),
            "undo_status": str(operation.undo_status),
            "error": operation.error,
            "error_code": operation.error_code,
            "error_params": operation.error_params,
            "error_step": operation.error_step,
        },
    )
