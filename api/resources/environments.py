"""/environments/: the places where services run, in their order, and what each asks of a version."""

from datetime import datetime
from typing import Any

from django.http import HttpRequest, HttpResponse
from ninja import Field, Router, Schema, Status
from pydantic import StrictBool, StrictInt, StrictStr

from access.problems import not_found
from asset import environments, tenancy
from asset.models import Environment

from .. import paging
from ..auth import caller, needs
from ..schemas import base
from ..schemas.host_choice import HostChoice

router = Router()


class EnvironmentUpdate(base.Body):
    """The fields of an environment to change; the others stay."""

    name: StrictStr = ""
    position: StrictInt = Field(0, description="Its place in the order of environments, the least first")
    colour: StrictStr = Field("grey", description="grey, blue, green, amber, red or violet")
    description: StrictStr = ""
    requires_id: StrictInt | None = Field(
        None, description="The environment in which a version must have run well before it may be deployed here"
    )
    soak_minutes: StrictInt = Field(0, description="How long it must have run there")
    approvals: StrictInt = Field(0, description="How many people other than who asks must approve a deployment; 0 to 5")
    approvers: StrictInt | StrictStr | None = Field(
        None, description="Id or name of the team that approves; null: everyone who may deploy the service"
    )
    approve_reverts: StrictBool = Field(False, description="Whether reverts wait for approval too")
    tokens_deploy: StrictBool = Field(
        True, description="If false, what an API token asks for waits until at least one person approves it"
    )
    wait_hours: StrictInt = Field(24, description="A deployment that still waits then is cancelled; 1 to 720")
    default_strategy: dict[str, Any] = Field(
        {}, description="Of deployments here that name none; it goes before the service's. {}: the service's"
    )


class EnvironmentCreate(EnvironmentUpdate):
    """A new environment. Only its name is required."""

    name: StrictStr
    position: StrictInt = Field(0, description="Its place in the order of environments; default: the last")


class EnvironmentHosts(HostChoice):
    """Hosts that come into an environment."""


class EnvironmentHostsOut(Schema):
    count: int = Field(description="How many hosts were not in it before")
    code: int = 0


class EnvironmentOut(Schema):
    id: int
    name: str
    position: int
    colour: str
    description: str
    requires_id: int | None
    soak_minutes: int
    approvals: int
    approvers: str | None = Field(description="The name of the team that approves")
    approve_reverts: bool
    tokens_deploy: bool
    wait_hours: int
    default_strategy: dict[str, Any]
    created: datetime
    created_by: str
    updated: datetime
    updated_by: str


class EnvironmentList(base.ListPage):
    data: list[EnvironmentOut]


@router.get("/environments/", response=EnvironmentList, summary="List environments")
@needs("read", bound="deploy")
def list_environments(request: HttpRequest, query: paging.Page) -> EnvironmentList:
    """List the environments in their order."""
    return paging.page_of(query, list(Environment.objects.select_related("approvers"))).answer(
        EnvironmentList, serialize
    )


@router.post("/environments/", response={201: EnvironmentOut}, summary="Create an environment")
@needs("admin")
def create_environment(request: HttpRequest, body: EnvironmentCreate, response: HttpResponse) -> Status[EnvironmentOut]:
    """Create an environment."""
    made = environments.create(caller(request), body.given())
    response["Location"] = f"/api/v1/environments/{made.pk}"
    return Status(201, serialize(made))


@router.get("/environments/{id}", response=EnvironmentOut, summary="Get an environment")
@needs("read", bound="deploy")
def get_environment(request: HttpRequest, id: base.PathId) -> EnvironmentOut:
    """Return an environment."""
    return serialize(_find(id))


@router.patch("/environments/{id}", response=EnvironmentOut, summary="Update an environment")
@needs("admin")
def change_environment(request: HttpRequest, id: base.PathId, body: EnvironmentUpdate) -> EnvironmentOut:
    """Change the named fields. 422 where it would, by way of others, require itself."""
    return serialize(environments.change(caller(request), _find(id), body.given()))


@router.post("/environments/{id}/hosts", response=EnvironmentHostsOut, summary="Bring hosts into an environment")
@needs("admin")
def place_hosts(request: HttpRequest, id: base.PathId, body: EnvironmentHosts) -> EnvironmentHostsOut:
    """Bring hosts into an environment, out of the one that they are in: all of them or none. 409 names those to which
    something is being deployed."""
    environment, who = _find(id), caller(request)
    moved = environments.place(who, environment, body.chosen(tenancy.visible(who)).values_list("pk", flat=True))
    return EnvironmentHostsOut.model_construct(count=moved, code=0)


@router.delete("/environments/{id}", response={204: None}, summary="Delete an environment")
@needs("admin")
def delete_environment(request: HttpRequest, id: base.PathId) -> Status[None]:
    """Delete an environment. 409 while hosts are in it, or another one requires it."""
    environments.delete(caller(request), _find(id))
    return Status(204, None)


def serialize(environment: Environment) -> EnvironmentOut:
    """Return an environment. Load its approvers first."""
    own = environments.shown(environment)
    more = {name: getattr(environment, name) for name in EnvironmentOut.model_fields if name not in own}
    return EnvironmentOut.model_construct(**own, **more)


def _find(number: int) -> Environment:
    environment = Environment.objects.select_related("approvers").filter(pk=number).first()
    if environment is None:
        raise not_found("environment")
    return environment
