"""Instances on hosts that do not have the service yet: thought of by a preview, made by an install."""

from collections.abc import Iterable

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone

from access.problems import Problem, conflict, invalid
from asset.models import Asset

from ..models import Deployment, MicroService, MicroServiceInstance
from ..status import InstanceStatus
from . import placement


def unsaved(service: MicroService, hosts: Iterable[Asset], fields: dict, **more) -> list[MicroServiceInstance]:
    """As they would be, on hosts that do not have the service."""
    return [MicroServiceInstance(microservice=service, host=host, **fields, **more) for host in hosts]


def check_fields(rows: list[MicroServiceInstance]) -> None:
    """They are all the same but for their hosts. Raises Problem 422."""
    try:
        if rows:
            rows[0].clean_fields(exclude=["microservice", "host", "lock_deployment", "version"])
    except ValidationError as error:
        name, reasons = next(iter(error.message_dict.items()))
        raise invalid(f"/{name}", " ".join(reasons)) from None


def create_instances(deployment: Deployment, hosts: list[Asset]) -> list[MicroServiceInstance]:
    """Locked instances on hosts that do not have the service yet; nothing runs there before the operation says so.

    A host has a service once: the database's own constraint decides, with no gap between looking and taking. Whether
    the hosts are open to the service is asked when they are made. Raises Problem 409, and then none is.
    """
    service, who = deployment.microservice, deployment.requested_by
    rows = unsaved(
        service,
        hosts,
        deployment.instance_fields,
        locked=True,
        lock_deployment=deployment,
        locked_since=timezone.now(),
        status=InstanceStatus.INSTALLING,
        status_before=InstanceStatus.INSTALL_FAILED,
        created_by=who,
        updated_by=who,
    )
    check_fields(rows)
    try:
        with transaction.atomic():
            placement.hold(service, hosts)
            placement.refuse_closed(service, hosts)
            return MicroServiceInstance.objects.bulk_create(rows)
    except IntegrityError:
        raise already_exists(service, hosts) from None


# A first install that failed: nothing of the service ever ran there, so any version may be installed in its place.
FAILED_FIRST = Q(version=None, status=InstanceStatus.INSTALL_FAILED, locked=False, is_maintain=False)


def take_failed(deployment: Deployment, hosts: list[Asset]) -> list[MicroServiceInstance]:
    """Takes the instances on these hosts whose first install failed, with what the new one gives them; answers those.

    As `targets.take` does it: the condition is part of the UPDATE, so two requests never hold the same instance.
    """
    service = deployment.microservice
    check_fields(unsaved(service, hosts[:1], deployment.instance_fields))
    failed = MicroServiceInstance.objects.filter(FAILED_FIRST, microservice=service, host__in=hosts)
    if not failed.exists():  # most often; and a statement that locks nothing
        return []
    placement.hold(service, hosts)
    placement.refuse_closed(service, hosts)
    failed.update(
        **deployment.instance_fields,
        locked=True,
        lock_deployment=deployment,
        locked_since=timezone.now(),
        status=InstanceStatus.INSTALLING,
        status_before=InstanceStatus.INSTALL_FAILED,
        updated=timezone.now(),
        updated_by=deployment.requested_by,
    )
    held = MicroServiceInstance.objects.filter(lock_deployment=deployment, locked=True)
    return list(held.select_related("host"))


def already_exists(service: MicroService, hosts: list[Asset]) -> Problem:
    """The refusal that names what is on these hosts."""
    there = MicroServiceInstance.objects.filter(microservice=service, host__in=hosts)
    errors: list[dict] = [
        {
            "pointer": "/host",
            "host_id": one.host_id,
            "instance_id": one.pk,
            "reason": f"{one.host} has {service.name} already ({InstanceStatus(one.status).label})",
        }
        for one in there.select_related("host")
    ] or [{"pointer": "/host", "reason": f"a host got {service.name} in this very moment"}]
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    hint = "Upgrade or revert it instead. Where a first install failed, another one can be tried, out of maintenance."
    return conflict("already_installed", errors[0]["reason"] + more + ".", hint, errors)
