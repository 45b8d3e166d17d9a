"""Installs that wait for a delete on their host.

A host has a service only once. An install that is requested while the old instance is being deleted is not refused:
its operation waits, without an instance, and becomes due in the transaction that removes the old row.
"""

from collections.abc import Iterable, Sequence

from django.utils import timezone

from access.problems import Problem
from deployer.engine.codes import Code, error

from .. import wake
from ..models import Deployment, MicroService, MicroServiceInstance, Operation
from ..operation_errors import ERROR_FIELDS, set_error
from ..status import Action, InstanceStatus, OperationStatus
from . import promotion
from .new_instances import create_instances
from .target_rows import HostRow

BEING_DELETED = (InstanceStatus.DELETING, InstanceStatus.DELETE_FAILED)


def partition_hosts(service: MicroService, hosts: Sequence[HostRow]) -> tuple[list[HostRow], list[HostRow]]:
    """Return the hosts where the service can be installed now, and those where it must be deleted first."""
    ids = [host.host_id for host in hosts]
    deleting = MicroServiceInstance.objects.filter(microservice=service, host__in=ids, status__in=BEING_DELETED)
    # Locked until the install is recorded: otherwise the delete could end in between, and the install would never
    # start.
    held = set(deleting.select_for_update().values_list("host_id", flat=True))
    return [host for host in hosts if host.host_id not in held], [host for host in hosts if host.host_id in held]


def defer_installs(deployment: Deployment, hosts: Iterable[HostRow], adopt: bool) -> None:
    """Create operations that become due when the delete on their host has succeeded."""
    Operation.objects.bulk_create(
        Operation(
            deployment=deployment,
            instance=None,
            instance_id_snapshot=0,
            host_id=host.host_id,
            action=Action.INSTALL,
            dest_version=deployment.dest_version,
            adopt=adopt,
            status=OperationStatus.QUEUED,
            status_before=InstanceStatus.INSTALL_FAILED,
        )
        for host in hosts
    )


def start_deferred(deleted: Iterable[Operation]) -> None:
    """Give the installs that waited for these deletes their instance, and make them due; the old rows are gone.

    Usually one install waits for each host; a second one meets the new instance, and is refused like any other.
    """
    waiting = (
        Operation.objects.filter(
            instance__isnull=True,
            action=Action.INSTALL,
            status=OperationStatus.QUEUED,
            host__in={row.host_id for row in deleted},
            deployment__microservice__in={row.deployment.microservice_id for row in deleted},
        )
        .select_related("deployment__microservice", "deployment__environment", "dest_version", "host")
        .order_by("pk")
    )
    started = 0
    for row in waiting:
        try:
            if not row.adopt and row.dest_version:
                promotion.refuse_held_up(row.deployment.environment, [row.dest_version], "/version")
            row.instance = create_instances(row.deployment, [row.host_id])[0]
        except Problem as problem:
            row.status, row.finished = OperationStatus.NOT_STARTED, timezone.now()
            set_error(row, error(Code.DEFINITION, reason=problem.message))
        else:
            row.instance_id_snapshot = row.instance.pk
            started += 1
        row.save(update_fields=["instance", "instance_id_snapshot", "status", *ERROR_FIELDS, "finished"])
    wake.workers(started)
