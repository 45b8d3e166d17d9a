"""Installs: a version comes to hosts that do not have its service."""

from dataclasses import dataclass

from django.db import transaction

from access.callers import Caller
from access.problems import invalid
from asset import tenancy
from asset.models import Asset

from ..models import Deployment, MicroService, MicroServiceVersion
from ..status import Action, BuildStatus
from . import deferred_installs, enqueue, placement, selection
from .create import check_right, queue, record_request
from .destinations import check_bad, with_package
from .new_instances import FAILED_FIRST, already_exists, check_fields, create_instances, take_failed, unsaved
from .plan_token import check_plan
from .preview import plan_of
from .rollout import OnFailure, Strategy


@dataclass(frozen=True, slots=True)
class _Asked:
    """An install that may be asked for, as far as that can be told before any host is taken."""

    course: Strategy
    hosts: list[Asset]


def install(
    caller: Caller,
    service: MicroService,
    version: MicroServiceVersion,
    hosts: object,
    *,
    port: int = 0,
    tag: str = "",
    weight: int = 100,
    adopt: bool = False,
    strategy: object = None,
    allow_bad: bool = False,
    plan_token: str | None = None,
) -> Deployment:
    """Puts a version on hosts (ids or names) that do not have the service, or where its first install failed; `adopt`
    records what runs there already, and runs nothing."""
    fields = {"port": port, "tag": tag, "weight": weight}
    asked = _checked(caller, service, version, hosts, adopt, strategy, allow_bad)
    with transaction.atomic():
        deployment = record_request(
            caller, service, Action.INSTALL, None, version, asked.course, instance_fields=fields
        )
        now, later = deferred_installs.split(service, asked.hosts)
        made = take_failed(deployment, now)
        taken = {row.host_id for row in made}
        made += create_instances(deployment, [host for host in now if host.pk not in taken])
        deferred_installs.wait(deployment, version, later, adopt)
        if plan_token is not None:
            check_plan(plan_token, deployment, [*made, *unsaved(service, later, fields)], adopt)
        return queue(caller, deployment, len(now), enqueue.asked(Action.INSTALL, version, adopt), also=len(later))


def preview_install(
    caller: Caller,
    service: MicroService,
    version: MicroServiceVersion,
    hosts: object,
    *,
    port: int = 0,
    tag: str = "",
    weight: int = 100,
    adopt: bool = False,
    strategy: object = None,
    allow_bad: bool = False,
) -> dict:
    """What `preview` answers, of an install: no instance is there yet, so a target has only its host."""
    fields = {"port": port, "tag": tag, "weight": weight}
    asked = _checked(caller, service, version, hosts, adopt, strategy, allow_bad)
    there = (
        service.instances.filter(host__in=asked.hosts).exclude(FAILED_FIRST).exclude(status__in=deferred_installs.GOING)
    )
    if taken := set(there.values_list("host_id", flat=True)):
        raise already_exists(service, [host for host in asked.hosts if host.pk in taken])
    rows = unsaved(service, asked.hosts, fields)
    check_fields(rows)
    return plan_of(service, rows, Action.INSTALL, None, version, asked.course, adopt)


def _checked(
    caller: Caller,
    service: MicroService,
    version: MicroServiceVersion,
    hosts: object,
    adopt: bool,
    strategy: object,
    allow_bad: bool,
) -> _Asked:
    check_right(caller, service)
    course = Strategy.parse(strategy)
    if course.on_failure is not OnFailure.HOLD:
        raise invalid("/strategy/on_failure", "must be hold: an install has no version to go back to")
    if version.status != BuildStatus.SUCCESS:
        raise invalid(
            "/path/version", f"{version.version} cannot be installed: its build is {version.get_status_display()}"
        )
    check_bad(caller, [version] if version.bad else [], allow_bad, "/path/version")
    if not adopt:
        with_package(version, "/path/version")
    named = selection.parse_hosts(hosts)
    if named is None:
        raise invalid("/host", "must be ids or names of hosts: an install never goes to “all”")
    found = selection.find_hosts(named, tenancy.visible(caller))
    placement.refuse_closed(service, found)
    return _Asked(course, found)
