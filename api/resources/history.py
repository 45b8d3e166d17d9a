"""/history/: the recorded actions."""

from datetime import datetime
from typing import Annotated, Any

from django.http import HttpRequest
from ninja import Field, Query, Router, Schema

from access.callers import Caller
from audit.models import History
from microservice import catalog
from microservice.catalog import visibility

from .. import paging
from ..auth import caller, needs
from ..schemas import base

router = Router()

Since = Annotated[base.Moment | None, Query(description="RFC 3339; from this moment on")]
Until = Annotated[base.Moment | None, Query(description="RFC 3339; before this moment")]


class ActingToken(Schema):
    id: int
    name: str


class HistoryOut(Schema):
    id: int
    created: datetime
    actor: str
    token: ActingToken | None = Field(description="The token that the actor used; null for a session")
    address: str
    action: str
    subject: str
    subject_id: int | None
    subject_name: str
    service_id: int | None
    before: dict[str, Any] | None = Field(description="The changed fields before the action")
    after: dict[str, Any] | None
    reason: str
    position: int | None = Field(description="Its position in the hash chain; null until it is sealed")
    hash: str = Field(description="Of its content, its position and the previous hash; see `manage.py verify_history`")


class HistoryList(base.ListPage):
    data: list[HistoryOut]


@router.get("/history/", response=HistoryList, summary="List the history")
@needs("read")
def list_history(
    request: HttpRequest,
    query: paging.Page,
    since: Since = None,
    until: Until = None,
    service: str = Query("", description="Id or name"),
    actor: str = "",
    action: str = "",
) -> HistoryList:
    """List the recorded actions, newest first. Those on people, tokens and credentials are for administrators only.

    The values of a service's environment are null for callers who may not deploy it.
    """
    who = caller(request)
    rows = visibility.history(who)
    if since:
        rows = rows.filter(created__gte=since)
    if until:
        rows = rows.filter(created__lt=until)
    if service:
        rows = rows.filter(microservice=catalog.find_service(who, service))
    named = {name: value for name, value in (("actor", actor), ("action", action)) if value}
    return paging.page(query, rows.filter(**named)).answer(HistoryList, lambda row: serialize(who, row))


def serialize(who: Caller, row: History) -> HistoryOut:
    visibility.redact(who, [row])
    same = set(HistoryOut.model_fields) - {"service_id", "token"}
    token = None if row.token_id is None else ActingToken.model_construct(id=row.token_id, name=row.token_name)
    return HistoryOut.model_construct(
        **{name: getattr(row, name) for name in same}, service_id=row.microservice_id, token=token
    )
