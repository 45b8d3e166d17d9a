"""Publishes events to live views and callbacks, in the transaction of their cause: both or neither."""

from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from django.conf import settings

from audit import events
from audit.models import Event
from callbacks import outbox
from callbacks.models import EventType
from integrations.images.pages import ImagePages
from messages.rendering import english

from .models import Deployment, Operation, Step
from .status import DEPLOYMENT_ENDED, DeploymentStatus, OperationStatus, StepStatus

_together: ContextVar[list[Event] | None] = ContextVar("together", default=None)


@contextmanager
def together() -> Iterator[None]:
    """Write at the end what is published inside: for a transaction that acts on several deployments.

    Events are written under a lock that every writer waits for, so nothing that may be held is locked after them. What
    an exception ends publishes nothing: it is rolled back.
    """
    before, own = _together.get(), list[Event]()
    _together.set(own)
    try:
        yield
    finally:
        _together.set(before)
    publish(own)


OF_DEPLOYMENTS = frozenset(
    {
        EventType.DEPLOYMENT_WAITING,
        EventType.DEPLOYMENT_STARTED,
        EventType.DEPLOYMENT_ENDED,
        EventType.DEPLOYMENT_FAILED,
    }
)


def publish(rows: Iterable[Event]) -> None:
    """Write events for live views and queue their callbacks, as the last statements of a transaction."""
    every = list(rows)
    gathered = _together.get()
    if gathered is not None:
        gathered += every
    elif every:
        queue_callbacks(every)  # before the lock that events are written under, which every writer waits for
        events.write(every)


def build_ended(version: Any, attempt: str = "") -> None:
    """Queue the callbacks of a build's end. Call in its transaction, with the version as it is then.

    `attempt`: tells several ends of one version apart; each is reported.
    """
    outbox.enqueue(
        EventType.BUILD_ENDED,
        f"build.ended:{version.pk}:{version.status}" + (f":{attempt}" if attempt else ""),
        build_data(version),
    )


def overridden(deployment: Deployment, who: str, reason: str, entry: int) -> None:
    """Tell of an override to every callback that is told of deployments, whether it subscribes to overrides or not.

    `entry`: the id of its row in the history.
    """
    data = {"id": deployment.pk, **_deployment_data(deployment)}
    outbox.enqueue(
        EventType.DEPLOYMENT_OVERRIDDEN,
        f"{EventType.DEPLOYMENT_OVERRIDDEN.value}:{entry}",
        {"deployment": data, "overridden_by": who, "override_reason": reason},
        or_to=OF_DEPLOYMENTS,
    )


def build_data(version: Any) -> dict[str, Any]:
    """Return what the message about a build's end says of its version."""
    service = version.microservice
    return {
        "service": service.name,
        "service_id": service.pk,
        "version": {
            "id": version.pk,
            "version": version.version,
            "ref": version.ref,
            "sha256": version.sha256,
            "source_sha256": version.source_sha256,
            "image": version.image,
            "image_tag": version.image_tag,
            "image_url": ImagePages().of(version.image),
            "detail": version.build_detail,
            "status": version.status,
            "status_str": version.get_status_display(),
        },
        "url": f"{settings.PUBLIC_URL}/services/{service.name}/versions/{version.pk}/",
    }


def queue_callbacks(rows: Iterable[Event]) -> None:
    """Queue the callbacks of these events. At most four statements, however many events there are."""
    by_name = {}
    for row in rows:
        event_type = _event_type(row)
        if event_type:
            by_name[event_type, _name(event_type, row)] = row
    if not by_name:
        return
    wanted = outbox.subscribed_events()
    by_name = {key: row for key, row in by_name.items() if key[0] in wanted}
    if by_name:
        outbox.enqueue_all(_with_data(by_name))


