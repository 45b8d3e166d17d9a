"""What the API returns about instances."""

from datetime import datetime

from ninja import Field, Schema

from messages.rendering import render
from microservice.deployments.skipped import lock_holder
from microservice.models import MicroServiceInstance
from microservice.status import InstanceStatus

from .base import ListPage


class InstanceOut(Schema):
    id: int
    name: str = Field(description="The service's name")
    language: str
    version: str | None = Field(description="null while the first install has not ended well")
    version_id: int | None
    image: str = Field(description="The pinned reference of that version's image; empty where it is none")
    previous_version: str | None
    previous_version_id: int | None
    host: str = Field(description="hostname:ip")
    host_id: int
    environment: str | None = Field(description="The name of its host's environment")
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


class ChoiceOut(Schema):
    id: int
    version: str
    enable: bool
    reason: str = Field(description="Why it may not be chosen; empty where it may")
    created: datetime
    ref: str
    bad: bool = Field(description="Marked as bad")


class ChoiceList(Schema):
    data: list[ChoiceOut]
    count: int
    code: int = 0


def instance(row: MicroServiceInstance) -> InstanceOut:
    """Return an instance. Load the service, the host, both versions and the deployment of the lock first."""
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
        environment=row.host.environment.name if row.host.environment else None,
        version=version.version if version else None,
        image=version.image if version else "",
        previous_version=previous.version if previous else None,
        status_str=InstanceStatus(row.status).label,
        delete_attempts=row.delete_attempts,
        retry_at=row.retry_at if row.status == InstanceStatus.DELETE_FAILED else None,
        locked_by=render(lock_holder(row)) if row.locked else None,
    )
