"""What people say to a deployment that waits: yes, no, "begin all the same", or another time."""

from dataclasses import replace
from datetime import datetime
from typing import Any

from django.contrib.auth import get_user_model
from django.db import transaction
from django.utils import timezone

from access.authentication import rights_of
from access.callers import Caller
from access.problems import Problem, invalid, refused
from access.service_accounts import is_service
from audit import events
from audit.history import record
from deployer.engine.failpoints import Failpoint, failpoint
from messages import Message

from ... import notify
from ...models import Approval, Deployment, DeploymentRequest
from ...status import DeploymentStatus
from .. import advance, plan_token
from ..create import check_right
from ..holds import facts, hold
from ..plan import Plan
from ..refusals import refused_targets
from ..wait_reasons import expires
from . import look

MAX_COMMENT = 500  # characters
Verdict = Approval.Verdict


def plan_of(row: DeploymentRequest) -> Plan:
    """Return what a deployment that waits would do if it began now. Raise Problem where it could not."""
    return look.prepare(row)[1].plan()


def plan_of_waiting(deployment: Deployment) -> Plan:
    """Return the same, with what it waits for. Raise Problem 409 where it does not wait."""
    row = facts.waiting().filter(deployment=deployment.pk).first()
    if row is None or row.deployment.status != DeploymentStatus.WAITING:
        raise _does_not_wait(deployment)
    waits = facts.reasons_of([row], timezone.now())[deployment.pk]
    return replace(plan_of(row), waits=waits)


def may_answer(caller: Caller, row: DeploymentRequest) -> bool:
    """Return whether the caller's yes would count, and so their no. Two queries at most."""
    return refusal(caller, row) is None


def refusal(caller: Caller, row: DeploymentRequest) -> Message | None:
    """Return why the caller may not say yes or no to a deployment; None where they may. Two queries at most."""
    deployment, user = row.deployment, get_user_model().objects.filter(pk=caller.user_id or 0).first()
    environment = deployment.environment
    names = {"caller": caller.name, "deployment": deployment.pk}
    if user is None or not caller.may("read", deployment.microservice_id):
        return Message("forbidden.approve", names)
    if caller.token_id is not None:
        if not caller.may("deploy", deployment.microservice_id):
            return Message("forbidden.deploy", {"caller": caller.name, "service": deployment.microservice.name})
        if environment and not environment.tokens_deploy:
            return Message("forbidden.approve_by_token", {"environment": environment.name})
    if is_service(user):  # which is nobody
        return Message("forbidden.approve", names)
    if user.pk == row.user_id and not facts.may_confirm_own(row):
        return Message("forbidden.approve_own", names)
    if facts.may_say_yes(row, user.pk, rights_of(user), facts.teams_of([user.pk])[user.pk]):
        return None
    if environment and environment.approvers:
        return Message("forbidden.approve_of_team", {**names, "team": environment.approvers.name})
    return Message("forbidden.approve", names)


def approve(caller: Caller, deployment: Deployment, token: str, comment: str = "") -> Deployment:
    """Say yes to the plan that was shown (`token`: its plan token), and begin it if nothing else holds it up.

    Whoever said yes to this plan already changes nothing. Where the plan is no longer the one that others said yes to,
    this is the first yes to the new one.
    """
    comment = _comment(comment)
    with transaction.atomic():
        row = _waiting(deployment)
        _require_answer(caller, row)
        if look.prepare(row)[1].is_held():  # what it will be after that is not known yet
            raise refused("instance_locked.others")
        _go_to_round_of(row, token)
        if _answer(caller, row, Verdict.YES, comment):
            _record(caller, "approve", row, comment)
            notify.publish([events.of_deployment(row.deployment)])
            failpoint(Failpoint.ANSWERED)
        look.look(deployment.pk)
    return _reloaded(deployment)


def reject(caller: Caller, deployment: Deployment, comment: str) -> Deployment:
    """Say no, and why: the deployment ends as cancelled."""
    comment = _comment(comment, required=True)
    with transaction.atomic():
        row = _waiting(deployment)
        _require_answer(caller, row)
        _answer(caller, row, Verdict.NO, comment)
        _record(caller, "reject", row, comment)
        look.end(row, Message("rejected_by", {"who": caller.name, "comment": comment}))
    return _reloaded(deployment)


