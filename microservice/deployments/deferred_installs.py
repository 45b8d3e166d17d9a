"""What stands behind a delete: installs that wait for its end, and the remainder of one that failed.

A host has a service once. An install that is asked for while the old instance is being deleted is not refused: its
operation waits, without an instance, and becomes due in the transaction that takes the old row away. A delete that
failed stays visible as `delete_failed`, and the sweep tries it again with growing pauses, MAX_DELETE_ATTEMPTS times.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta

from django.conf import settings
from django.db.models import Case, DateTimeField, F, QuerySet, Value, When
from django.utils import timezone

from access.callers import SYSTEM
from access.problems import Problem
from asset.models import Asset
from audit.history import record_rows, row_of
from callbacks import outbox
from callbacks.models import EventType
from deployer.engine.codes import Code

from .. import wake
from ..models import Deployment, MicroService, MicroServiceInstance, MicroServiceVersion, Operation
from ..status import Action, InstanceStatus, OperationStatus
from .new_instances import create_instances

FIRST_PAUSE, LONGEST_PAUSE = 30, 3600  # seconds between two tries of a delete
GOING = (InstanceStatus.DELETING, InstanceStatus.DELETE_FAILED)


def split(service: MicroService, hosts: Sequence[Asset]) -> tuple[list[Asset], list[Asset]]:
    """Hosts that the service can be installed on now, and those where it is being deleted first."""
    going = MicroServiceInstance.objects.filter(microservice=service, host__in=hosts, status__in=GOING)
    # Locked until the install is recorded: else the delete could end in between, and nobody would begin what waits.
    held = set(going.select_for_update().values_list("host_id", flat=True))
    return [host for host in hosts if host.pk not in held], [host for host in hosts if host.pk in held]


def wait(deployment: Deployment, version: MicroServiceVersion, hosts: Iterable[Asset], adopt: bool) -> None:
    """Records operations that become due when the delete on their host has ended well."""
    Operation.objects.bulk_create(
        Operation(
            deployment=deployment,
            instance=None,
            instance_number=0,
            host=host,
            action=Action.INSTALL,
            dest_version=version,
            adopt=adopt,
            status=OperationStatus.QUEUED,
            status_before=InstanceStatus.INSTALL_FAILED,
        )
        for host in hosts
    )


def begin(deleted: Iterable[Operation]) -> None:
    """The old rows are gone: what waited behind them gets its instance, and is due. One waits for each host at most
    that matters: a second one meets the new instance when its turn comes, and is refused like any other."""
    waiting = (
        Operation.objects.filter(
            instance__isnull=True,
            action=Action.INSTALL,
            status=OperationStatus.QUEUED,
            host__in={row.host_id for row in deleted},
            deployment__microservice__in={row.deployment.microservice_id for row in deleted},
        )
        .select_related("deployment__microservice", "host")
        .order_by("pk")
    )
    begun = 0
    for row in waiting:
        try:
            row.instance = create_instances(row.deployment, [row.host])[0]
        except Problem as problem:
            row.status, row.finished = OperationStatus.NOT_STARTED, timezone.now()
            row.error, row.error_code = problem.detail, Code.DEFINITION
        else:
            row.instance_number = row.instance.pk
            begun += 1
        row.save(update_fields=["instance", "instance_number", "status", "error", "error_code", "finished"])
    wake.workers(begun)


def keep_trying(instances: QuerySet[MicroServiceInstance], failed: Mapping[int, Operation]) -> None:
    """Their delete has failed: the sweep tries again, later and later, and after MAX_DELETE_ATTEMPTS not by itself any
    more; then callbacks are told, and the history. `failed`: the operation that did, by its instance's id."""
    now = timezone.now()
    pauses = [min(LONGEST_PAUSE, FIRST_PAUSE * 2**tries) for tries in range(8)]
    after = [When(tries=tries, then=Value(now + timedelta(seconds=pause))) for tries, pause in enumerate(pauses)]
    instances.update(
        again_at=Case(
            When(tries__gte=settings.MAX_DELETE_ATTEMPTS - 1, then=Value(None)),
            *after,
            default=Value(now + timedelta(seconds=LONGEST_PAUSE)),
            output_field=DateTimeField(),
        ),
        tries=F("tries") + 1,
    )
    _tell_of_given_up(list(instances.filter(again_at=None).select_related("microservice", "host")), failed)


def _tell_of_given_up(rows: list[MicroServiceInstance], failed: Mapping[int, Operation]) -> None:
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
                "tries": row.tries,
                "error": failed[row.pk].error[:2000],
                "operation_id": failed[row.pk].pk,
                "url": f"{settings.PUBLIC_URL}/services/{row.microservice.name}/instances/",
            }
            for row in rows
        },
    )
    record_rows(
        row_of(SYSTEM, "give_up", "instance", row, {"tries": row.tries}, None, failed[row.pk].error, row.microservice)
        for row in rows
    )
