"""What every request for a deployment does: check the right, write the row, lock the targets, queue the operations."""

from django.db.models import Q

from access.callers import Caller
from access.problems import refused
from audit import events
from audit.history import record
from deployer.engine.failpoints import Failpoint, failpoint

from .. import atoms, notify, wake
from ..catalog.removal import refuse_deleted
from ..models import Deployment, MicroService, MicroServiceVersion
from ..status import DEPLOYMENT_ENDED
from . import enqueue
from .skipped import refuse_unavailable, skipped_targets
from .targets import TargetSelection, lock_targets


def check_right(caller: Caller, service: MicroService) -> None:
    """Raise Problem 403 where the caller may not deploy the service."""
    if not caller.may("deploy", service.pk):
        raise refused("forbidden.deploy", caller=caller.name, service=service.name)


def require_finished(origin: Deployment) -> None:
    """Raise Problem 409 where a deployment that is to be repeated or reverted has not ended."""
    if origin.status not in DEPLOYMENT_ENDED:
        raise refused("deployment_open", deployment=origin.pk, status=origin.get_status_display())


def save_request(caller: Caller, deployment: Deployment) -> None:
    """Save a deployment, requested by the caller, with the service's definition as it stands now. One that waited has
    its row already.

    Call inside the request's transaction. Raise Problem 409 where its destination was deleted.
    """
    # Looked up before the transaction; locked from here on, so that it is not deleted meanwhile.
    refuse_deleted([deployment.dest_version_id], "/dest_version")
    service = deployment.microservice
    deployment.spec, deployment.secrets = atoms.spec_of(service), service.secrets
    deployment.requested_by = deployment.requested_by or caller.name
    deployment.request_id = deployment.request_id or caller.request_id
    is_new = deployment.pk is None
    deployment.save(force_insert=is_new, force_update=not is_new)


def lock_or_refuse(selection: TargetSelection, deployment: Deployment) -> int:
    """Lock the targets and note on the deployment which were skipped. Return how many were locked.

    Raise Problem 409 where a named target is unavailable or none is left.
    """
    targets = lock_targets(selection, deployment)
    skipped = list(skipped_targets(selection, Q(lock_deployment=deployment, locked=True)))
    refuse_unavailable(selection, targets, skipped)
    deployment.skipped = [one.to_json() for one in skipped]
    return targets


def queue(
    caller: Caller,
    deployment: Deployment,
    targets: int,
    source: enqueue.OperationSource,
    last_first: bool = False,
    deferred: int = 0,
) -> Deployment:
    """Write the operations, the history and the event, and wake the workers: the last thing that a request does.

    `deferred`: how many operations exist already because they wait for a delete (deferred_installs.py).
    """
    due = enqueue.enqueue(deployment, targets, source, last_first) if targets else 0
    deployment.save(update_fields=["skipped"])
    record(
        caller,
        str(deployment.action),
        "deployment",
        deployment,
        service=deployment.microservice,
        before={"version": _name(deployment.from_version)},
        after={
            "version": _name(deployment.dest_version),
            "instances": targets + deferred,
            **({"environment_id": deployment.environment_id} if deployment.environment_id else {}),
        },
        reason=deployment.note,
    )
    notify.publish([events.of_deployment(deployment, targets=targets + deferred)])
    wake.workers(due)
    failpoint(Failpoint.REQUESTED)
    return deployment


def _name(version: MicroServiceVersion | None) -> str | None:
    return version.version if version else None
