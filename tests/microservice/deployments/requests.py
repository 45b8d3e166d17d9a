"""Requests for deployments of the service of the fixture `shop`: sent, refused, and ended without a host."""

from typing import Any

import pytest
from django.db import transaction

from access.callers import Caller
from access.problems import Problem
from asset.strategy import ALL_AT_ONCE
from audit.models import History
from deployer.engine.codes import Code, error
from messages import Message
from microservice import notify
from microservice.deployments import actions
from microservice.deployments.installs import Installation
from microservice.deployments.reverts import DeploymentRevert
from microservice.deployments.selection import parse_hosts, parse_instances
from microservice.deployments.version_change import OnLocked, VersionChange, parse_action, parse_strategy
from microservice.models import Deployment, MicroServiceInstance, MicroServiceVersion, Operation
from microservice.status import DeploymentStatus, InstanceStatus, OperationStatus
from tests.factories import Shop
from worker import results

ANN = Caller(name="ann", scopes=frozenset({"deploy"}))


def version_change(
    version: MicroServiceVersion, dest_version: MicroServiceVersion | int, action: str = "upgrade", **fields: Any
) -> VersionChange:
    """Return the value of a request whose fields are as a client sends them; on all hosts if none are named."""
    if "instances" in fields:
        fields["instances"] = parse_instances(fields["instances"])
    else:
        fields["host"] = parse_hosts(fields.get("host", "all"))
    if "on_locked" in fields:
        fields["on_locked"] = OnLocked(fields["on_locked"])
    return VersionChange(
        service=version.microservice,
        version=version,
        action=parse_action(action),
        dest_version=getattr(dest_version, "pk", dest_version),
        **fields | {"strategy": parse_strategy(fields.get("strategy"))},
    )


def installation(version: MicroServiceVersion, host: Any, **fields: Any) -> Installation:
    fields["strategy"] = parse_strategy(fields.get("strategy")) or ALL_AT_ONCE
    return Installation(version=version, host=parse_hosts(host), **fields)


def change_version(caller: Caller, *args: Any, **fields: Any) -> Deployment:
    return actions.change_version(caller, version_change(*args, **fields))


def preview(caller: Caller, *args: Any, **fields: Any) -> dict[str, Any]:
    return actions.preview(caller, version_change(*args, **fields)).as_json()


def install(caller: Caller, version: MicroServiceVersion, host: Any, **fields: Any) -> Deployment:
    return actions.install(caller, installation(version, host, **fields))


def revert(caller: Caller, origin: Deployment, **fields: Any) -> Deployment:
    return actions.revert(caller, DeploymentRevert(origin=origin, **fields))


def preview_install(caller: Caller, version: MicroServiceVersion, host: Any, **fields: Any) -> dict[str, Any]:
    return actions.preview_install(caller, installation(version, host, **fields)).as_json()


def change(shop: Shop, action: str = "upgrade", dest_version: Any = None, **fields: Any) -> VersionChange:
    """From what the hosts run to the next version, or to the first for a revert."""
    target = dest_version or (shop.versions[2] if action == "upgrade" else shop.versions[0])
    return version_change(shop.versions[1], target, action, **fields)


def send(shop: Shop, action: str = "upgrade", caller: Caller = ANN, **fields: Any) -> Deployment:
    return actions.change_version(caller, change(shop, action, **fields))


def refused(status: int, code: str, shop: Shop, **fields: Any) -> Problem:
    """Return the Problem that a request is refused with; nothing may have changed."""
    before = sorted(MicroServiceInstance.objects.values_list("pk", "locked", "status", "version_id"))
    counts = Deployment.objects.count(), Operation.objects.count(), History.objects.count()
    with pytest.raises(Problem) as caught:
        send(shop, **fields)
    assert (caught.value.status, caught.value.code) == (status, code)
    assert sorted(MicroServiceInstance.objects.values_list("pk", "locked", "status", "version_id")) == before
    assert (Deployment.objects.count(), Operation.objects.count(), History.objects.count()) == counts
    return caught.value


def mark_bad(version: MicroServiceVersion) -> None:
    version.bad, version.bad_reason = True, "leaks memory"
    version.save()


def unlock_all() -> None:
    MicroServiceInstance.objects.update(locked=False, lock_deployment=None, status=InstanceStatus.UPGRADE_FAILED)


def failed_with(deployment: Deployment, status: OperationStatus) -> Deployment:
    """Return the deployment, ended, with every operation in this status."""
    deployment.operations.update(status=status)
    deployment.status = DeploymentStatus.FAILED
    deployment.save()
    unlock_all()
    return deployment


def end_all(deployment: Deployment, status: OperationStatus, **more: Any) -> None:
    """End every operation, as a worker would."""
    rows = list(deployment.operations.select_related("deployment"))
    Operation.objects.filter(pk__in=[row.pk for row in rows]).update(status=OperationStatus.RUNNING)
    Deployment.objects.filter(pk=deployment.pk).update(status=DeploymentStatus.RUNNING)
    with transaction.atomic():
        notify.publish(results.record_results([results.OperationResult(row, status, **more) for row in rows]))
    deployment.refresh_from_db()


def other(text: str) -> Message:
    """Return an error of which no more is known than this text."""
    return error(Code.OTHER, reason=text)
