"""Installs: put a version on hosts that do not have its service."""

from dataclasses import dataclass
from typing import Any

from django.db import transaction

from access.callers import Caller
from access.problems import invalid
from asset import tenancy
from asset.labels import Selector
from asset.models import Asset

from ..models import Deployment, MicroServiceVersion
from ..status import Action, BuildStatus
from ..strategy import ALL_AT_ONCE, OnFailure, Strategy
from . import deferred_installs, enqueue, notes, placement, plan_token
from .create import check_right, queue, save_request
from .destinations import check_bad, require_package
from .new_instances import (
    FIRST_INSTALL_FAILED,
    already_installed,
    check_fields,
    create_instances,
    lock_failed_installs,
    unsaved,
)
from .preview import plan_for
from .selection import HostNames, find_hosts, find_labelled


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """A request to install `version` on hosts. Its fields are parsed; nothing is looked up yet."""

    version: MicroServiceVersion
    host: HostNames = ()
    labels: Selector | None = None  # instead of host: the hosts with these labels that can have the service
    port: int = 0
    tag: str = ""
    weight: int = 100
    adopt: bool = False  # record what runs there already, and run nothing
    strategy: Strategy = ALL_AT_ONCE
    allow_bad: bool = False
    note: str = ""  # why this is requested
    plan_token: str | None = None  # of the plan that was shown

    @property
    def instance_fields(self) -> dict[str, Any]:
        return {"port": self.port, "tag": self.tag, "weight": self.weight}


def install(caller: Caller, installation: Installation) -> Deployment:
    """Install on hosts that do not have the service, or where its first install failed."""
    hosts = _look_up(caller, installation)
    adopt, deployment = installation.adopt, _deployment(installation)
    service = deployment.microservice
    with transaction.atomic():
        save_request(caller, deployment)
        now, later = deferred_installs.partition_hosts(service, hosts)
        rows = lock_failed_installs(deployment, now)
        locked = {row.host_id for row in rows}
        rows += create_instances(deployment, [host for host in now if host.pk not in locked])
        deferred_installs.defer_installs(deployment, later, adopt)
        if installation.plan_token is not None:
            shown = [*rows, *unsaved(service, later, deployment.instance_fields)]
            plan_token.check(installation.plan_token, deployment, shown, adopt)
        source = enqueue.from_request(deployment, adopt)
        return queue(caller, deployment, len(now), source, deferred=len(later))


def preview_install(caller: Caller, installation: Installation) -> dict[str, Any]:
    """Return what `preview` returns. There are no instances yet, so a target has only its host."""
    hosts = _look_up(caller, installation)
    service = installation.version.microservice
    installed = (
        service.instances.filter(host__in=hosts)
        .exclude(FIRST_INSTALL_FAILED)
        .exclude(status__in=deferred_installs.BEING_DELETED)
    )
    if taken := set(installed.values_list("host_id", flat=True)):
        raise already_installed(service, [host for host in hosts if host.pk in taken])
    rows = unsaved(service, hosts, installation.instance_fields)
    check_fields(rows)
    return plan_for(_deployment(installation), rows, installation.adopt)


def _deployment(installation: Installation) -> Deployment:
    """Return the deployment that is asked for, not saved."""
    return Deployment(
        microservice=installation.version.microservice,
        action=Action.INSTALL,
        dest_version=installation.version,
        note=notes.clean(installation.note),
        strategy=installation.strategy.to_json(),
        instance_fields=installation.instance_fields,
    )


def _look_up(caller: Caller, installation: Installation) -> list[Asset]:
    """Return the hosts. Raise the Problems that can be known before any of them is locked."""
    version = installation.version
    check_right(caller, version.microservice)
    if installation.strategy.on_failure is not OnFailure.HOLD:
        raise invalid("/strategy/on_failure", "install_must_hold")
    if version.status != BuildStatus.SUCCESS:
        raise invalid(
            "/path/version", "version_not_built", version=version.version, status=version.get_status_display()
        )
    check_bad(caller, [version] if version.bad else [], installation.allow_bad, "/path/version")
    if not installation.adopt:
        require_package(version, "/path/version")
    hosts = _hosts(caller, installation)
    placement.refuse_closed(version.microservice, hosts)
    return hosts


def _hosts(caller: Caller, installation: Installation) -> list[Asset]:
    """Return the hosts that are named; of those with labels, the ones that do not have the service and are open to it.

    Raise Problem 422 where a host is not found, or none has the labels.
    """
    if installation.labels is None:
        return find_hosts(installation.host, tenancy.visible(caller))
    service = installation.version.microservice
    has = service.instances.exclude(FIRST_INSTALL_FAILED).values("host")
    rows = Asset.objects.filter(tenancy.visible(caller)).exclude(pk__in=has)
    free = rows.exclude(placement.closed_hosts(service))
    ids = find_labelled(installation.labels, free, "wrong_target.no_labelled_host")
    return list(Asset.objects.filter(pk__in=ids).order_by("pk"))
