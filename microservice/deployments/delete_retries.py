"""Deletes that failed are retried by the sweep, with growing pauses, until they succeed or are given up."""

from collections.abc import Mapping
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Case, DateTimeField, F, QuerySet, Value, When
from django.utils import timezone

from access.callers import SYSTEM
from access.problems import Problem
from audit.history import record_rows, row_of
from callbacks import outbox
from callbacks.models import EventType

from ..models import MicroService, MicroServiceInstance, Operation
from ..status import InstanceStatus
from .retries import retry_instances

MIN_PAUSE, MAX_PAUSE = 30, 3600  # seconds between two tries
MAX_A_SWEEP = 500


def schedule(instances: QuerySet[MicroServiceInstance], failed: Mapping[int, Operation]) -> None:
    """Schedule the next try of deletes that failed, with growing pauses; the sweep carries it out.

    After MAX_DELETE_ATTEMPTS it is not tried again by itself; callbacks and the history say so. The instance stays
    `delete_failed` meanwhile. `failed`: the operation that failed, by its instance's id.
    """
    now = timezone.now()
    pauses = [min(MAX_PAUSE, MIN_PAUSE * 2**count) for count in range(8)]
    after = [
        When(delete_attempts=tries, then=Value(now + timedelta(seconds=pause))) for tries, pause in enumerate(pauses)
    ]
    instances.update(
        retry_at=Case(
            When(delete_attempts__gte=settings.MAX_DELETE_ATTEMPTS - 1, then=Value(None)),
            *after,
            default=Value(now + timedelta(seconds=MAX_PAUSE)),
            output_field=DateTimeField(),
        ),
        delete_attempts=F("delete_attempts") + 1,
    )
    _report_given_up(list(instances.filter(retry_at=None).select_related("microservice", "host")), failed)


def _report_given_up(rows: list[MicroServiceInstance], failed: Mapping[int, Operation]) -> None:
    outbox.enqueue_each(
        EventType.DELETE_GIVEN_UP,
        {
            f"delete.given_up:{failed[row.pk].pk}": {
                "instance": {
                    "id": row.pk,
                    "host": str(row.host),
                    "host_id": row.host_id,
                    "service": row.microservice.name,
                    "service_id": row.microservice_id,
                },
                "delete_attempts": row.delete_attempts,
                "error": failed[row.pk].error[:2000],
                "operation_id": failed[row.pk].pk,
                "url": f"{settings.PUBLIC_URL}/services/{row.microservice.name}/instances/",
            }
            for row in rows
        },
    )
    record_rows(
        row_of(
            SYSTEM,
            "give_up",
            "instance",
            row,
            {"delete_attempts": row.delete_attempts},
            None,
            failed[row.pk].error,
            row.microservice,
        )
        for row in rows
    )


def retry_failed_deletes() -> int:
    """Retry deletes whose pause is over. Return how many. Of two sweeps at the same time only one locks an instance."""
    retried = 0
    due = MicroServiceInstance.objects.filter(
        retry_at__lte=timezone.now(), status=InstanceStatus.DELETE_FAILED, locked=False
    ).select_related("microservice", "host")
    together: dict[tuple[MicroService, int | None], list[int]] = {}  # of one service, in one environment
    for row in due[:MAX_A_SWEEP]:
        together.setdefault((row.microservice, row.host.environment_id), []).append(row.pk)
    for (service, _), ids in together.items():
        try:
            with transaction.atomic():
                retry_instances(SYSTEM, service, tuple(ids), force=True)  # it was asked for before
            retried += len(ids)
        except Problem:  # another sweep or a person locked one of them first: next time
            continue
    return retried
