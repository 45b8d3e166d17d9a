"""/services/{service}/versions/{id}/build and /builds/{origin}/webhook."""

from datetime import datetime
from typing import Annotated, Any

from django.http import HttpRequest, HttpResponse
from ninja import Field, Query, Router, Schema, Status
from pydantic import StrictBool

from access import url_userinfo
from access.problems import invalid, not_found
from builds import build_callbacks, build_requests, builders, cancelling, listing, reports
from builds.models import Build, Builder
from callbacks import request_callbacks
from callbacks.models import Callback, Delivery
from microservice import catalog
from microservice.models import MicroServiceVersion
from microservice.status import BuildStatus
from runtime.ids import parse_number

from .. import paging
from ..auth import caller, needs
from ..schemas import base
from ..schemas import builds as shapes
from ..schemas.base import Body

router = Router()
MOST = 100  # attempts in one answer
WEBHOOK = {
    "security": [],
    "requestBody": {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}},
    "parameters": [
        {"name": name, "in": "header", "schema": {"type": "string"}, "description": told}
        for name, told in (
            ("X-Gitlab-Token", "GitLab: the secret that was set up"),
            ("webhook-id", "Others: which report it is"),
            ("webhook-timestamp", "Others: unix seconds"),
            ("webhook-signature", "Others: v1,base64 of HMAC-SHA256 over id.timestamp.body"),
        )
    ],
}


class BuildRequest(Body):
    """Options of a build."""

    again: StrictBool = Field(False, description="Also if the last attempt failed, timed out or was a duplicate")
    even_built: StrictBool = Field(False, description="Also if the commit is already built, as another version")
    callback_url: base.Text = Field("", description="Receives a message when this build ends")
    callback_headers: dict[base.Text, base.Text] = Field(
        {}, description="Sent with that message; values may be secrets. Write-only"
    )
    callback_secret: base.Text = Field("", description="whsec_ and base64: signs that message. Write-only")
    callback_state: Any = Field(None, description="A text or JSON that the message returns as `callback_state`")


class CancelRequest(Body):
    """Options of a cancellation."""

    reason: base.Text = Field("", description="Why; kept in the history and shown with the build")


class BuildCallbackOut(Schema):
    id: int
    server: str = Field(description="Scheme, host and port of the URL, whose path may be a secret")
    state: str = Field(description="waiting: the build goes on; pending, delivered or failed")
    attempts: int
    answer_status: int | None
    error: str
    error_code: str = Field(description="Names the error; empty where there is none")
    error_params: dict[str, Any]
    sent: datetime | None = Field(description="When it was sent last")


class BuildOut(Schema):
    id: int
    attempt: int = Field(description="Which of the version's attempts it is, from 1")
    version_id: int
    origin: str
    status: int
    status_str: str
    detail: str = Field(description="Why it has its status, in English")
    detail_code: str = Field(description="The code of that sentence; empty for a sentence of the build server")
    detail_params: dict[str, Any] = Field(description="The parameters of that sentence")
    commit: str
    reference: str = Field(description="Its name at the build provider")
    url: str
    dockerfile: str = Field(description="Of an image: the Dockerfile as the engine got it")
    base: str = Field(description="Of an image: the base with the digest that it had then")
    image: str = Field(description="Of an image: what was pushed, registry/name@sha256:…")
    log: str = Field(description="The end of its output")
    duplicate_of: int | None = Field(description="The version with the same commit")
    requested_by: str
    even_built: bool = Field(description="Requested although the commit was built already")
    created: datetime
    started: datetime | None
    finished: datetime | None
    callbacks: list[BuildCallbackOut] = Field(description="Those that requests for this build named")


class BuildList(Schema):
    data: list[BuildOut] = Field(description="Newest first; at most 100")
    count: int = Field(description="How many there were")


class WebhookAccepted(Schema):
    result: str = Field(description="moved, unchanged, or doubled: it came before")


@router.post("/services/{service}/versions/{id}/build", response={202: BuildOut}, summary="Start a build")
@needs("publish")
def start_build(
    request: HttpRequest, service: str, id: base.PathId, response: HttpResponse, body: BuildRequest | None = None
) -> Status[BuildOut]:
    """Start the build of a version at its build server. While it runs, the same request returns the same build.

    `again` builds a version once more whose build failed, under the same name; a successful build is never repeated.
    `callback_url` is told of the build's end, of one that is open already too.
    """
    row = catalog.find_service(caller(request), service, "publish")
    given = body.given() if body else {}
    options = {name: given.get(name, False) for name in ("again", "even_built")}
    callback = request_callbacks.requested(given)
    build = build_requests.start(caller(request), catalog.find_version(row, id), **options, callback=callback)
    response["Location"] = f"/api/v1/services/{row.pk}/versions/{id}/build"
    return Status(202, _newest(build.version))


@router.post("/services/{service}/versions/{id}/build/cancel", response=BuildOut, summary="Cancel a build")
@needs("publish")
def cancel_build(request: HttpRequest, service: str, id: base.PathId, body: CancelRequest | None = None) -> BuildOut:
    """End the version's build, here and at its build server. It may be built again. The same request again changes
    nothing; a build that has ended otherwise is refused.
    """
    row = catalog.find_service(caller(request), service, "publish")
    version = catalog.find_version(row, id)
    cancelling.cancel(caller(request), version, body.reason if body else "")
    return _newest(version)


