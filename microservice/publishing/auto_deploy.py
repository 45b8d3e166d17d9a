"""What follows the end of a build: callbacks, and upgrades of the instances with the service's `auto_deploy_tag`.

It is above `deployments`, because it requests some; so whatever ends a build is above this module.
"""

import logging

from django.db import transaction

from access.callers import Caller
from access.problems import Problem

from .. import notify
from ..deployments import actions
from ..deployments.placement import on_closed_host
from ..deployments.version_change import OnLocked, VersionChange
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
    """Upgrade the instances with the service's tag that run an older version: one deployment for each environment.

    Leaves out instances that are locked, in maintenance, or on a host that is closed to the service. Does nothing for
    a version that is marked bad, has no package, or is not the newest that was built.
    """
    service = version.microservice
    if not service.auto_deploy_tag or version.bad or not version.file_path:
        return
    built = service.versions.filter(status=BuildStatus.SUCCESS, bad=False)
    if built.filter(pk__gt=version.pk).exists():
        return
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
    for numbers in together.values():
        _deploy(version, tuple(numbers))


def _deploy(version: MicroServiceVersion, instances: tuple[int, ...]) -> None:
    service = version.microservice
    change = VersionChange(
        service=service,
        action=Action.DEPLOY,
        dest_version=version.pk,
        instances=instances,
        on_locked=OnLocked.SKIP,
        upgrades_only=True,
    )
    caller = Caller(name="auto_deploy", scopes=frozenset({"read", "deploy"}))
    try:
        with transaction.atomic():
            actions.deploy(caller, change)
    except Problem as problem:
        log.warning("no automatic upgrade of %s to %s: %s", service.name, version.version, problem.detail)
