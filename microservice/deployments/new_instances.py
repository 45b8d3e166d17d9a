"""Instances on hosts that do not have the service yet: imagined by a preview, created by an install."""

from collections.abc import Iterable
from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone

from access.model_errors import field_errors
from access.problems import FieldError, Problem, invalid_fields

from ..models import Deployment, MicroService, MicroServiceInstance
from ..status import InstanceStatus
from . import environments, placement
from .refusals import refused_targets

# A first install that failed: nothing of the service ever ran there, so any version may be installed in its place.
FIRST_INSTALL_FAILED = Q(version=None, status=InstanceStatus.INSTALL_FAILED, locked=False, is_maintain=False)


def unsaved(
    service: MicroService, hosts: Iterable[int], fields: dict[str, Any], **more: Any
) -> list[MicroServiceInstance]:
    """Return the instances as they would be created on these hosts (ids)."""
    return [MicroServiceInstance(microservice=service, host_id=host, **fields, **more) for host in hosts]


def check_fields(rows: list[MicroServiceInstance]) -> None:
    """Raise Problem 422 where a field is wrong; the rows differ only in their hosts."""
    try:
        if rows:
            rows[0].clean_fields(exclude=["microservice", "host", "lock_deployment", "version"])
    except ValidationError as error:
        raise invalid_fields(field_errors(error)) from None


def create_instances(deployment: Deployment, hosts: list[int]) -> list[MicroServiceInstance]:
    """Create locked instances on hosts (ids) without the service; nothing runs there before the operation says so.

    A host has a service only once: the database's own constraint decides, with no gap between check and insert.
    Whether the hosts are open to the service, and still in the deployment's
    environment, is checked in the same transaction. Raise Problem 409, and create none.
    """
    service, requested_by = deployment.microservice, deployment.requested_by
    rows = unsaved(
        service,
        hosts,
        deployment.instance_fields,
        locked=True,
        lock_deployment=deployment,
        locked_since=timezone.now(),
        status=InstanceStatus.INSTALLING,
        status_before=InstanceStatus.INSTALL_FAILED,
        created_by=requested_by,
        updated_by=requested_by,
    )
    check_fields(rows)
    try:
        with transaction.atomic():
            placement.hold(service, hosts)
            placement.refuse_closed(service, hosts)
            environments.refuse_moved_hosts(deployment, hosts)
            return MicroServiceInstance.objects.bulk_create(rows)
    except IntegrityError:
        raise already_installed(service, hosts) from None


def lock_failed_installs(deployment: Deployment, hosts: list[int]) -> set[int]:
    """Lock the instances on these hosts whose first install failed, and give them the new fields. Return their hosts.

    As in `targets.lock_targets` the condition is part of the UPDATE, so two requests never hold the same instance.
    """
    service = deployment.microservice
    check_fields(unsaved(service, hosts[:1], deployment.instance_fields))
    failed = MicroServiceInstance.objects.filter(FIRST_INSTALL_FAILED, microservice=service, host__in=hosts)
    if not failed.exists():  # the usual case, in a statement that locks nothing
        return set()
    placement.hold(service, hosts)
    placement.refuse_closed(service, hosts)
    environments.refuse_moved_hosts(deployment, hosts)
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
    locked = MicroServiceInstance.objects.filter(lock_deployment=deployment, locked=True)
    return set(locked.values_list("host_id", flat=True))


def already_installed(service: MicroService, hosts: Iterable[int]) -> Problem:
    """Return the refusal that names the instances on these hosts."""
    installed = MicroServiceInstance.objects.filter(microservice=service, host__in=hosts)
    errors = [
        FieldError(
            "/host",
            "already_installed",
            {"host_id": row.host_id, "instance_id": row.pk},
            host=str(row.host),
            service=service.name,
            status=InstanceStatus(row.status).label,
        )
        for row in installed.select_related("host")
    ]
    # None is left where another request installed it and a delete ended since.
    return refused_targets(errors or [FieldError("/host", "already_installed.meanwhile", service=service.name)])
