"""What the API returns about deployments and operations."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ninja import Field, Schema

from messages import Message, json_params
from messages.rendering import render
from microservice.deployments.failures import Failure
from microservice.deployments.holds.facts import Wait
from microservice.deployments.skipped import describe_skipped
from microservice.models import Deployment, Operation, Step
from microservice.status import OperationStatus

from .base import ListPage


class OperationCounts(Schema):
    pending: int = 0
    queued: int = 0
    running: int = 0
    succeeded: int = 0
    failed: int = 0
    undone: int = 0
    cancelled: int = 0
    not_started: int = 0
    unknown: int = 0


class WaitReason(Schema):
    kind: str = Field(description="approval, freeze or schedule")
    text: str = Field(description="What it waits for, as a sentence")
    until: datetime | None = Field(description="The end of the freezes, or its time")
    need: int = Field(description="How many people must approve it")
    have: int = Field(description="How many have, and still may")
    team: str = Field(description="Whose members are asked; empty: whoever may deploy the service")
    names: list[str] = Field(description="Of the freezes")


class AnswerOut(Schema):
    name: str
    verdict: str = Field(description="yes, no or override")
    comment: str
    round: int = Field(description="Of the plan that it was said to")
    created: datetime


class WaitOut(Schema):
    reasons: list[WaitReason] = Field(description="What holds it up now; empty once it waits no more")
    start_at: datetime | None
    expires: datetime = Field(description="When it is cancelled if it still waits")
    round: int = Field(description="Rises when the plan is no longer the one that was shown")
    moved: list[str] = Field(description="What differs from the plan of the round before")
    answers: list[AnswerOut]


class DeploymentOut(Schema):
    id: int
    service: str
    service_id: int
    action: str
    from_version: int | None = Field(description="A version's id; its name is in from_version_str")
    from_version_str: str | None
    dest_version: int | None = Field(description="A version's id; its name is in dest_version_str")
    dest_version_str: str | None
    environment: str | None = Field(description="The environment of its hosts; null where they are in none")
    status: str
    reason: str = Field(description="Why it has its status, as a sentence; empty where the status says it all")
    reason_code: str = Field(description="The same as a stable word")
    reason_params: dict[str, Any] = Field(description="What the sentence was made of")
    note: str = Field(description="Why it was requested")
    requested_by: str
    created: datetime
    started: datetime | None
    finished: datetime | None
    strategy: dict[str, Any]
    skipped: list[dict[str, Any]] = Field(description="Skipped targets, each with `reason`, `code` and `params`")
    counts: OperationCounts = Field(description="Operations by status")
    origin_id: int | None = Field(description="The deployment that this one retries or reverts")
    wait: WaitOut | None = Field(description="What it waits for, or waited for; null where it began at once")


class DeploymentList(ListPage):
    data: list[DeploymentOut]


class StepOut(Schema):
    position: int
    name: str
    status: str
    old_state: str
    new_state: str
    detail: str = Field(description="Why it failed, or a remark, in English")
    reason: dict[str, Any] | None = Field(description="The same as {code, params}; null in older steps")
    exit_status: int | None
    started: datetime | None
    finished: datetime | None
    undo_status: str = Field(description="none, undoing, undone or failed; the fields above stay as the step left them")
    undo_state: str = Field(description="After the undo")
    undo_detail: str
    undo_reason: dict[str, Any] | None
    undo_exit_status: int | None
    undo_started: datetime | None
    undo_finished: datetime | None


class OperationOut(Schema):
    id: int
    deployment_id: int
    instance_id: int
    host: str = Field(description="hostname:ip")
    host_id: int
    action: str
    from_version: int | None
    from_version_str: str | None
    dest_version: int | None
    dest_version_str: str | None
    batch: int
    status: str
    undo_status: str
    attempt: int
    error: str
    error_step: str
    error_code: str = Field(description="What went wrong, and who says so, in one word; empty where nothing did")
    error_params: dict[str, Any] | None = Field(description="What the error's text names; null in older operations")
    cause: str = Field(description="The same for all operations that failed alike")
    output_size: int
    started: datetime | None
    finished: datetime | None
    steps: list[StepOut]


class OperationList(ListPage):
    data: list[OperationOut]


class FailedHost(Schema):
    operation_id: int
    host: str = Field(description="Its name")


class CauseOut(Schema):
    cause: str = Field(description="Names it in requests: POST /deployments/{id}/retry; empty in older operations")
    step: str
    error: str = Field(description="Of the first of these operations, in English")
    error_code: str
    operation_id: int = Field(description="The first of these operations")
    count: int
    counts: OperationCounts = Field(description="These operations by status")
    hosts: list[FailedHost] = Field(description="The first hosts; the list of operations has all")


class CauseList(Schema):
    data: list[CauseOut]
    more: int = Field(description="How many further causes there are")
    code: int = 0


def deployment(row: Deployment, counts: Mapping[str, int], wait: Wait | None = None) -> DeploymentOut:
    """Return a deployment. Load the service, the environment and both versions first."""
    same = (
        "id",
        "action",
        "status",
        "note",
        "requested_by",
        "created",
        "started",
        "finished",
        "strategy",
        "origin_id",
    )
    return DeploymentOut.model_construct(
        **{name: getattr(row, name) for name in same},
        **_versions(row),
        environment=row.environment.name if row.environment else None,
        service=row.microservice.name,
        service_id=row.microservice_id,
        reason=render(row.reason) if row.reason else "",
        reason_code=row.reason.code if row.reason else "",
        reason_params=json_params(row.reason.params) if row.reason else {},
        skipped=describe_skipped(row.skipped),
        counts=_counts(counts),
        wait=_wait(wait) if wait else None,
    )


def _wait(wait: Wait) -> WaitOut:
    answers = [
        AnswerOut.model_construct(
            name=one.name, verdict=one.verdict, comment=one.comment, round=one.round, created=one.created
        )
        for one in wait.answers
    ]
    return WaitOut.model_construct(
        reasons=[WaitReason.model_construct(**one.as_json()) for one in wait.reasons],
        start_at=wait.request.start_at,
        expires=wait.request.expires,
        round=wait.request.round,
        moved=[render(Message.from_json(one)) for one in wait.request.moved],
        answers=answers,
    )


def cause(one: Failure) -> CauseOut:
    return CauseOut.model_construct(
        cause=one.cause,
        step=one.step,
        error=one.first.error,
        error_code=one.first.error_code,
        operation_id=one.first_id,
        count=one.count,
        counts=_counts(one.by_status),
        hosts=[FailedHost.model_construct(operation_id=number, host=name) for number, name in one.hosts],
    )


def _counts(by_status: Mapping[str, int]) -> OperationCounts:
    return OperationCounts.model_construct(
        None, **{word.value: by_status.get(word.value, 0) for word in OperationStatus}
    )


def operation(row: Operation) -> OperationOut:
    """Return an operation. Load the host, both versions and the steps first."""
    same = (
        "id",
        "deployment_id",
        "host_id",
        "action",
        "batch",
        "status",
        "undo_status",
        "attempt",
        "error",
        "error_step",
        "error_code",
        "error_params",
        "cause",
        "output_size",
        "started",
        "finished",
    )
    return OperationOut.model_construct(
        **{name: getattr(row, name) for name in same},
        **_versions(row),
        instance_id=row.instance_id_snapshot,
        host=str(row.host),
        steps=[step(one) for one in row.steps.all()],
    )


def step(row: Step) -> StepOut:
    return StepOut.model_construct(**{name: getattr(row, name) for name in StepOut.model_fields})


def _versions(row: Deployment | Operation) -> dict[str, Any]:
    before, after = row.from_version, row.dest_version
    return {
        "from_version": row.from_version_id,
        "from_version_str": before.version if before else None,
        "dest_version": row.dest_version_id,
        "dest_version_str": after.version if after else None,
    }
