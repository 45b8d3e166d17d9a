"""What uses a host: instances, open operations, and hosts that are reached through it."""

from access.problems import FieldError, refused
from asset.models import Asset

from .models import Operation
from .status import OPERATION_OPEN

MAX_NAMED = 20  # uses in one refusal


def refuse_in_use(host: Asset) -> None:
    """Raise 409 `host_in_use` with each instance, operation or host that prevents archiving the host."""
    _refuse_instances(host)
    _refuse_operations(host)
    names = list(Asset.objects.filter(jump_host=host).order_by("hostname").values_list("hostname", flat=True))
    if names:
        errors = [FieldError("/jump_host_id", "host_use.jump_host", host=name) for name in names[:MAX_NAMED]]
        raise refused("host_in_use.jump_host", errors, host=host.hostname, hosts=names)


def _refuse_instances(host: Asset) -> None:
    rows = list(host.instances.select_related("microservice").order_by("microservice__name"))
    if not rows:
        return
    errors = [
        FieldError(
            "/instances",
            "host_use.instance",
            {"instance_id": row.pk, "service": row.microservice.name},
            service=row.microservice.name,
        )
        for row in rows[:MAX_NAMED]
    ]
    services = [row.microservice.name for row in rows]
    raise refused("host_in_use.instances", errors, host=host.hostname, services=services)


def _refuse_operations(host: Asset) -> None:
    rows = Operation.objects.filter(host=host, status__in=OPERATION_OPEN)
    numbers = sorted(set(rows.values_list("deployment_id", flat=True)))
    if numbers:
        errors = [FieldError("/operations", "host_use.operation", deployment=number) for number in numbers[:MAX_NAMED]]
        raise refused("host_in_use.operations", errors, host=host.hostname, deployments=numbers, count=len(numbers))
