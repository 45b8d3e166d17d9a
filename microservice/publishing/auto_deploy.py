"""What follows the end of a build: callbacks, and a deployment to the service's `auto_deploy_environment`, or to the
instances with its `auto_deploy_tag`.

It is above `deployments`, because it requests some; so whatever ends a build is above this module.
"""

import logging
from typing import Any

from django.db import transaction

from access.callers import automation
from access.problems import Problem
from asset.strategy import Strategy

from .. import notify
from ..catalog.ref_patterns import may_be_meant
from ..deployments import actions
from ..deployments.placement import on_closed_host
from ..deployments.selection import ALL
from ..deployments.version_change import OnLocked, VersionChange
from ..deployments.waiting import superseded
from ..models import MicroServiceInstance, MicroServiceVersion
from ..status import MAY_CHANGE_VERSION, Action, BuildStatus

log = logging.getLogger(__name__)


def build_ended(version: MicroServiceVersion, attempt: str = "") -> None:
    """Queue the callbacks of a build's end and start the upgrade that follows a success.

    Call in the transaction that ends the build, with the version as it is then. `attempt`: which end of which of its
    builds it was; "" where a package or a status was sent.
    """
    notify.build_ended(version, attempt)
    if version.status == BuildStatus.SUCCESS:
        _upgrade_instances(version)


def _upgrade_instances(version: MicroServiceVersion) -> None:
    """Upgrade what follows the service's builds and runs an older version.

    Leaves out instances that are locked, in maintenance, or on a host that is closed to the service. Does nothing for
    a version that is marked bad, has no package, is of a branch that does not go there, or is not the newest of those.
    """
    service, place = version.microservice, version.microservice.auto_deploy_environment_id
    follows = place is not None or bool(service.auto_deploy_tag)
    if not follows or version.bad or not version.file_path or not _is_newest(version):
        return
    if not service.auto_deploy_tag:
        _deploy(version, host=ALL, environment=place)
        return
    for environment, numbers in _tagged(version).items():
        if place in (None, environment):
            _deploy(version, instances=numbers)


def _is_newest(version: MicroServiceVersion) -> bool:
    """Return whether builds of this branch are deployed, and no newer one was built that is."""
    patterns = version.microservice.auto_deploy_refs
    if not may_be_meant(version.ref, patterns):
        return False
    built = version.microservice.versions.filter(status=BuildStatus.SUCCESS, bad=False)
    newer = built.filter(pk__gt=version.pk).values_list("ref", flat=True).distinct()
    return not any(may_be_meant(ref, patterns) for ref in newer)


def _tagged(version: MicroServiceVersion) -> dict[int | None, tuple[int, ...]]:
    """Return the instances with the service's tag that can be upgraded to the version, by the environment (id) of their
    hosts: a deployment stays within one."""
    service = version.microservice
    rows = MicroServiceInstance.objects.filter(
        microservice=service,
        tag=service.auto_deploy_tag,
        locked=False,
        is_maintain=False,
        status__in=MAY_CHANGE_VERSION,
        version__lt=version.pk,
    ).exclude(on_closed_host(service))
    together: dict[int | None, list[int]] = {}
    for number, environment in rows.order_by("pk").values_list("pk", "host__environment"):
        together.setdefault(environment, []).append(number)
    return {environment: tuple(numbers) for environment, numbers in together.items()}


def _deploy(version: MicroServiceVersion, **where: Any) -> None:
    service = version.microservice
    change = VersionChange(
        service=service,
        action=Action.DEPLOY,
        dest_version=version.pk,
        **where,
        on_locked=OnLocked.SKIP,
        strategy=Strategy.from_row(service.auto_deploy_strategy) if service.auto_deploy_strategy else None,
        upgrades_only=True,
    )
    caller = automation("auto_deploy")
    try:
        with transaction.atomic():
            made = actions.deploy(caller, change, joins=False)
            if made:
                superseded.end_older(made)
    except Problem as problem:
        # Where nothing is there to upgrade, no one needs to know.
        level = logging.INFO if problem.code == "nothing_to_do" else logging.WARNING
        log.log(level, "no automatic upgrade of %s to %s: %s", service.name, version.version, problem.detail)
