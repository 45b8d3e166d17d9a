"""What goes in and comes out of the parts about running: instances, deployments, operations, and requests for them."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ninja import Field, Schema
from pydantic import StrictBool, StrictInt, StrictStr

from microservice.deployments.targets import owner_of
from microservice.models import Deployment, MicroServiceInstance, Operation, Step
from microservice.status import InstanceStatus, OperationStatus

from .base import Body, ListPage

ALLOW_BAD = "Also toward a version that was marked bad: a person signed in may say so, a token may not"
Ids = StrictStr | StrictInt | list[StrictInt | StrictStr]


class InstanceOut(Schema):
    id: int
    name: str = Field(description="The service's name")
    language: str
    version: str | None = Field(description="null while the first install has not ended well")
    version_id: int | None
    previous_version: str | None
    previous_version_id: int | None
    host: str = Field(description="hostname:ip")
    host_id: int
    port: int
    tag: str
    weight: int
    description: str
    status: int
    status_str: str
    locked: bool
    locked_by: str | None = Field(description="Who, which deployment, since when")
    lock_deployment_id: int | None
    is_maintain: bool
    last_operation_id: int | None
    delete_attempts: int = Field(description="How often a delete of it has failed")
    retry_at: datetime | None = Field(
        description="When a failed delete is retried automatically; null after MAX_DELETE_ATTEMPTS or if none failed"
    )
    updated_by: str
    updated: datetime


class InstanceList(ListPage):
    data: list[InstanceOut]


class InstanceUpdate(Body):
    """What may change of an instance; port, tag and weight only while no operation goes on.

    What runs was started with the old port, tag and weight: commands see the new ones from its next operation on.
    """

    port: StrictInt = Field(0, ge=0, le=65535)
    tag: StrictStr = Field("", max_length=64)
    weight: StrictInt = Field(100, ge=0, le=1_000_000)
    description: StrictStr = Field("", max_length=256)
    is_maintain: StrictBool = False


class UnlockRequest(Body):
    reason: StrictStr = Field(min_length=1, max_length=500)


class InstanceSelection(Body):
    """Ids of instances, as a list or as "1,2,3"."""

    instances: Ids


class ForgetRequest(InstanceSelection):
    """Instances whose host is gone for good, and why."""

    reason: StrictStr = Field(min_length=1, max_length=500, description="Kept in the history")


class ForgottenOut(Schema):
    id: int
    host: str = Field(description="hostname:ip")
    host_id: int
    version: str | None = Field(description="What ran there, as far as was known")
    status_str: str = Field(description="What it was")
    operation_id: int | None = Field(description="The operation that was ended by it")


class ForgottenList(Schema):
    data: list[ForgottenOut]
    count: int
    code: int = 0


class RetryInstancesRequest(InstanceSelection):
    """What is to be repeated."""

    allow_bad: StrictBool = Field(False, description=ALLOW_BAD)


class RetryRequest(Body):
    """What may be asked along with the retry of a deployment."""

    allow_bad: StrictBool = Field(False, description=ALLOW_BAD)


class VersionChangeRequest(Body):
    """A request to upgrade or revert."""

    dest_version: StrictInt = Field(description="The id of the version to go to")
    host: Ids | None = Field(
        None,
        description=(
            '"all", or hosts by id or name, as GET /hosts/ gives them: "1,2,3", [1, 2, 3], ["web1", "web2"]; '
            "digits alone are an id"
        ),
    )
    instances: Ids | None = Field(
        None,
        description=(
            "Ids of instances, as GET /services/{service}/instances/ gives them; instead of host, never with it"
        ),
    )
    on_locked: StrictStr | None = Field(
        None, description='"refuse" (default for what is named) or "skip" (default for "all")'
    )
    strategy: dict[str, Any] | None = Field(
        None, description="batch_size, canary, max_failures, on_failure, pause_between; all optional"
    )
    force: StrictBool = Field(False, description="Also in maintenance, where named")
    dry_run: StrictBool = Field(False, description="Answer 200 with the plan; nothing is locked or written")
    plan_token: StrictStr | None = Field(
        None, max_length=4_000_000, description="The token of a dry run that was shown"
    )
    mark_bad: StrictBool = Field(False, description="A revert: mark the version that it leaves as bad")
    reason: StrictStr = Field("", max_length=256, description="Why it is bad")
    allow_bad: StrictBool = Field(False, description=ALLOW_BAD)


class RevertRequest(Body):
    """What may be asked along with the revert of a deployment."""

    mark_bad: StrictBool = Field(False, description="Mark the version that is left as bad: nothing installs it again")
    reason: StrictStr = Field("", max_length=256, description="Why it is bad")
    allow_bad: StrictBool = Field(False, description=ALLOW_BAD)


class InstallRequest(Body):
    """A request to install a version on hosts."""

    host: Ids = Field(description='Hosts by id or name: "1,2,3", [1, 2, 3], ["web1", "web2"]; digits alone are an id')
    port: StrictInt = Field(0, ge=0, le=65535)
    tag: StrictStr = Field("", max_length=64)
    weight: StrictInt = Field(100, ge=0, le=1_000_000)
    adopt: StrictBool = Field(False, description="Take over what runs there already: check and record, run nothing")
    strategy: dict[str, Any] | None = None
    dry_run: StrictBool = Field(False, description="Answer 200 with the plan; nothing is locked or written")
    plan_token: StrictStr | None = Field(
        None, max_length=4_000_000, description="The token of a dry run that was shown"
    )
    allow_bad: StrictBool = Field(False, description=ALLOW_BAD)


class ChoiceOut(Schema):
    id: int
    version: str
    enable: bool
    reason: str = Field(description="Why it may not be chosen; empty where it may")
    created: datetime
    ref: str
    bad: bool = Field(description="Somebody marked it bad")


class ChoiceList(Schema):
    data: list[ChoiceOut]
    count: int
    code: int = 0


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


class DeploymentOut(Schema):
    id: int
    service: str
    service_id: int
    action: str
    from_version: int | None = Field(description="A version's id; its name is in from_version_str")
    from_version_str: str | None
    dest_version: int | None = Field(description="A version's id; its name is in dest_version_str")
    dest_version_str: str | None
    status: str
    reason: str = Field(description="Why it is what it is, in words")
    requested_by: str
    created: datetime
    started: datetime | None
    finished: datetime | None
    strategy: dict[str, Any]
    skipped: list[dict[str, Any]] = Field(description="Targets that were left out, each with its reason")
    counts: OperationCounts = Field(description="Operations by status")
    origin_id: int | None = Field(description="The deployment that this one retries or reverts")


class DeploymentList(ListPage):
    data: list[DeploymentOut]


class StepOut(Schema):
    position: int
    name: str
    status: str
    old_state: str
    new_state: str
    detail: str
    exit_status: int | None
    started: datetime | None
    finished: datetime | None


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
    output_size: int
    started: datetime | None
    finished: datetime | None
    steps: list[StepOut]


class OperationList(ListPage):
    data: list[OperationOut]


def instance(row: MicroServiceInstance) -> InstanceOut:
    """Needs service, host, both versions and the lock's deployment loaded."""
    service, version, previous = row.microservice, row.version, row.previous_version
    same = (
        "id",
        "host_id",
        "version_id",
        "previous_version_id",
        "port",
        "tag",
        "weight",
        "description",
        "status",
        "locked",
        "lock_deployment_id",
        "is_maintain",
        "last_operation_id",
        "updated_by",
        "updated",
    )
    return InstanceOut.model_construct(
        **{name: getattr(row, name) for name in same},
        name=service.name,
        language=service.language,
        host=str(row.host),
        version=version.version if version else None,
        previous_version=previous.version if previous else None,
        status_str=InstanceStatus(row.status).label,
        delete_attempts=row.tries,
        retry_at=row.again_at if row.status == InstanceStatus.DELETE_FAILED else None,
        locked_by=owner_of(row) if row.locked else None,
    )


def deployment(row: Deployment, counts: Mapping[str, int]) -> DeploymentOut:
    """Needs service and both versions loaded."""
    same = (
        "id",
        "action",
        "status",
        "requested_by",
        "created",
        "started",
        "finished",
        "strategy",
        "skipped",
        "origin_id",
    )
    return DeploymentOut.model_construct(
        **{name: getattr(row, name) for name in same},
        **_versions(row),
        service=row.microservice.name,
        service_id=row.microservice_id,
        reason=row.status_reason,
        counts=OperationCounts.model_construct(
            None, **{word.value: counts.get(word.value, 0) for word in OperationStatus}
        ),
    )


def operation(row: Operation) -> OperationOut:
    """Needs host, both versions and steps loaded."""
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
        "output_size",
        "started",
        "finished",
    )
    return OperationOut.model_construct(
        **{name: getattr(row, name) for name in same},
        **_versions(row),
        instance_id=row.instance_number,
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
