"""Lets a request wait: saves its deployment without operations or locks, the request as a value, and what was shown."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from access.callers import Caller
from access.problems import invalid, refused
from audit import events
from audit.history import record
from deployer.engine.failpoints import Failpoint, failpoint

from ... import notify
from ...models import Deployment, DeploymentRequest, OnFreeze
from ...status import DeploymentStatus
from .. import plan_token
from ..create import save_request
from ..plan import Plan
from ..prepared import Prepared
from ..refusals import refused_targets
from ..timing import Request
from ..wait_reasons import Asked, Kind, Reason, expires, next_look
from . import facts, values

MAX_AHEAD = timedelta(days=366)  # of a schedule
# The first look comes soon: what ends a wait may be committed while the request that has to wait is not.
FIRST_LOOK = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class Waits:
    """What holds up a request, and its plan."""

    asked: Asked
    reasons: tuple[Reason, ...]
    plan: Plan


def what_holds_up(caller: Caller, request: Request, prepared: Prepared) -> Waits | None:
    """Return what holds up a request; None where it may begin. At most two queries where nothing does.

    Raise Problem 422 for a time that cannot be, and 409 `frozen` where it is not to wait for the end of a freeze.
    """
    now = timezone.now()
    check_time(request.when.start_at, now)
    asked, deployment = facts.asked_now(caller, prepared, request.when), prepared.deployment
    found = facts.reasons_now(deployment, asked, now)
    if not found:
        return None
    plan = prepared.plan()
    asked = facts.with_plan(asked, plan)
    found = facts.reasons_now(deployment, asked, now)
    for one in found:
        if one.kind == Kind.FREEZE and request.when.on_freeze == OnFreeze.REFUSE:
            raise refused("frozen", **one.message.params)
    return Waits(asked, found, plan) if found else None


def preview(caller: Caller, request: Request, prepared: Prepared) -> Plan:
    """Return the plan of a request, with what it would wait for. Raise the same Problems as the request would."""
    waits = what_holds_up(caller, request, prepared)
    return replace(waits.plan, waits=waits.reasons) if waits else prepared.plan()


def hold(
    caller: Caller,
    request: Request,
    prepared: Prepared,
    waits: Waits,
    shown: Mapping[str, Any] | None,
    joins: bool = True,
) -> Deployment:
    """Let a request wait. Return its deployment; with `joins`, the one that waits for exactly that already if the same
    person asked for it.

    `shown`: the digest of the plan that was shown to who asks. Raise Problem 409 `plan_changed` where it differs.
    """
    deployment, plan = prepared.deployment, waits.plan
    digest = plan.digest()
    if shown is not None and (errors := plan.differences(shown)):
        raise refused_targets(errors)
    value = values.to_json(request)
    if joins and (before := _same(caller, deployment, value, digest)):
        return before
    now = timezone.now()
    with transaction.atomic():
        deployment.status = DeploymentStatus.WAITING
        deployment.skipped = [one.to_json() for one in plan.skipped]
        save_request(caller, deployment)
        expiry = expires(deployment.environment, now, waits.reasons)
        DeploymentRequest.objects.create(
            deployment=deployment,
            request=value,
            user_id=caller.user_id,
            token_id=caller.token_id,
            by_token=waits.asked.by_token,
            automatic=caller.user_id is None,
            goes_back=waits.asked.goes_back,
            repeats=waits.asked.repeats,
            runs_nothing=waits.asked.runs_nothing,
            start_at=request.when.start_at,
            shown=digest,
            look_at=min(now + FIRST_LOOK, next_look(waits.reasons, expiry)),
            looked_at=now,
            expires=expiry,
        )
        record(
            caller,
            "ask",
            "deployment",
            deployment,
            service=deployment.microservice,
            after={
                "action": str(deployment.action),
                "version": deployment.dest_version.version if deployment.dest_version else None,
                "instances": len(plan.targets),
                **({"environment_id": deployment.environment_id} if deployment.environment_id else {}),
                "waits_for": [str(one.kind) for one in waits.reasons],
            },
            reason=deployment.note,
        )
        notify.publish([events.of_deployment(deployment, targets=len(plan.targets))])
        failpoint(Failpoint.HELD)
    return deployment


def check_time(start_at: datetime | None, now: datetime) -> None:
    """Raise Problem 422 for a time to begin that has passed, or is too far ahead."""
    if start_at is None:
        return
    if start_at <= now:
        raise invalid("/start_at", "must_be_in_future")
    if start_at > now + MAX_AHEAD:
        raise invalid("/start_at", "too_far_ahead", days=MAX_AHEAD.days)


def _same(
    caller: Caller, deployment: Deployment, value: Mapping[str, Any], digest: Mapping[str, Any]
) -> Deployment | None:
    """Return a deployment that waits for the same: a job that is run again asks for nothing new."""
    rows = DeploymentRequest.objects.filter(
        deployment__status=DeploymentStatus.WAITING,
        deployment__microservice=deployment.microservice,
        user=caller.user_id,
        automatic=caller.user_id is None,
    )
    for row in rows.select_related("deployment__microservice", "deployment__environment").order_by("-pk")[:50]:
        if row.request == value and plan_token.is_same(row.shown, digest):
            return row.deployment
    return None
