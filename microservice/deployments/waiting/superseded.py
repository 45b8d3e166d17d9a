"""Ends what automation waits for, once it asked for a newer version of the same service in the same environment."""

from access.callers import SYSTEM
from audit.history import record
from messages import Message

from ...models import Deployment
from ...status import DeploymentStatus
from .. import advance
from ..holds import facts
from . import look


def end_older(newer: Deployment) -> None:
    """End these waits, but one that is looked at just now. Call in the transaction that asked for the newer version."""
    older = Deployment.objects.filter(
        status=DeploymentStatus.WAITING,
        request__automatic=True,
        requested_by=newer.requested_by,
        microservice=newer.microservice,
        environment=newer.environment,
        dest_version__lt=newer.dest_version_id,
    )
    held = advance.lock(older.values_list("pk", flat=True), skip_held=True)
    for row in facts.waiting().filter(deployment__in=held, deployment__status=DeploymentStatus.WAITING):
        record(SYSTEM, "cancel", "deployment", row.deployment, service=row.deployment.microservice)
        version = newer.dest_version.version if newer.dest_version else ""
        look.end(row, Message("superseded", {"version": version, "deployment": newer.pk}))
