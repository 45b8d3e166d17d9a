"""Carries out what decisions.py decides: begins a stage, sends one back, or changes the train's status.

Each call locks the train's row first, so that of two that decide at once the second one sees what the first one did;
the unique constraints of TrainStart say the same in the database. A stage begins whole, or not at all.
"""

import logging
from dataclasses import replace
from datetime import timedelta

from django.db import InterfaceError, OperationalError, transaction
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from access.acting_later import caller_later
from access.callers import SYSTEM, Caller
from access.problems import Problem, refused
from audit.models import Event
from messages import Message

from .. import notify
from ..deployments import changes, plan_token, reverts
from ..deployments.refusals import family
from ..deployments.version_change import OnLocked, VersionChange
from ..models import Deployment, Train, TrainPart, TrainStart
from ..status import DEPLOYMENT_ENDED, TRAIN_ENDED, TRAIN_MOVING, TRAIN_TRANSITIONS, Action, TrainStatus, may_become
from .decisions import NOTHING, Decision, decide
from .rows import Rows, load, services_of, snapshot

log = logging.getLogger(__name__)

LOCK_PAUSE = timedelta(seconds=5)  # before a stage whose instances are locked is tried again
MAX_A_SWEEP = 100
NOTHING_SHOWN = "-"  # stands for the plan token of a part that had nothing to do


class Refused(Exception):
    """A part of a stage could not begin, or could not be sent back."""

    def __init__(self, part: TrainPart, problem: Problem):
        self.part, self.problem = part, problem
        super().__init__(problem.code)

    @property
    def waits(self) -> bool:
        """Whether only locks are in the way: they end."""
        codes = {self.problem.code} | {family(error.reason) for error in self.problem.field_errors}
        return self.problem.code in ("instance_locked", "nothing_to_do") and "instance_locked" in codes

    @property
    def plan_differs(self) -> bool:
        """Whether it is not what was shown, or what was shown cannot be read any more."""
        pointers = [error.pointer for error in self.problem.field_errors]
        return self.problem.code == "plan_changed" or "/plan_token" in pointers


def on_deployment_ended(number: int, **_: object) -> None:
    """Look at the train of a deployment, if it has one. Called after the commit of its end."""
    train = TrainStart.objects.filter(deployment=number).values_list("part__train", flat=True).first()
    if train is not None:
        look_again(train)


def look_again(number: int) -> None:
    """Move a train on as far as its rows allow, in one transaction."""
    with transaction.atomic():
        train = lock(number)
        if train is not None:
            with notify.together():
                advance(train)


def lock(number: int) -> Train | None:
    rows = Train.objects.select_for_update(of=("self",), no_key=True).select_related("environment")
    return rows.filter(pk=number).first()


def sweep() -> None:
    """Move on the trains whose turn it is by their rows: an event may have been missed, or locks have ended."""
    open_one = TrainStart.objects.filter(part__train=OuterRef("pk"), deployment__isnull=False).exclude(
        deployment__status__in=DEPLOYMENT_ENDED
    )
    due = Q(look_at__lte=timezone.now()) | Q(look_at=None) & ~Exists(open_one)
    for number in list(Train.objects.filter(due, status__in=TRAIN_MOVING).values_list("pk", flat=True)[:MAX_A_SWEEP]):
        try:
            look_again(number)
        except (OperationalError, InterfaceError):  # the database is away, or a row is held
            raise
        except Exception:  # an error of ours in one of them does not hold up the others
            log.exception("train %s could not be looked at", number)


def advance(train: Train, caller: Caller | None = None, strict: bool = False) -> None:
    """Move a train on, whose row is locked. `caller`: who acts now; otherwise, on whose behalf the train is.

    `strict`: raise Refused where a stage cannot begin, unless only locks are in the way, instead of holding the train.
    """
    while True:
        rows = load(train)
        decision = decide(snapshot(rows))
        if decision == NOTHING:
            return
        try:
            with transaction.atomic(), notify.together():
                _carry_out(rows, decision, caller)
        except Refused as refusal:
            if refusal.waits:
                _wait(train, refusal)
                return
            if strict:
                raise
            why = {"stage": refusal.part.stage + 1, "service": refusal.part.service.name}
            code = "train_stage_refused" if decision.begin is not None else "train_revert_refused"
            set_status(train, TrainStatus.HELD, Message(code, {**why, "reason": refusal.problem.message}))
            if refusal.plan_differs:  # who resumes it has read that, and confirms what the stage does by then
                train.parts.filter(stage=refusal.part.stage).update(plan_token="")