def override(caller: Caller, deployment: Deployment, token: str, reason: str) -> Deployment:
    """Begin the plan that was shown all the same, whatever it waits for: for administrators, who say why.

    Everybody hears of it who hears of deployments.
    """
    reason = _comment(reason, required=True, pointer="/reason")
    if not caller.may("admin"):
        raise refused("forbidden.override", caller=caller.name)
    with transaction.atomic():
        row = _waiting(deployment)
        check_right(caller, row.deployment.microservice)
        _go_to_round_of(row, token)
        _answer(caller, row, Verdict.OVERRIDE, reason)
        entry = _record(caller, "override", row, reason)
        notify.overridden(row.deployment, caller.name, reason, entry.pk)
        look.look(deployment.pk)
    return _reloaded(deployment)


def reschedule(caller: Caller, deployment: Deployment, start_at: datetime | None) -> Deployment:
    """Let it begin at another time; None: as soon as nothing else holds it up. What was said to it stays said."""
    now = timezone.now()
    hold.check_time(start_at, now)
    with transaction.atomic():
        row = _waiting(deployment)
        check_right(caller, row.deployment.microservice)
        before, row.start_at = row.start_at, start_at
        row.request = {**row.request, "when": {**row.request["when"], "start_at": start_at and start_at.isoformat()}}
        row.expires = expires(row.deployment.environment, now, ())  # anew; what holds it up now may make it later
        row.save(update_fields=["start_at", "request", "expires"])
        record(
            caller,
            "reschedule",
            "deployment",
            row.deployment,
            {"start_at": before and before.isoformat()},
            {"start_at": start_at and start_at.isoformat()},
            service=row.deployment.microservice,
        )
        notify.publish([events.of_deployment(row.deployment)])
        look.look(deployment.pk)
    return _reloaded(deployment)


def _waiting(deployment: Deployment) -> DeploymentRequest:
    """Return the request of a deployment, whose row is locked until the transaction ends. Raise Problem 409 where it
    does not wait."""
    advance.lock([deployment.pk])
    row = facts.waiting().filter(deployment=deployment.pk).first()
    if row is None or row.deployment.status != DeploymentStatus.WAITING:
        raise _does_not_wait(deployment)
    return row


def _does_not_wait(deployment: Deployment) -> Problem:
    deployment.refresh_from_db(fields=["status"])
    status = deployment.get_status_display()
    return refused("deployment_state.not_waiting", deployment=deployment.pk, status=status)


def _require_answer(caller: Caller, row: DeploymentRequest) -> None:
    if message := refusal(caller, row):
        raise refused(message.code, **message.params)


def _go_to_round_of(row: DeploymentRequest, token: str) -> None:
    """Compare the plan that was shown with what would run now; where that is no longer what others said yes to, begin
    the next round.

    Raise Problem 409 `plan_changed` where it is not what was shown.
    """
    shown, plan = plan_token.read(token), plan_of(row)
    if errors := plan.differences(shown):
        raise refused_targets(errors)
    if moved := plan.differences(row.shown):
        look.move_on(row, plan, moved)


def _answer(caller: Caller, row: DeploymentRequest, verdict: Approval.Verdict, comment: str) -> bool:
    """Write down what a person says to this round; an override or a no replaces their yes. Return whether it is new."""
    known = Approval.objects.filter(request=row, round=row.round, user=caller.user_id)
    if verdict == Verdict.YES and known.exists():
        return False
    values: dict[str, Any] = {"verdict": verdict, "comment": comment, "name": caller.name, "created": timezone.now()}
    Approval.objects.update_or_create(request=row, round=row.round, user_id=caller.user_id or 0, defaults=values)
    return True


def _record(caller: Caller, deed: str, row: DeploymentRequest, comment: str) -> Any:
    service, after = row.deployment.microservice, {"round": row.round}
    return record(caller, deed, "deployment", row.deployment, after=after, reason=comment, service=service)


def _comment(text: str, required: bool = False, pointer: str = "/comment") -> str:
    text = text.strip()
    if "\0" in text or len(text) > MAX_COMMENT or (required and not text):
        raise invalid(pointer, "reason_required" if required else "note_length", max=MAX_COMMENT)
    return text


def _reloaded(deployment: Deployment) -> Deployment:
    deployment.refresh_from_db()
    return deployment
