"""What every request for a deployment does, whatever it asks for: the right, the row, the locks, the queue."""

from access.callers import Caller
from access.problems import conflict, forbidden
from audit import events
from audit.history import record
from deployer.engine.failpoints import Failpoint, failpoint

from .. import atoms, notify, wake
from ..catalog.removal import refuse_deleted
from ..models import Deployment, MicroService, MicroServiceVersion
from ..status import DEPLOYMENT_ENDED, Action
from . import enqueue
from .rollout import Strategy
from .targets import Wish, named, take


def check_right(caller: Caller, service: MicroService) -> None:
    if not caller.may("deploy", service.pk):
        raise forbidden(f"{caller.name} may not deploy {service.name}.", "Ask for the scope “deploy”.")


def must_have_ended(origin: Deployment) -> None:
    """What repeats or takes back a deployment waits for its end. Raises Problem 409."""
    if origin.status not in DEPLOYMENT_ENDED:
        raise conflict(
            "deployment_open",
            f"Deployment {origin.pk} is {origin.get_status_display()}.",
            "Wait for its end, or cancel it.",
        )


def record_request(
    caller: Caller,
    service: MicroService,
    action: Action,
    from_version: MicroServiceVersion | None,
    dest: MicroServiceVersion | None,
    strategy: Strategy,
    origin: Deployment | None = None,
    requested_by: str = "",
    instance_fields: dict | None = None,
) -> Deployment:
    """The deployment's row, with how the service is deployed as it stands now. In the request's transaction."""
    refuse_deleted([dest.pk] if dest else [], "/dest_version")  # it was there; from here on it stays
    return Deployment.objects.create(
        microservice=service,
        action=action,
        from_version=from_version,
        dest_version=dest,
        strategy=strategy.to_json(),
        spec=atoms.spec_of(service),
        secrets=service.secrets,
        origin=origin,
        requested_by=requested_by or caller.name,
        request_id=caller.request_id,
        instance_fields=instance_fields or {},
    )


def take_or_refuse(wish: Wish, deployment: Deployment) -> int:
    """Locks, and keeps on the deployment what was left out and why. Raises Problem 409 where nothing is left to do."""
    targets, deployment.skipped = take(wish, deployment)
    if not targets:
        left = deployment.skipped
        detail = f"There is nothing to do: {left[0]['host']} {left[0]['reason']}" if left else "There is nothing to do"
        more = f" (and {len(left) - 1} more)" if len(left) > 1 else ""
        raise conflict("nothing_to_do", f"{detail}{more}.", errors=named(left, wish.pointer))
    return targets


def queue(
    caller: Caller,
    deployment: Deployment,
    targets: int,
    source: enqueue.Source,
    last_first: bool = False,
    also: int = 0,
) -> Deployment:
    """Writes the operations, the history and the event, and wakes the workers. The last thing that a request does.

    `also`: operations that are there already, because they wait for something else.
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
        after={"version": _name(deployment.dest_version), "instances": targets + also},
    )
    notify.publish([events.of_deployment(deployment, targets=targets + also)])
    wake.workers(due)
    failpoint(Failpoint.REQUESTED)
    return deployment


def _name(version: MicroServiceVersion | None) -> str | None:
    return version.version if version else None
