"""Installs: put a version on hosts that do not have its service."""

from dataclasses import dataclass
from typing import Any, ClassVar

from django.db.models import QuerySet

from access.callers import Caller
from access.problems import Problem, invalid
from asset import labels, tenancy
from asset.labels import Selector
from asset.models import Asset
from asset.strategy import ALL_AT_ONCE, OnFailure, Strategy

from ..models import Deployment, MicroService, MicroServiceInstance, MicroServiceVersion
from ..status import Action, BuildStatus
from . import environments, notes, placement, promotion, target_rows
from .create import check_right
from .destinations import check_bad, require_package
from .holds import hold
from .new_instances import FIRST_INSTALL_FAILED
from .plan import Plan
from .prepared import OnHosts
from .selection import HostNames, find_hosts, find_labelled
from .start import start
from .target_rows import HostRow
from .timing import NOW, Timing


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """A request to install `version` on hosts. Its fields are parsed; nothing is looked up yet."""

    kind: ClassVar[str] = "install"
    version: MicroServiceVersion
    host: HostNames = ()
    labels: Selector | None = None  # instead of host: the hosts with these labels that can have the service
    environment: int | str | None = None  # by id or name; "": what is in none; None: where all hosts are
    port: int = 0
    tag: str = ""
    weight: int = 100
    skip_installed: bool = False  # leave out hosts that have the service, instead of refusing them
    adopt: bool = False  # record what runs there already, and run nothing
    strategy: Strategy = ALL_AT_ONCE
    allow_bad: bool = False
    note: str = ""  # why this is requested
    plan_token: str | None = None  # of the plan that was shown
    when: Timing = NOW

    @property
    def instance_fields(self) -> dict[str, Any]:
        return {"port": self.port, "tag": self.tag, "weight": self.weight}


def install(caller: Caller, installation: Installation) -> Deployment:
    """Install on hosts that do not have the service, or where its first install failed."""
    deployment = _install(caller, installation)
    assert deployment is not None, "only `install_missing` leaves hosts out"
    return deployment


def install_missing(caller: Caller, installation: Installation) -> Deployment | None:
    """Install on those of the hosts that do not have the service; None where all of them have it."""
    assert installation.skip_installed
    try:
        return _install(caller, installation)
    except Problem as problem:
        # Another request installed it on one of them since they were looked up: now they are known to have it.
        if problem.code != "already_installed":
            raise
        return _install(caller, installation)


def _install(caller: Caller, installation: Installation) -> Deployment | None:
    return start(caller, installation, prepare(caller, installation))


def preview_install(caller: Caller, installation: Installation) -> Plan:
    """Return the plan of an install. There are no instances yet, so a target has only its host."""
    return hold.preview(caller, installation, prepare(caller, installation))


def prepare(caller: Caller, installation: Installation) -> OnHosts:
    """Look up an install. Raise the Problems known before any lock."""
    hosts, deployment = _look_up(caller, installation)
    return OnHosts(deployment=deployment, hosts=hosts, adopt=installation.adopt)


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


def _look_up(caller: Caller, installation: Installation) -> tuple[list[HostRow], Deployment]:
    """Return the hosts and the deployment, not saved. Raise the Problems known before any of them is locked."""
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
    deployment, is_named = _deployment(installation), installation.labels is None
    place = environments.find_place(installation.environment)
    hosts = _hosts(caller, installation, place)
    deployment.environment = environments.environment_of([host.host_id for host in hosts], place, is_named)
    if not installation.adopt:  # what is adopted runs there already
        promotion.refuse_held_up(deployment.environment, [version], "/path/version")
    if installation.skip_installed:
        having = set(_having(version.microservice).values_list("host", flat=True))
        hosts = [host for host in hosts if host.host_id not in having]
    if is_named:
        placement.refuse_closed(version.microservice, [host.host_id for host in hosts])
    return hosts, deployment


def _hosts(caller: Caller, installation: Installation, place: environments.Place | None) -> list[HostRow]:
    """Return the hosts that are named; of those with labels, the ones that do not have the service and are open to it.

    With `skip_installed`, hosts that have it too. Raise Problem 422 where a host is not found, or none has the labels.
    """
    service = installation.version.microservice
    if installation.labels is None:
        return find_hosts(installation.host, tenancy.visible(caller))
    rows = Asset.objects.filter(tenancy.visible(caller)).exclude(placement.closed_hosts(service))
    if place:
        rows = rows.filter(environment=place.environment)
    if not installation.skip_installed:
        rows = rows.exclude(pk__in=_having(service).values("host"))
    labelled = set(find_labelled(installation.labels, rows, "wrong_target.no_labelled_host"))
    candidates = target_rows.load_hosts(labels.with_names(installation.labels, rows))
    return [host for host in candidates if host.host_id in labelled]


def _having(service: MicroService) -> QuerySet[MicroServiceInstance]:
    return service.instances.exclude(FIRST_INSTALL_FAILED)