def set_status(train: Train, status: TrainStatus, reason: Message | None = None) -> None:
    """Change a train's status along the table of transitions, and publish it."""
    if not may_become(TRAIN_TRANSITIONS, train.status, status):
        raise ValueError(f"train {train.pk} cannot go from {train.status} to {status}")
    train.status, train.look_at = status, None
    if reason is not None or status not in TRAIN_ENDED:
        train.reason = reason
    train.finished = timezone.now() if status in TRAIN_ENDED else None
    fields = ["status", "status_message", "look_at", "finished"]
    if status == TrainStatus.REVERTING:
        train.reverts += 1
        fields.append("reverts")
    train.save(update_fields=fields)
    notify.publish([event(train)])


def event(train: Train) -> Event:
    """Return the event of a train's change, for those who see its first service."""
    service = train.parts.order_by("stage", "position").values_list("service", flat=True).first()
    return Event(kind="train", data={"id": train.pk, "status": str(train.status), "service_id": service or 0})


def _carry_out(rows: Rows, decision: Decision, caller: Caller | None) -> None:
    if decision.begin is not None:
        _begin(rows, decision.begin, caller)
    if decision.revert is not None:
        _send_back(rows, decision.revert)
    if decision.status is not None:
        set_status(rows.train, decision.status, decision.reason)


def _begin(rows: Rows, number: int, caller: Caller | None) -> None:
    train = rows.train
    stage = [part for part in rows.stages[number] if rows.forward(part) is None]
    who = caller or caller_later(train.user_id, train.token_id, train.by_token)
    first = TrainPart.objects.filter(pk__in=[part.pk for part in stage if part.attempt == 1])
    tokens = dict(first.values_list("pk", "plan_token"))
    for part in stage:
        token = tokens.get(part.pk, "")
        try:
            if who is None:
                raise refused("forbidden.train_caller", who=train.requested_by)
            shown = plan_token.read(token, of_any_age=True) if token not in ("", NOTHING_SHOWN) else None
            deployment = changes.deploy(who, _change(train, part), joins=False, shown=shown)
            if deployment and token == NOTHING_SHOWN:
                raise refused("plan_changed.train")
        except Problem as problem:
            raise Refused(part, problem) from problem
        TrainStart.objects.create(part=part, attempt=part.attempt, deployment=deployment)
    _waits_no_more(train)


def _change(train: Train, part: TrainPart) -> VersionChange:
    if train.environment_name and train.environment_id is None:
        raise refused("not_found.train_environment", environment=train.environment_name)
    return VersionChange(
        service=part.service,
        action=Action.DEPLOY,
        dest_version=part.version_id,
        host="all",
        environment=train.environment_id or "",
        on_locked=OnLocked.REFUSE,
        note=train.note,
    )


def _send_back(rows: Rows, number: int) -> None:
    train = rows.train
    stage = [part for part in rows.stages[number] if rows.to_revert(part)]
    who = _who_reverts(train, stage)
    for part in stage:
        for origin in rows.to_revert(part):
            try:
                deployment = _revert(who, train, origin)
            except Problem as problem:
                raise Refused(part, problem) from problem
            TrainStart.objects.create(part=part, attempt=train.reverts, origin=origin, deployment=deployment)
    _waits_no_more(train)


def _who_reverts(train: Train, stage: list[TrainPart]) -> Caller:
    """Return on whose behalf a stage goes back. That someone lost a right meanwhile leaves nothing half done."""
    who = caller_later(train.user_id, train.token_id, train.by_token)
    if who is not None and all(who.may("deploy", service.pk) for service in services_of(stage)):
        return who
    return replace(SYSTEM, name=f"train {train.pk}")


def _revert(who: Caller, train: Train, origin: Deployment) -> Deployment | None:
    """Return the deployment that takes `origin` back; None where nothing runs its version any more."""
    held = reverts.revertible(origin).selected().filter(locked=True).select_related("host").first()
    if held is not None:  # a revert would leave it out
        raise refused("instance_locked.train", host=str(held.host))
    try:
        return reverts.revert(who, reverts.DeploymentRevert(origin=origin, note=train.note))
    except Problem as problem:
        if problem.code != "nothing_to_do":
            raise
        return None


def _wait(train: Train, refusal: Refused) -> None:
    """Try again later: instances are locked."""
    before = train.reason
    params = {"stage": refusal.part.stage + 1, "service": refusal.part.service.name}
    train.reason = Message("train_waits_for_locks", {**params, "reason": refusal.problem.message})
    train.look_at = timezone.now() + LOCK_PAUSE
    train.save(update_fields=["status_message", "look_at"])
    if train.reason != before:
        notify.publish([event(train)])


def _waits_no_more(train: Train) -> None:
    if train.look_at is not None:
        train.look_at = None
        if train.status == TrainStatus.RUNNING:
            train.reason = None
        train.save(update_fields=["look_at", "status_message"])
    notify.publish([event(train)])
