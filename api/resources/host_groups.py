"""/host-groups/: names for the hosts that have certain labels."""

from datetime import datetime
from typing import Any

from django.http import HttpRequest, HttpResponse
from ninja import Field, Router, Schema, Status
from pydantic import StrictStr

from access.problems import not_found
from asset import host_groups
from asset.models import HostGroup

from .. import paging
from ..auth import caller, needs
from ..schemas import base

router = Router()
SELECTOR = "Hosts that have all of these labels: {name: value}; null for any value"


class HostGroupUpdate(base.Body):
    """The fields of a host group to change; the others stay."""

    name: StrictStr = ""
    labels: dict[str, Any] = Field({}, description=SELECTOR)
    description: StrictStr = ""


class HostGroupCreate(HostGroupUpdate):
    name: StrictStr
    labels: dict[str, Any] = Field(description=SELECTOR)


class HostGroupOut(Schema):
    id: int
    name: str
    labels: dict[str, str | None]
    description: str
    created: datetime
    created_by: str
    updated: datetime
    updated_by: str


class HostGroupList(base.ListPage):
    data: list[HostGroupOut]


@router.get("/host-groups/", response=HostGroupList, summary="List host groups")
@needs("read", bound="deploy")
def list_host_groups(request: HttpRequest, query: paging.Page) -> HostGroupList:
    """List the host groups by name."""
    return paging.page(query, HostGroup.objects.all(), "name").answer(HostGroupList, serialize)


@router.post("/host-groups/", response={201: HostGroupOut}, summary="Create a host group")
@needs("admin")
def create_host_group(request: HttpRequest, body: HostGroupCreate, response: HttpResponse) -> Status[HostGroupOut]:
    """Create a host group."""
    group = host_groups.create(caller(request), body.given())
    response["Location"] = f"/api/v1/host-groups/{group.pk}"
    return Status(201, serialize(group))


@router.get("/host-groups/{id}", response=HostGroupOut, summary="Get a host group")
@needs("read", bound="deploy")
def get_host_group(request: HttpRequest, id: base.PathId) -> HostGroupOut:
    """Return a host group."""
    return serialize(_find(id))


@router.patch("/host-groups/{id}", response=HostGroupOut, summary="Update a host group")
@needs("admin")
def change_host_group(request: HttpRequest, id: base.PathId, body: HostGroupUpdate) -> HostGroupOut:
    """Change the named fields."""
    return serialize(host_groups.change(caller(request), _find(id), body.given()))


@router.delete("/host-groups/{id}", response={204: None}, summary="Delete a host group")
@needs("admin")
def delete_host_group(request: HttpRequest, id: base.PathId) -> Status[None]:
    """Delete a host group. Its hosts stay as they are."""
    host_groups.delete(caller(request), _find(id))
    return Status(204, None)


def serialize(group: HostGroup) -> HostGroupOut:
    return HostGroupOut.model_construct(**{name: getattr(group, name) for name in HostGroupOut.model_fields})


def _find(number: int) -> HostGroup:
    group = HostGroup.objects.filter(pk=number).first()
    if group is None:
        raise not_found("host_group")
    return group
