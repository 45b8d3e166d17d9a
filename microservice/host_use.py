"""What needs a host: instances on it, operations under way, and hosts that are reached through it."""

from access.problems import Problem, conflict
from asset.models import Asset

from .models import Operation
from .status import OPERATION_OPEN

MAX_NAMED = 20  # hindrances in one refusal


def refuse_in_use(host: Asset) -> None:
    """409 `host_in_use` that names each instance, operation and host in the way of an archive."""
    rows = host.instances.select_related("microservice").order_by("microservice__name")
    errors = [
        {
            "pointer": "/instances",
            "reason": f"{row.microservice.name} is installed there",
            "instance_id": row.pk,
            "service": row.microservice.name,
        }
        for row in rows
    ]
    if errors:
        raise _in_use(host, errors, "Delete the instances, or forget them where the host is gone for good.")
    going = Operation.objects.filter(host=host, status__in=OPERATION_OPEN).values_list("deployment_id", flat=True)
    errors = [
        {"pointer": "/operations", "reason": f"deployment {number} still has an operation there"}
        for number in sorted(set(going))
    ]
    if errors:
        raise _in_use(host, errors, "Cancel the deployment, or wait for its end.")
    behind = Asset.objects.filter(jump_host=host).order_by("hostname").values_list("hostname", flat=True)
    errors = [{"pointer": "/jump_host_id", "reason": f"{name} is reached through it"} for name in behind]
    if errors:
        raise _in_use(host, errors, "Give those hosts another way first.")


def _in_use(host: Asset, errors: list[dict], hint: str) -> Problem:
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    detail = f"{host.hostname} cannot be archived: {errors[0]['reason']}{more}."
    return conflict("host_in_use", detail, hint, errors[:MAX_NAMED])
