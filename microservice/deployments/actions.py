"""The entry points: everything that a person, a token or automation can do to what runs.

Every rule of a request is enforced behind these functions and nowhere else. The API and the console call them and
nothing deeper. Each returns what it changed, or raises a Problem, and then nothing has changed. A request checks the
right, locks the instances, writes the operations and wakes the workers, in one transaction.
"""

from django.db import transaction
from django.db.models import Q

from access.callers import Caller
from access.problems import invalid

from .. import catalog
from ..models import Deployment, MicroService, Operation
from ..status import MAY_DELETE, STATUS_DURING, Action, OperationStatus
from ..strategy import Strategy
from . import enqueue
from .changes import change_version, deploy
from .control import break_lock, cancel, pause, resume
from .create import check_right, lock_or_refuse, queue, require_finished, save_request
from .destinations import check_bad, list_destinations, marked_bad
from .forgetting import archive_host, forget
from .installs import install, preview_install
from .preview import preview
from .retries import retry, retry_instances
from .reverts import revert_deployment
from .selection import find_instances
from .targets import TargetSelection

__all__ = [
    "archive_host",
    "break_lock",
    "cancel",
    "change_version",
    "delete",
    "deploy",
    "forget",
    "install",
    "list_destinations",
    "pause",
    "preview",
    "preview_install",
    "resume",
    "retry",
    "retry_instances",
    "revert",
]


def delete(caller: Caller, service: MicroService, instances: tuple[int, ...]) -> Deployment:
    """Stop instances (ids) on their hosts, remove them there, and then their rows."""
    check_right(caller, service)
    ids = find_instances(service, instances)
    selection = TargetSelection(
        service, MAY_DELETE, ids=ids, pointer="/instances", force=True, new_status=STATUS_DURING[Action.DELETE]
    )
    strategy = Strategy(max_failures=len(ids))
    deployment = Deployment(microservice=service, action=Action.DELETE, strategy=strategy.to_json())
    with transaction.atomic():
        save_request(caller, deployment)
        targets = lock_or_refuse(selection, deployment)
        return queue(caller, deployment, targets, enqueue.from_request(deployment))


def revert(
    caller: Caller, origin: Deployment, *, allow_bad: bool = False, mark_bad: bool = False, reason: str = ""
) -> Deployment:
    """Send each instance that a deployment changed back to the version it came from.

    `mark_bad`: also mark the version that they leave as bad, and why (`reason`).
    """
    check_right(caller, origin.microservice)
    if origin.action in (Action.INSTALL, Action.DELETE):
        raise invalid("/path/id", "cannot_revert", deployment=origin.pk, action=origin.get_action_display())
    require_finished(origin)
    succeeded = Operation.objects.filter(deployment=origin, status=OperationStatus.SUCCEEDED)
    check_bad(caller, marked_bad(succeeded.values("from_version")), allow_bad, "/path/id")
    with transaction.atomic():
        catalog.refuse_deleted(succeeded.values_list("from_version", flat=True), "/path/id")
        if mark_bad and origin.dest_version:
            catalog.mark_bad(caller, origin.dest_version, reason)
        return revert_deployment(caller, origin, Q())
