"""The entry points: everything that a person, a token or automation can do to what runs.

Every rule of a request is enforced behind these functions and nowhere else. The API and the console call them and
nothing deeper. Each returns what it changed, or raises a Problem, and then nothing has changed. A request checks the
right, locks the instances, writes the operations and wakes the workers, in one transaction.
"""

from django.db import transaction

from access.callers import Caller
from asset.strategy import Strategy

from ..models import Deployment, MicroService
from ..status import MAY_DELETE, STATUS_DURING, Action
from . import enqueue, environments, notes
from .changes import change_version, deploy
from .control import break_lock, cancel, pause, resume
from .create import check_right, lock_or_refuse, queue, save_request
from .destinations import list_destinations
from .forgetting import archive_host, forget
from .installs import install, install_missing, preview_install
from .preview import preview
from .retries import retry, retry_instances
from .reverts import preview_revert, revert
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
    "install_missing",
    "list_destinations",
    "pause",
    "preview",
    "preview_install",
    "preview_revert",
    "resume",
    "retry",
    "retry_instances",
    "revert",
]


def delete(caller: Caller, service: MicroService, instances: tuple[int, ...], *, note: str = "") -> Deployment:
    """Stop instances (ids) on their hosts, remove them there, and then their rows."""
    check_right(caller, service)
    ids = find_instances(service, instances)
    selection = TargetSelection(
        service, MAY_DELETE, ids=ids, pointer="/instances", force=True, new_status=STATUS_DURING[Action.DELETE]
    )
    selection, environment = environments.stay_within(selection, None)
    deployment = Deployment(
        microservice=service,
        action=Action.DELETE,
        environment=environment,
        strategy=Strategy(max_failures=len(ids)).to_json(),
        note=notes.clean(note),
    )
    with transaction.atomic():
        save_request(caller, deployment)
        targets = lock_or_refuse(selection, deployment)
        environments.refuse_moved(deployment)
        return queue(caller, deployment, targets, enqueue.from_request(deployment))
