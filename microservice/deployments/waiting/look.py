"""Looks at what waits, after whatever could end its wait and in the sweep: begins it, ends it, or lets it wait on.

A deployment's row is locked first, and it begins by an UPDATE that must find it waiting: of an approval, the sweep and
a freeze that is lifted at the same time, one begins it.
"""

import logging
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from django.db import InterfaceError, OperationalError, transaction
from django.db.models import F, Q
from django.utils import timezone

from access.callers import SYSTEM, Caller
from access.problems import FieldError, Problem, refused
from audit import events
from audit.history import record
from deployer.engine.failpoints import Failpoint, failpoint
from messages import Message
from messages.rendering import english

from ... import notify
from ...models import Approval, Deployment, DeploymentRequest
from ...status import DeploymentStatus
from .. import advance, start
from ..holds import facts
from ..holds.values import Gone
from ..plan import Plan
from ..prepared import Prepared
from ..wait_reasons import Reason, expires, next_look
from . import kinds
from .author import author_of

MAX_A_SWEEP = 100
OVERLAP = timedelta(seconds=10)  # for so long after a change of an environment, a look may not have seen it yet
PAUSE = timedelta(seconds=15)  # until something that could not begin for a moment is tried again
MAX_MOVED = 50  # messages that say what moved
# What passes by itself: a target is locked, a host was being moved.
PASSES = frozenset({"instance_locked", "concurrent_update"})
log = logging.getLogger(__name__)


def sweep() -> int:
    """Look at what is due, by index: because of the time, or because its environment was changed. Return how many."""
    now = timezone.now()
    changed = Q(look_at__isnull=False, deployment__environment__updated__gte=F("looked_at") - OVERLAP)
    due = DeploymentRequest.objects.filter(Q(look_at__lte=now) | changed).order_by("look_at")
    return look_again(due.values_list("deployment", flat=True)[:MAX_A_SWEEP], skip_held=True)


def look_again(deployments: Iterable[int], skip_held: bool = False) -> int:
    """Look at these deployments (ids), each in a transaction of its own. Return at how many.

    `skip_held`: leave out what another transaction holds. Only for who comes again: that one may not have seen yet what
    the caller knows.
    """
    looked = 0
    for number in list(deployments):
        try:
            with transaction.atomic():
                if advance.lock([number], skip_held):
                    look(number)
                    looked += 1
        except (OperationalError, InterfaceError):  # the database is away, or the row is held
            raise
        except Exception:  # an error of ours in one of them does not hold up the others
            log.exception("deployment %s could not be looked at", number)
            with transaction.atomic():
                if advance.lock([number], skip_held):
                    _put_off(number)
    return looked


def look(number: int) -> None:
    """Look at a deployment that may wait. Call in a transaction that has locked its row."""
    row = _find(number)
    if row is None:
        return
    now = timezone.now()
    found = facts.reasons_of([row], now)[row.deployment_id]
    if found:
        _wait_on(row, found, now)
    else:
        _begin(row, now)


def _find(number: int) -> DeploymentRequest | None:
    """Return the request of a deployment that waits."""
    return facts.waiting().filter(deployment=number, deployment__status=DeploymentStatus.WAITING).first()


def prepare(row: DeploymentRequest) -> tuple[Caller, Prepared]:
    """Return who asked, and what the request would do now. Raise Problem where it may not, or no longer can."""
    caller = author_of(row)
    if caller is None:
        raise refused("forbidden.author_gone", who=row.deployment.requested_by)
    try:
        return caller, kinds.prepare(caller, row.request)
    except Gone:
        raise refused("not_found.of_request") from None


def end(row: DeploymentRequest, message: Message) -> None:
    """End a wait as cancelled. Call in a transaction that has locked the deployment's row."""
    DeploymentRequest.objects.filter(pk=row.pk).update(look_at=None)
    notify.publish([advance.set_status(row.deployment, DeploymentStatus.CANCELLED, message)])


def _put_off(number: int) -> None:
    """Look at it again later; end it where it has waited too long."""
    now = timezone.now()
    row = _find(number)
    if row is not None and now < row.expires:
        DeploymentRequest.objects.filter(pk=row.pk).update(look_at=now + PAUSE, looked_at=now)
    elif row is not None:
        end(row, Message("could_not_begin"))


def _wait_on(row: DeploymentRequest, found: Iterable[Reason], now: datetime) -> None:
    expiry = max(row.expires, expires(row.deployment.environment, row.deployment.created, found))
    if now >= expiry:
        record(SYSTEM, "expire", "deployment", row.deployment, service=row.deployment.microservice)
        end(row, Message("waited_too_long"))
        return
    row.look_at, row.looked_at, row.expires = next_look(found, expiry), now, expiry
    row.save(update_fields=["look_at", "looked_at", "expires"])


def _begin(row: DeploymentRequest, now: datetime) -> None:
    try:
        with transaction.atomic():
            caller, prepared = prepare(row)
            if prepared.is_held() and not _is_overridden(row):  # which begins what was shown, without the others
                raise refused("instance_locked.others")
            _become(prepared.deployment, row.deployment)
            if not Deployment.objects.filter(pk=row.deployment_id, status=DeploymentStatus.WAITING).update(
                status=DeploymentStatus.QUEUED
            ):
                return
            if start.begin(caller, prepared, row.shown) is None:
                raise refused("nothing_to_do")
            DeploymentRequest.objects.filter(pk=row.pk).update(look_at=None)
            failpoint(Failpoint.RELEASED)
    except Problem as problem:
        _not_now(row, problem, now)


def _is_overridden(row: DeploymentRequest) -> bool:
    answers = Approval.objects.filter(request=row, round=row.round)
    return answers.filter(verdict=Approval.Verdict.OVERRIDE).exists()


def _not_now(row: DeploymentRequest, problem: Problem, now: datetime) -> None:
    if problem.code == "plan_changed":
        try:
            plan = prepare(row)[1].plan()
        except Problem as other:
            end(row, other.message)
        else:
            move_on(row, plan, problem.field_errors)
            look(row.deployment_id)
    elif problem.code in PASSES and now < row.expires:
        row.look_at, row.looked_at = now + PAUSE, now
        row.save(update_fields=["look_at", "looked_at"])
    else:
        end(row, problem.message)


def move_on(row: DeploymentRequest, plan: Plan, moved: Sequence[FieldError]) -> None:
    """Begin the next round: the plan is another one, and nobody has said anything to it. `moved`: what differs.

    What holds it up from now on is what holds up this plan, in the environment where its hosts are by now.
    """
    asked = facts.with_plan(facts.asked_before(row), plan)
    row.round, row.shown = row.round + 1, plan.digest()
    row.goes_back, row.repeats = asked.goes_back, asked.repeats
    row.deployment.environment = plan.deployment.environment
    row.deployment.save(update_fields=["environment"])
    row.moved = [error.reason.as_json() for error in moved[:MAX_MOVED]]
    row.save(update_fields=["round", "shown", "moved", "goes_back", "repeats"])
    record(
        SYSTEM,
        "move",
        "deployment",
        row.deployment,
        service=row.deployment.microservice,
        after={"round": row.round},
        reason=" ".join(english(error.reason) for error in moved)[:500],
    )
    notify.publish([events.of_deployment(row.deployment, round=row.round)])


def _become(fresh: Deployment, waiting: Deployment) -> None:
    """Give what was looked up anew the row of the deployment that waited."""
    fresh.pk, fresh.created, fresh.note = waiting.pk, waiting.created, waiting.note
    fresh.requested_by, fresh.request_id = waiting.requested_by, waiting.request_id
