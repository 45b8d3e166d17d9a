"""/callbacks/: URLs that receive event messages, and the deliveries of these."""

import json
from datetime import datetime
from typing import Any

from django.http import HttpRequest, HttpResponse
from ninja import Field, Query, Router, Schema, Status
from pydantic import StrictBool

from access.problems import not_found
from access.secrets import reveal
from callbacks import redelivery, sender, subscriptions
from callbacks.models import Callback, Delivery, DeliveryState, EventType

from .. import paging
from ..auth import caller, needs
from ..schemas import base

router = Router()
EVENTS = ", ".join(EventType.values)


class CallbackUpdate(base.Body):
    """A callback's fields; what is not named stays."""

    url: base.Text = ""
    headers: dict[base.Text, base.Text] = Field({}, description="Sent with every message; values may be secrets")
    secret: base.Text = Field("", description="whsec_ and base64; made here where none is given. Write-only")
    events: list[base.Text] = Field([], description=f"Some of {EVENTS}; all where none are named")
    active: StrictBool = True


class CallbackCreate(CallbackUpdate):
    url: base.Text


class CallbackOut(Schema):
    id: int
    url: str
    headers: dict[str, str] = Field(description="What looks like a secret is left out")
    events: list[str]
    active: bool
    created: datetime
    created_by: str
    request: str = Field(description="The request that it belongs to, such as build:12; empty: a subscription")


class CallbackCreated(CallbackOut):
    secret: str = Field(description="Shown this once")


class CallbackList(base.ListPage):
    data: list[CallbackOut]


class DeliveryOut(Schema):
    id: int
    event: str
    message_id: str
    url: str
    headers: dict[str, str] = Field(description="As sent last")
    body: str
    state: str = Field(description="pending, delivered or failed")
    answer_status: int | None
    answer: str = Field(description="The first part of the answer's body")
    error: str
    error_code: str = Field(description="Names the error; empty where there is none")
    error_params: dict[str, Any]
    attempts: int
    took: int | None = Field(description="Milliseconds")
    created: datetime
    sent: datetime | None
    due: datetime | None = Field(description="When it is tried next; null where it is not")


class DeliveryList(base.ListPage):
    data: list[DeliveryOut]


@router.get("/callbacks/", response=CallbackList, summary="List callbacks")
@needs("admin")
def list_callbacks(
    request: HttpRequest,
    query: paging.Page,
    of_requests: bool = Query(False, description="Those of single requests, such as of builds, instead"),
) -> CallbackList:
    """List the callbacks that subscribe to events, without their secrets."""
    rows = Callback.objects.exclude(request="") if of_requests else Callback.objects.filter(request="")
    return paging.page(query, rows).answer(CallbackList, serialize)


@router.post("/callbacks/", response={201: CallbackCreated}, summary="Create a callback")
@needs("admin")
def create_callback(request: HttpRequest, body: CallbackCreate, response: HttpResponse) -> Status[CallbackCreated]:
    """Create a callback. Only this answer contains its secret."""
    row, secret = subscriptions.create(caller(request), body.given())
    response["Location"] = f"/api/v1/callbacks/{row.pk}"
    return Status(201, CallbackCreated.model_construct(**dict(serialize(row)), secret=secret))


@router.get("/callbacks/{id}", response=CallbackOut, summary="Get a callback")
@needs("admin")
def get_callback(request: HttpRequest, id: base.PathId) -> CallbackOut:
    """Return a callback, without its secret."""
    return serialize(subscriptions.find(id))


@router.patch("/callbacks/{id}", response=CallbackOut, summary="Update a callback")
@needs("admin")
def change_callback(request: HttpRequest, id: base.PathId, body: CallbackUpdate) -> CallbackOut:
    """Change the named fields."""
    return serialize(subscriptions.change(caller(request), subscriptions.find(id), body.given()))


@router.delete("/callbacks/{id}", response={204: None}, summary="Delete a callback")
@needs("admin")
def delete_callback(request: HttpRequest, id: base.PathId) -> Status[None]:
    """Delete a callback with its deliveries."""
    subscriptions.delete(caller(request), subscriptions.find(id))
    return Status(204, None)


@router.post("/callbacks/{id}/test", response=DeliveryOut, summary="Test a callback")
@needs("admin", outside=True)
def test_callback(request: HttpRequest, id: base.PathId) -> DeliveryOut:
    """Send the newest message again now, and return the request and the response, within 10 s."""
    return serialize_delivery(redelivery.send_test(subscriptions.find(id)))


@router.get("/callbacks/{id}/deliveries", response=DeliveryList, summary="List deliveries")
@needs("admin")
def list_deliveries(request: HttpRequest, id: base.PathId, query: paging.Page) -> DeliveryList:
    """List the deliveries of a callback, newest first, with each response."""
    return paging.page(query, Delivery.objects.filter(callback=subscriptions.find(id))).answer(
        DeliveryList, serialize_delivery
    )


@router.post(
    "/callbacks/{id}/deliveries/{number}/redeliver", response={202: DeliveryOut}, summary="Redeliver a message"
)
@needs("admin")
def redeliver(request: HttpRequest, id: base.PathId, number: base.PathId) -> Status[DeliveryOut]:
    """Send a message again with its old id, and retry it for up to another day."""
    row = Delivery.objects.select_related("callback").filter(callback=subscriptions.find(id), pk=number).first()
    if row is None:
        raise not_found("delivery")
    return Status(202, serialize_delivery(redelivery.redeliver(caller(request), row)))


def serialize(row: Callback) -> CallbackOut:
    headers = json.loads(reveal(row.headers)) if row.headers else {}
    return CallbackOut.model_construct(
        **{name: getattr(row, name) for name in set(CallbackOut.model_fields) - {"headers"}},
        headers=sender.redacted_headers(headers),
    )


def serialize_delivery(row: Delivery) -> DeliveryOut:
    return DeliveryOut.model_construct(
        **{name: getattr(row, name) for name in set(DeliveryOut.model_fields) - {"due"}},
        due=row.due if row.state == DeliveryState.PENDING else None,
    )
