"""What changed, as rows that every live view reads in one order.

A reader asks for what came after the last id it saw. That is only right if ids become visible in their order, which a
sequence does not promise: of two transactions the later id may commit first. So whoever writes events takes one lock,
writes them last in its transaction, and lets go with the commit. On SQLite there is one writer anyway.
"""

from collections.abc import Iterable

from django.db import connection

from messages.rendering import english
from runtime import bulk_insert

from .models import Event, History

_LOCK = 0x6465706C  # any number, as long as nobody else in this database uses it


def write(events: Iterable[Event]) -> None:
    """Adds events, as the last statement of the caller's transaction."""
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
    """The next events, oldest first; of one deployment, or of all."""
    rows = Event.objects.filter(id__gt=last_id).order_by("id")
    if deployment_id is not None:
        rows = rows.filter(deployment_id=deployment_id)
    return list(rows[:limit])


def any_after(last_id: int) -> bool:
    """Whether there is one: what is asked many times a second, so Django builds nothing for it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM event WHERE id > %s LIMIT 1", [last_id])
        return cursor.fetchone() is not None


def of_history(row: History) -> Event | None:
    """What somebody changed without a deployment, as pages show it; None for what none of them shows live."""
    if row.subject != "host" and (row.microservice_id is None or row.subject == "deployment"):
        return None  # deployments have events of their own
    if row.subject == "host" and row.action == "delete" and (row.before or {}).get("teams"):
        return None  # whose it was is not known any more when somebody is to be told
    data = {"action": row.action, "id": row.subject_id, "service_id": row.microservice_id or 0}
    return Event(kind=row.subject, data=data, created=row.created)


def of_deployment(deployment, **more) -> Event:
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


def of_operation(operation) -> Event:
    return Event(
        deployment_id=operation.deployment_id,
        operation_id=operation.pk,
        kind="operation",
        data={
            "id": operation.pk,
            "instance_id": operation.instance_number,
            "host_id": operation.host_id,
            "status": str(operation.status),
            "undo_status": str(operation.undo_status),
            "error": operation.error,
            "error_step": operation.error_step,
        },
    )
