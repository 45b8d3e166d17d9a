"""/freezes/: the times in which environments take no new deployments."""

from collections.abc import Iterable
from datetime import datetime
from itertools import islice

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from ninja import Field, Query, Router, Schema, Status
from pydantic import StrictBool, StrictInt, StrictStr

from access.problems import invalid, not_found
from asset import environments
from microservice.deployments import freeze_changes, freezes
from microservice.deployments.recurrences import spans, until
from microservice.models import Freeze

from .. import paging
from ..auth import caller, needs
from ..schemas import base

router = Router()

NEXT = 3  # times that are shown


class FreezeUpdate(base.Body):
    """The fields of a freeze to change; the others stay."""

    name: StrictStr = ""
    reason: StrictStr = Field("", description="Shown wherever something waits for its end")
    everywhere: StrictBool = Field(False, description="In all environments, also those that are added later")
    environments: list[StrictInt | StrictStr] = Field([], description="Ids or names")
    start: StrictStr = Field(
        "", description="Its first start: RFC 3339, or without an offset a clock time in time_zone: 2027-01-29T16:00"
    )
    end: StrictStr = Field("", description="Its first end, in the same form")
    recurrence: StrictStr = Field("", description="A rule of RFC 5545, such as FREQ=WEEKLY;BYDAY=FR. Empty: once")
    time_zone: StrictStr = Field(
        "UTC", description="Of the IANA database, such as Europe/Berlin: it begins and ends at the clock times there"
    )
    allow_reverts: StrictBool = Field(True, description="Reverts and retries go on meanwhile")


class FreezeCreate(FreezeUpdate):
    """A new freeze. `everywhere`, or at least one of `environments`, is required too."""

    name: StrictStr
    reason: StrictStr = Field(description="Shown wherever something waits for its end")
    start: StrictStr = Field(
        description="Its first start: RFC 3339, or without an offset a clock time in time_zone: 2027-01-29T16:00"
    )
    end: StrictStr = Field(description="Its first end, in the same form")


class FreezeTime(Schema):
    start: datetime
    end: datetime


class FreezeOut(Schema):
    id: int
    name: str
    reason: str
    everywhere: bool
    environments: list[str]
    start: datetime = Field(description="In its time zone")
    end: datetime
    recurrence: str
    time_zone: str
    allow_reverts: bool
    until: datetime | None = Field(description="When it ends, if it holds now; else null")
    next: list[FreezeTime] = Field(description="The next three times that it holds; that of now is the first")
    created: datetime
    created_by: str
    updated: datetime
    updated_by: str


class FreezeList(base.ListPage):
    data: list[FreezeOut]


@router.get("/freezes/", response=FreezeList, summary="List freezes")
@needs("read", bound="deploy")
def list_freezes(
    request: HttpRequest,
    query: paging.Page,
    environment: str | None = Query(None, description="Only those of an environment, by its name"),
    in_force: bool | None = Query(None, description="Only those that hold now, or do not"),
) -> FreezeList:
    """List the freezes by name."""
    rows: Iterable[Freeze] = Freeze.objects.prefetch_related("environments")
    if environment is not None:
        place = environments.find(environment)
        if place is None:
            raise invalid("/query/environment", "no_such_environment")
        rows = freezes.of(place.pk).prefetch_related("environments")
    now = timezone.now()
    if in_force is not None:
        rows = [row for row in rows if (freezes.freeze_until(row, now) is not None) == in_force]
    return paging.page_of(query, list(rows)).answer(FreezeList, serialize)


@router.post("/freezes/", response={201: FreezeOut}, summary="Create a freeze")
@needs("admin")
def create_freeze(request: HttpRequest, body: FreezeCreate, response: HttpResponse) -> Status[FreezeOut]:
    """Create a freeze. What runs when it begins goes on; what is asked for meanwhile waits for its end."""
    made = freeze_changes.create(caller(request), body.given())
    response["Location"] = f"/api/v1/freezes/{made.pk}"
    return Status(201, serialize(made))


@router.get("/freezes/{id}", response=FreezeOut, summary="Get a freeze")
@needs("read", bound="deploy")
def get_freeze(request: HttpRequest, id: base.PathId) -> FreezeOut:
    """Return a freeze."""
    return serialize(_find(id))


@router.patch("/freezes/{id}", response=FreezeOut, summary="Update a freeze")
@needs("admin")
def change_freeze(request: HttpRequest, id: base.PathId, body: FreezeUpdate) -> FreezeOut:
    """Change the named fields. Where only the time zone changes, the clock times stay."""
    return serialize(freeze_changes.change(caller(request), _find(id), body.given()))


@router.delete("/freezes/{id}", response={204: None}, summary="Delete a freeze")
@needs("admin")
def delete_freeze(request: HttpRequest, id: base.PathId) -> Status[None]:
    """Delete a freeze. What waits only for its end begins."""
    freeze_changes.delete(caller(request), _find(id))
    return Status(204, None)


def serialize(freeze: Freeze) -> FreezeOut:
    times, now = freezes.times_of(freeze), timezone.now()
    shown = freeze_changes.shown(freeze)
    shown |= {name: getattr(freeze, name).astimezone(times.zone) for name in ("start", "end")}
    return FreezeOut.model_construct(
        id=freeze.pk,
        **shown,
        until=until(times, now),
        next=[FreezeTime(start=one.start, end=one.end) for one in islice(spans(times, now), NEXT)],
        **{name: getattr(freeze, name) for name in ("created", "created_by", "updated", "updated_by")},
    )


def _find(number: int) -> Freeze:
    freeze = Freeze.objects.filter(pk=number).first()
    if freeze is None:
        raise not_found("freeze")
    return freeze
