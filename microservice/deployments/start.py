"""The one way in which a request begins, at once or after it waited."""

from collections.abc import Mapping
from typing import Any

from django.db import transaction

from access.callers import Caller

from ..models import Deployment, MicroServiceInstance
from . import plan_token, target_rows
from .create import queue, save_request
from .holds import hold
from .prepared import Prepared
from .timing import Request


def start(
    caller: Caller,
    request: Request,
    prepared: Prepared,
    joins: bool = True,
    shown: Mapping[str, Any] | None = None,
) -> Deployment | None:
    """Begin what is requested, or let it wait where something holds it up; None where all targets are there already.

    `joins`: where the same person waits for exactly that already, return that one. `shown`: the digest of the plan that
    was shown, where the request has no token of it.

    Raise Problem 409 `frozen` where it would wait for the end of a freeze, and the request says not to.
    """
    if request.plan_token is not None:
        shown = plan_token.read(request.plan_token)
    waits = hold.what_holds_up(caller, request, prepared)
    if waits is None:
        return begin(caller, prepared, shown)
    return hold.hold(caller, request, prepared, waits, shown, joins)


def begin(caller: Caller, prepared: Prepared, shown: Mapping[str, Any] | None = None) -> Deployment | None:
    """Lock the targets, compare them with what was shown (a plan's digest), and queue the operations; None where all
    targets are there already."""
    with transaction.atomic():
        deployment = prepared.deployment
        save_request(caller, deployment)
        taken = prepared.take()
        if taken is None:
            transaction.set_rollback(True)
            return None
        if shown is not None:
            rows = target_rows.load(MicroServiceInstance.objects.filter(lock_deployment=deployment, locked=True))
            if taken.later:
                rows += target_rows.of_hosts(taken.later, deployment.instance_fields)
            move = prepared.moves()
            plan_token.check(shown, deployment, ((row, move(row)) for row in rows), prepared.adopt)
        prepared.conclude(caller)
        return queue(
            caller, deployment, taken.targets, taken.source, last_first=taken.last_first, deferred=len(taken.later)
        )
