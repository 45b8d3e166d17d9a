"""What follows by itself when a build ends: who asked is told, and instances of `auto_deploy_tag` go to what was built.

It stands above requests, because it makes some; so whatever ends a build stands above it.
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
    """Call in the transaction that moves a version's build to its end, with the version as it is then. `attempt`: which
    end of which of its builds that was; "": none, a package or a status was sent."""
    notify.build_ended(version, attempt)
    if version.status == BuildStatus.SUCCESS:
        _carry_on(version)


def _carry_on(version: MicroServiceVersion) -> None:
    """Starts what follows, once.

    Instances with the service's tag that run an older version go to this one, except in maintenance, locked, or on a
    host that is closed to the service; nothing follows a version that is marked bad, has no package, or is not the
    newest that was built.
    """
    service = version.microservice
    if not service.auto_deploy_tag or version.bad or not version.file_path:
        return
    good = service.versions.filter(status=BuildStatus.SUCCESS, bad=False)
    if good.filter(pk__gt=version.pk).exists():
        return
    rows = MicroServiceInstance.objects.filter(
        microservice=service,
        tag=service.auto_deploy_tag,
        locked=False,
        is_maintain=False,
        status__in=MAY_CHANGE_VERSION,
        version__lt=version.pk,
    ).exclude(on_closed_host(service))
    by_version: dict[int, list[int]] = {}
    for number, old in rows.order_by("pk").values_list("pk", "version_id"):
        by_version.setdefault(old, []).append(number)
    caller = Caller(name="auto_deploy", scopes=frozenset({"read", "deploy"}))
    known = service.versions.in_bulk(by_version)
    for old, numbers in by_version.items():
        try:
            with transaction.atomic():
                actions.change_version(
                    caller,
                    VersionChange(
                        version=known[old],
                        action=Action.UPGRADE,
                        dest_version=version.pk,
                        instances=tuple(numbers),
                        on_locked=OnLocked.SKIP,
                    ),
                )
        except Problem as problem:
            log.warning("%s %s does not follow by itself: %s", service.name, version.version, problem.detail)