@router.get("/services/{service}/versions/{id}/build", response=BuildOut, summary="Get the newest build")
@needs("read")
def get_build(request: HttpRequest, service: str, id: base.PathId) -> BuildOut:
    """Return the newest build of the version."""
    return _newest(catalog.find_version(catalog.find_service(caller(request), service), id))


@router.get("/services/{service}/versions/{id}/builds/", response=BuildList, summary="List builds")
@needs("read")
def list_builds(request: HttpRequest, service: str, id: base.PathId) -> dict[str, Any]:
    """List every build of the version, newest first: who requested it, its output, and how it ended."""
    version = catalog.find_version(catalog.find_service(caller(request), service), id)
    count = build_requests.attempts(version).count()
    rows = build_requests.attempts(version)[:MOST]
    told = build_callbacks.of(rows)
    data = [serialize(row, count - number, told.get(row.pk, [])) for number, row in enumerate(rows)]
    return {"data": data, "count": count}


@router.get("/builds/", response=shapes.BuildRows, summary="List all builds")
@needs("read")
def list_all_builds(
    request: HttpRequest,
    query: paging.Page,
    since: Annotated[base.Moment | None, Query(description="RFC 3339; requested from this moment on")] = None,
    service: str = Query("", description="Id or name"),
    status: str = Query("", description="open, or a status of builds"),
    origin: str = "",
    requested_by: str = "",
) -> shapes.BuildRows:
    """List the builds of all services, newest first. The output of each is in the list of its version's builds."""
    who = caller(request)
    filters = {
        "service": catalog.find_service(who, service).name if service else "",
        "status": _word(status, listing.STATUSES, "/query/status"),
        "origin": _word(origin, listing.ORIGINS, "/query/origin"),
        "requested_by": requested_by,
    }
    return paging.page(query, listing.builds(who, filters, since)).answer(shapes.BuildRows, shapes.row)


def _word(text: str, words: tuple[str, ...], pointer: str) -> str:
    if text and text not in words:
        raise invalid(pointer, "not_one_of", choices=list(words))
    return text


class BuilderOut(Schema):
    worker: str
    seen: datetime
    means: str = Field(description="bubblewrap, namespaces, off, or none: git builds are refused there")
    network: str = Field(description="pasta, none, or host: no sandbox")
    memory: str = Field(description="What limits it: cgroup2, cgroup1, or watched")
    missing: list[str] = Field(description="What is missing, and what to install")


class BuilderList(Schema):
    data: list[BuilderOut]
    limits: dict[str, int] = Field(description="Of each build: memory and disk in MiB, processes, seconds")


@router.get("/builds/sandbox", response=BuilderList, summary="List build workers")
@needs("read")
def list_builders(request: HttpRequest) -> dict[str, Any]:
    """List the workers that build from git, with the sandbox of each."""
    return {"data": [serialize_builder(row) for row in builders.recent()], "limits": builders.limits()}


@router.post(
    "/builds/{origin}/webhook", response=WebhookAccepted, openapi_extra=WEBHOOK, summary="Receive a build report"
)
@needs("read", signed=True)
def receive_webhook(request: HttpRequest, origin: str) -> dict[str, str]:
    """Receive the report of a build server, verified by GitLab's token or an HMAC signature. A repeated report counts
    once.
    """
    if parse_number(request.META.get("CONTENT_LENGTH") or "0", reports.MAX_REPORT_BYTES) is None:
        raise reports.too_large()  # and not read
    return {"result": reports.receive(origin, request.headers, request.body)}


def serialize_builder(row: Builder) -> BuilderOut:
    return BuilderOut(
        worker=row.worker,
        seen=row.seen,
        means=row.means,
        network=row.network,
        memory=row.memory,
        missing=row.missing_sentences,
    )


def serialize(build: Build, attempt: int, told: build_callbacks.Told | None = None) -> BuildOut:
    own = set(BuildOut.model_fields) - {
        "status_str",
        "duplicate_of",
        "detail",
        "detail_params",
        "log",
        "attempt",
        "callbacks",
    }
    other = build.duplicate_of
    return BuildOut.model_construct(
        **{name: getattr(build, name) for name in own},
        status_str=BuildStatus(build.status).label,
        duplicate_of=other.version_id if other else None,
        attempt=attempt,
        detail=url_userinfo.hidden(build.detail),
        detail_params=url_userinfo.hidden_in(build.detail_params),
        log=url_userinfo.hidden(build.log),  # rows from before addresses had none
        callbacks=[serialize_callback(row, newest) for row, newest in told or []],
    )


def serialize_callback(row: Callback, newest: Delivery | None) -> BuildCallbackOut:
    """Return what everyone who sees a build may know: neither the URL's path nor the receiver's answer."""
    of_delivery = ("state", "attempts", "answer_status", "error", "error_code", "error_params", "sent")
    shown = newest or Delivery(state=build_callbacks.WAITING)
    return BuildCallbackOut.model_construct(
        id=row.pk, server=row.server, **{name: getattr(shown, name) for name in of_delivery}
    )


def _newest(version: MicroServiceVersion) -> BuildOut:
    build = build_requests.newest(version)
    if build is None:
        raise not_found("build")
    told = build_callbacks.of([build]).get(build.pk, [])
    return serialize(build, build_requests.attempts(version).count(), told)
