"""A request for a train: looked up, shown as a plan, and started."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.db import transaction

from access.callers import Caller
from access.problems import FieldError, Problem, invalid, invalid_fields
from asset.models import Environment

from .. import notify
from ..catalog import find_service
from ..deployments import environments, notes, plan_token
from ..deployments.changes import preview
from ..deployments.destinations import find_destination
from ..deployments.plan import Plan
from ..deployments.version_change import OnLocked, VersionChange
from ..models import MicroService, MicroServiceInstance, Train, TrainPart
from ..status import Action
from . import advance
from .control import record_each
from .rows import load
from .values import MAX_NAME, MAX_PARTS, MAX_STAGES, Entry, TrainRequest

FORBIDDEN = 403
TOKENS_APART = "~"  # between the plan tokens of the parts


@dataclass(frozen=True, slots=True)
class Change:
    """What happens alike to a number of hosts."""

    action: str
    before: str | None  # the version that they run
    cannot_be_undone: list[str]  # names of steps
    hosts: int


@dataclass(frozen=True, slots=True)
class PartPlan:
    """What a train would do with one service in one stage. Without a plan: why it would wait (`refusal`)."""

    part: TrainPart
    pointer: str
    plan: Plan | None
    refusal: Problem | None = None

    @property
    def token(self) -> str:
        return self.plan.token if self.plan and self.plan.targets else advance.NOTHING_SHOWN

    @property
    def changes(self) -> list[Change]:
        """Return what happens, once for all hosts that go alike."""
        alike = Counter(plan for _row, plan in self.plan.targets) if self.plan else Counter()
        return [Change(one.action, one.from_version, one.cannot_be_undone, n) for one, n in alike.items()]

    def as_json(self) -> dict[str, Any]:
        return {
            "service": self.part.service.name,
            "version": self.part.version.version,
            "plan": self.plan.as_json() if self.plan else None,
            "waits_for": self.refusal.detail if self.refusal else "",
        }


@dataclass(frozen=True, slots=True)
class TrainPlan:
    """What a train would do, computed now: what its later stages find may differ by then."""

    train: Train
    stages: list[list[PartPlan]]

    @property
    def parts(self) -> list[PartPlan]:
        return [one for stage in self.stages for one in stage]

    @property
    def token(self) -> str:
        """Return the token with which a request is held to these plans."""
        return TOKENS_APART.join(one.token for one in self.parts)

    def as_json(self) -> dict[str, Any]:
        """Return it as the API answers a dry run."""
        return {
            "plan_token": self.token,
            "name": self.train.name,
            "environment": self.train.environment_name or None,
            "on_failure": str(self.train.on_failure),
            "stages": [[one.as_json() for one in stage] for stage in self.stages],
        }


def preview_train(caller: Caller, request: TrainRequest) -> TrainPlan:
    """Return the plan of all stages. Raise the same Problems as the request itself would."""
    name = _name(request.name)
    services = _services(caller, request)
    environment = _environment(request, list(services.values()))
    train = Train(
        name=name,
        environment=environment,
        environment_name=environment.name if environment else "",
        on_failure=request.on_failure,
        note=notes.clean(request.note),
    )
    stages, problems = [], list[Problem]()
    for number, entries in enumerate(request.stages):
        stage = []
        for position, entry in enumerate(entries):
            pointer = Entry.at(number, position)
            part = TrainPart(train=train, stage=number, position=position, service=services[entry.service])
            try:
                stage.append(_plan(caller, part, entry, pointer))
            except Problem as problem:
                problems.append(_pointing_at(problem, pointer))
        stages.append(stage)
    if problems:
        raise _one_of(problems)
    return TrainPlan(train, stages)


def start_train(caller: Caller, request: TrainRequest) -> Train:
    """Start a train: its first stage begins at once, unless only locks are in the way."""
    plan = preview_train(caller, request)
    train, parts = plan.train, plan.parts
    tokens = [""] * len(parts) if request.plan_token is None else _tokens(request.plan_token, len(parts))
    seen: set[int] = set()
    for one, token in zip(parts, tokens, strict=True):
        # What a service runs when it comes again is what an earlier stage brought, and was not there to be shown.
        one.part.plan_token = "" if one.part.service_id in seen else token
        seen.add(one.part.service_id)
    train.user_id, train.token_id, train.by_token = caller.user_id, caller.token_id, caller.token_id is not None
    train.requested_by = caller.name
    with transaction.atomic(), notify.together():
        train.save(force_insert=True)
        for one in parts:
            one.part.train = train  # which has an id by now
        TrainPart.objects.bulk_create(one.part for one in parts)
        more = {"environment_id": train.environment_id} if train.environment_id else {}
        record_each(caller, "create", train, load(train), **more)
        notify.publish([advance.event(train)])
        try:
            advance.advance(train, caller, strict=True)
        except advance.Refused as refusal:
            stage, position = refusal.part.stage, refusal.part.position
            raise _pointing_at(refusal.problem, Entry.at(stage, position)) from refusal
    return train


def _tokens(text: str, parts: int) -> list[str]:
    """Return the plan token of each part. Raise the Problems of reading them: later stages begin when they are old."""
    tokens = text.split(TOKENS_APART)
    if len(tokens) != parts:
        raise invalid("/plan_token", "not_a_plan_token")
    for token in tokens:
        if token != advance.NOTHING_SHOWN:
            plan_token.read(token)
    return tokens


def _plan(caller: Caller, part: TrainPart, entry: Entry, pointer: str) -> PartPlan:
    environment = part.train.environment
    change = VersionChange(
        service=part.service,
        action=Action.DEPLOY,
        dest_version=entry.version,
        host="all",
        environment=environment.pk if environment else "",
        on_locked=OnLocked.SKIP,
    )
    try:
        plan = preview(caller, change)
    except Problem as problem:
        locked = [error for error in problem.field_errors if error.reason.code == "instance_locked"]
        if problem.code != "nothing_to_do" or not locked:
            raise
        part.version = find_destination(caller, change)
        return PartPlan(part, pointer, None, problem)
    assert plan.deployment.dest_version is not None
    part.version = plan.deployment.dest_version
    return PartPlan(part, pointer, plan)


def _name(text: str) -> str:
    text = text.strip()
    if not text:
        raise invalid("/name", "must_not_be_empty")
    return notes.clean(text, "/name", MAX_NAME)


def _services(caller: Caller, request: TrainRequest) -> dict[int | str, MicroService]:
    """Return the services that a request names. One 422 with everything that is wrong, 403 without a right."""
    errors = list(_shape_errors(request))
    if errors:
        raise invalid_fields(errors)
    found: dict[int | str, MicroService] = {}
    for number, stage in enumerate(request.stages):
        seen: set[int] = set()
        for position, entry in enumerate(stage):
            pointer = f"{Entry.at(number, position)}/service"
            try:
                service = found.get(entry.service) or find_service(caller, entry.service, "deploy")
            except Problem as problem:
                if problem.status == FORBIDDEN:
                    raise
                errors.append(FieldError(pointer, "no_such_service"))
                continue
            found[entry.service] = service
            if service.pk in seen:
                errors.append(FieldError(pointer, "twice_in_stage", service=service.name))
            seen.add(service.pk)
    if errors:
        raise invalid_fields(errors)
    return found


def _shape_errors(request: TrainRequest) -> Iterator[FieldError]:
    if not request.stages:
        yield FieldError("/stages", "must_not_be_empty")
    if len(request.stages) > MAX_STAGES:
        yield FieldError("/stages", "too_many_stages", max=MAX_STAGES)
    elif sum(map(len, request.stages)) > MAX_PARTS:
        yield FieldError("/stages", "too_many_versions", max=MAX_PARTS)
    for number, stage in enumerate(request.stages):
        if not stage:
            yield FieldError(f"/stages/{number}", "must_not_be_empty")


def _environment(request: TrainRequest, services: list[MicroService]) -> Environment | None:
    """Return the environment that a request names, or that all instances of its services are in."""
    place = environments.find_place(request.environment)
    if place is None:
        rows = MicroServiceInstance.objects.filter(microservice__in=services)
        place = environments.only_place(environments.places_of(rows))
    return place.environment


def _pointing_at(problem: Problem, pointer: str) -> Problem:
    """Return the Problem of one part's deployment as one of the train's request."""
    own = {"/version": f"{pointer}/version", "/plan_token": "/plan_token"}
    errors = [
        FieldError(own.get(error.pointer, pointer), error.reason, error.more) for error in problem.field_errors
    ] or [FieldError(pointer, problem.message)]
    if problem.code == "invalid":
        return invalid_fields(errors)
    return Problem(problem.status, problem.message, errors=errors)


def _one_of(problems: list[Problem]) -> Problem:
    """Return one Problem with everything that is invalid, or else the first."""
    wrong = [problem for problem in problems if problem.code == "invalid"]
    if len(wrong) > 1:
        return invalid_fields([error for problem in wrong for error in problem.field_errors])
    return (wrong or problems)[0]