def _event_type(row: Any) -> EventType | None:
    status = row.data.get("status")
    if row.kind == "deployment":
        if status == DeploymentStatus.WAITING:
            return EventType.DEPLOYMENT_WAITING
        if status == DeploymentStatus.RUNNING:
            return EventType.DEPLOYMENT_STARTED
        if status == DeploymentStatus.FAILED:
            return EventType.DEPLOYMENT_FAILED
        return EventType.DEPLOYMENT_ENDED if status in DEPLOYMENT_ENDED else None
    if row.kind == "operation" and status in (OperationStatus.FAILED, OperationStatus.UNDONE):
        return EventType.INSTANCE_FAILED
    return None


def _name(event_type: EventType, row: Any) -> str:
    number = row.operation_id if event_type == EventType.INSTANCE_FAILED else row.deployment_id
    return f"{event_type.value}:{number}" + (f":{row.data['round']}" if "round" in row.data else "")


def _with_data(by_name: dict[tuple[EventType, str], Any]) -> dict[tuple[str, str], dict[str, Any]]:
    """Return {(event type, name): data of the callback}. Three queries: deployments, operations, failed steps."""
    deployments = (
        Deployment.objects.select_related("microservice", "environment", "from_version", "dest_version")
        .defer("spec")
        .in_bulk({row.deployment_id for row in by_name.values()})
    )
    wanted = {row.operation_id for (event, _), row in by_name.items() if event == EventType.INSTANCE_FAILED}
    operations = Operation.objects.select_related("host").in_bulk(wanted) if wanted else {}
    steps = _failed_steps(wanted) if wanted else {}
    data_of: dict[tuple[str, str], dict[str, Any]] = {}
    for (event, name), row in by_name.items():
        deployment = deployments.get(row.deployment_id)
        data = {
            "deployment": {
                "id": row.deployment_id,
                **_deployment_data(deployment),
                **{key: row.data[key] for key in ("status", "reason") if row.kind == "deployment" and key in row.data},
            },
        }
        operation = operations.get(row.operation_id)
        if operation is not None:
            data["operation"] = {
                "id": operation.pk,
                "instance_id": operation.instance_id_snapshot,
                "host_id": operation.host_id,
                "host": str(operation.host),
                "action": operation.action,
                "status": row.data["status"],
                "error": row.data.get("error", "")[:2000],
                "error_code": row.data.get("error_code", ""),
                "error_step": row.data.get("error_step", ""),
                "undo_status": row.data.get("undo_status", ""),
                "cause": operation.cause,
                "failed_step": steps.get(operation.pk),
                "url": f"{settings.PUBLIC_URL}/operations/{operation.pk}/",
            }
        data_of[event, name] = data
    return data_of


def _failed_steps(operations: Collection[int]) -> dict[int, dict[str, Any]]:
    """Return {operation id: the step that failed}: what it came to, and apart from that its undo."""
    fields = ("name", "status", "exit_status", "undo_status", "undo_exit_status")
    rows = Step.objects.filter(operation__in=operations, status=StepStatus.FAILED).order_by("-position")
    return {step.operation_id: {name: getattr(step, name) for name in fields} for step in rows}


def _deployment_data(deployment: Any) -> dict[str, Any]:
    if deployment is None:
        return {}
    return {
        "service": deployment.microservice.name,
        "service_id": deployment.microservice_id,
        "action": deployment.action,
        "environment": deployment.environment.name if deployment.environment else None,
        "from_version": str(deployment.from_version) if deployment.from_version else None,
        "dest_version": str(deployment.dest_version) if deployment.dest_version else None,
        "from_image": deployment.from_version.image if deployment.from_version else "",
        "dest_image": deployment.dest_version.image if deployment.dest_version else "",
        "status": str(deployment.status),
        "reason": english(deployment.reason) if deployment.reason else "",
        "note": deployment.note,
        "requested_by": deployment.requested_by,
        "url": f"{settings.PUBLIC_URL}/deployments/{deployment.pk}/",
    }
