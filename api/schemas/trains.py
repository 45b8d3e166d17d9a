"""Release trains: the request, and what the API returns about them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from ninja import Field, Schema
from pydantic import StrictBool, StrictInt, StrictStr

from messages import json_params
from messages.rendering import render
from microservice.deployments.notes import MAX_NOTE
from microservice.models import Train
from microservice.trains.overview import PartState
from microservice.trains.values import Entry, TrainRequest

from .base import Body, ListPage
from .deployment_requests import MAX_PLAN_TOKEN, NOTE


class TrainEntry(Body):
    """A service, and the version that it is to run everywhere in the environment."""

    service: StrictInt | StrictStr = Field(description="Name or id of the service; digits alone are an id")
    version: StrictInt | StrictStr = Field(description="Name or id of the version; a text is a name first")


class TrainCreate(Body):
    """A request to start a train. A stage begins when the one before has succeeded."""

    name: StrictStr = Field(description="At most 64 characters; it need not be unique")
    environment: StrictInt | StrictStr | None = Field(
        None,
        description="Name or id; “” for hosts in none. Required where instances of the services are in more than one",
    )
    stages: list[list[TrainEntry]] = Field(description="In their order; the versions of one stage are deployed at once")
    on_failure: Train.OnFailure = Field(
        Train.OnFailure.HOLD,
        description="“hold”: nothing more begins; “revert_train”: what succeeded is sent back, last stage first",
    )
    note: StrictStr = Field("", max_length=MAX_NOTE, description=NOTE)
    dry_run: StrictBool = Field(False, description="Answer 200 with the plans of all stages; nothing is written")
    plan_token: StrictStr | None = Field(
        None, max_length=MAX_PLAN_TOKEN, description="From a dry run: a stage that would do something else holds"
    )

    def as_request(self) -> TrainRequest:
        return TrainRequest(
            name=self.name,
            environment=self.environment,
            stages=tuple(tuple(Entry(one.service, one.version) for one in stage) for stage in self.stages),
            on_failure=self.on_failure,
            note=self.note,
            plan_token=self.plan_token,
        )


class TrainDeployment(Schema):
    id: int
    action: str = Field(description="deploy; revert or upgrade where it sends back what a deployment did")
    status: str


class TrainPartOut(Schema):
    service: str
    service_id: int
    version: str
    version_id: int
    status: str = Field(description="pending, waiting, running, succeeded, failed, reverting or reverted")
    deployments: list[TrainDeployment] = Field(
        description="Of all attempts and reverts, oldest first; none where all instances ran the version already"
    )


class TrainOut(Schema):
    id: int
    name: str
    environment: str | None
    on_failure: str
    status: str = Field(description="running, held, reverting, cancelling, succeeded, failed, cancelled or reverted")
    reason: str = Field(description="Why it has its status, or what its next stage waits for; may be empty")
    reason_code: str = Field(description="The same as a stable word")
    reason_params: dict[str, Any] = Field(description="What the sentence was made of")
    note: str
    requested_by: str
    created: datetime
    finished: datetime | None
    stages: list[list[TrainPartOut]]


class TrainList(ListPage):
    data: list[TrainOut]


def train(row: Train, stages: Sequence[Sequence[PartState]]) -> TrainOut:
    """Return a train with its stages, from microservice.trains.overview."""
    same = ("id", "name", "on_failure", "status", "note", "requested_by", "created", "finished")
    reason = row.reason
    return TrainOut.model_construct(
        None,
        **{name: getattr(row, name) for name in same},
        environment=row.environment_name or None,
        reason=render(reason) if reason else "",
        reason_code=reason.code if reason else "",
        reason_params=json_params(reason.params) if reason else {},
        stages=[[_part(one) for one in stage] for stage in stages],
    )


def _part(one: PartState) -> TrainPartOut:
    return TrainPartOut.model_construct(
        None,
        service=one.part.service.name,
        service_id=one.part.service_id,
        version=one.part.version.version,
        version_id=one.part.version_id,
        status=one.status.value,
        deployments=[
            TrainDeployment.model_construct(None, id=row.pk, action=row.action, status=row.status)
            for row in one.deployments
        ],
    )
