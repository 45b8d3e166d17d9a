"""The web side of a deployment: check the request, lock the instances, record the operations, wake the workers.

Every rule of a request is enforced here and nowhere else. The API and the console call these functions and nothing
deeper; each either answers with the deployment or raises a Problem, and then nothing has changed.
"""

from django.db import transaction
from django.db.models import Q

from access.callers import Caller
from access.problems import invalid

from .. import catalog
from ..models import Deployment, MicroService, MicroServiceInstance, MicroServiceVersion, Operation
from ..status import MAY_DELETE, WHILE, Action, OperationStatus
from . import enqueue, selection
from .control import break_lock, cancel, pause, resume
from .create import check_right, must_have_ended, queue, record_request, take_or_refuse
from .destinations import check_bad, choices, marked_bad
from .forgetting import archive_host, forget
from .installs import install, preview_install
from .plan_token import check_plan
from .preview import LOADED, preview
from .retries import retry, retry_instances
from .reverts import send_back
from .rollout import Strategy
from .targets import Wish
from .version_change import wish_of

__all__ = [
    "archive_host",
    "break_lock",
    "cancel",
    "choices",
    "delete",
    "forget",
    "install",
    "pause",
    "preview",
    "preview_install",
    "request",
    "resume",
    "retry",
    "retry_instances",
    "revert",
]


def request(
    caller: Caller,
    service: MicroService,
    version: MicroServiceVersion,
    action: str,
    host: object,
    dest_version: int | None = None,
    *,
    instances: object = None,
    on_locked: str | None = None,
    strategy: object = None,
    force: bool = False,
    plan_token: str | None = None,
    allow_bad: bool = False,
    mark_bad: bool = False,
    reason: str = "",
) -> Deployment:
    """Upgrades or reverts what runs `version` to `dest_version` (an id). Either `host` says where ("all", ids or names
    of hosts) or `instances` (their ids); what each may be is in selection.py.

    `mark_bad`: a revert says at the same time that `version` is bad, and why.
    """
    check_right(caller, service)
    if mark_bad and action != Action.REVERT:
        raise invalid("/mark_bad", "goes with a revert only")
    wish, dest, course = wish_of(
        caller, service, version, action, host, instances, dest_version, on_locked, strategy, force, allow_bad
    )
    with transaction.atomic():
        deployment = record_request(caller, service, Action(action), version, dest, course)
        targets = take_or_refuse(wish, deployment)
        if plan_token is not None:
            taken = MicroServiceInstance.objects.filter(lock_deployment=deployment, locked=True)
            check_plan(plan_token, deployment, taken.select_related(*LOADED))
        if mark_bad:
            catalog.mark_bad(caller, version, reason)
        return queue(caller, deployment, targets, enqueue.asked(Action(action), dest))


def delete(caller: Caller, service: MicroService, instances: object) -> Deployment:
    """Stops instances on their hosts, removes them there, and then here."""
    check_right(caller, service)
    numbers = selection.instances_of(service, instances)
    wish = Wish(service, MAY_DELETE, ids=numbers, pointer="/instances", force=True, becomes=WHILE[Action.DELETE])
    with transaction.atomic():
        deployment = record_request(caller, service, Action.DELETE, None, None, Strategy(max_failures=len(numbers)))
        return queue(caller, deployment, take_or_refuse(wish, deployment), enqueue.asked(Action.DELETE, None))


def revert(
    caller: Caller, origin: Deployment, *, allow_bad: bool = False, mark_bad: bool = False, reason: str = ""
) -> Deployment:
    """Sends each instance that a deployment changed back to where it came from; `mark_bad`: what they leave is bad."""
    check_right(caller, origin.microservice)
    if origin.action in (Action.INSTALL, Action.DELETE):
        raise invalid(
            "/path/id", f"deployment {origin.pk} is {origin.get_action_display()}: there is nothing to go back to"
        )
    must_have_ended(origin)
    done = Operation.objects.filter(deployment=origin, status=OperationStatus.SUCCEEDED)
    check_bad(caller, marked_bad(done.values("from_version")), allow_bad, "/path/id")
    with transaction.atomic():
        catalog.refuse_deleted(done.values_list("from_version", flat=True), "/path/id")
        if mark_bad and origin.dest_version:
            catalog.mark_bad(caller, origin.dest_version, reason)
        return send_back(caller, origin, Q())
