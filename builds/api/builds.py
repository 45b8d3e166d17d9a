"""/services/{service}/versions/{id}/build and /builds/{origin}/webhook."""
from datetime import datetime

from django.http import HttpRequest, HttpResponse
from ninja import Field, Router, Schema, Status

from access import userinfo
from access.problems import not_found
from builds import builders, reports, requests
from builds.models import Build
from microservice import catalog
from microservice.api import schemas
from microservice.api.auth import caller, needs
from microservice.models import MicroServiceVersion
from microservice.status import BuildStatus

router = Router()
WEBHOOK = {
    "security": [],
    "requestBody": {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}},
    "parameters": [{"name": name, "in": "header", "schema": {"type": "string"}, "description": told} for name, told in (
        ("X-Gitlab-Token", "GitLab: the secret that was set up"),
        ("webhook-id", "Others: which report it is"), ("webhook-timestamp", "Others: unix seconds"),
        ("webhook-signature", "Others: v1,base64 of HMAC-SHA256 over id.timestamp.body"),
    )],
}


class BuildOut(Schema):
    id: int
    version_id: int
    origin: str
    status: int
    status_str: str
    detail: str = Field(description="Why it is what it is")
    commit: str
    reference: str = Field(description="What the origin calls it")
    url: str
    log: str = Field(description="The end of what it printed")
    duplicate_of: int | None = Field(description="The version that this one doubles")
    requested_by: str
    created: datetime
    started: datetime | None
    finished: datetime | None


class Taken(Schema):
    result: str = Field(description="moved, unchanged, or doubled: it came before")


@router.post("/services/{service}/versions/{id}/build", response={202: BuildOut})
@needs("publish")
def start_build(request: HttpRequest, service: str, id: schemas.PathId, response: HttpResponse):
    """Starts a pending version's build at its origin. Asked for again while it goes on: the same build."""
    found = catalog.find_service(caller(request), service, "publish")
    build = requests.start(caller(request), catalog.find_version(found, id))
    response["Location"] = f"/api/v1/services/{found.pk}/versions/{id}/build"
    return Status(202, form(_newest(build.version)))


@router.get("/services/{service}/versions/{id}/build", response=BuildOut)
@needs("read")
def get_build(request: HttpRequest, service: str, id: schemas.PathId):
    """The version's newest build."""
    return form(_newest(catalog.find_version(catalog.find_service(caller(request), service), id)))


class BuilderOut(Schema):
    worker: str
    seen: datetime
    means: str = Field(description="bubblewrap, namespaces, off, or none: git builds are refused there")
    network: str = Field(description="pasta, none, or host: no sandbox")
    memory: str = Field(description="What limits it: cgroup2, cgroup1, or watched")
    missing: list[str] = Field(description="What is missing, and what to install")


class Builders(Schema):
    data: list[BuilderOut]
    limits: dict[str, int] = Field(description="Of each build: memory and disk in MiB, processes, seconds")


@router.get("/builds/sandbox", response=Builders)
@needs("read")
def list_builders(request: HttpRequest):
    """What the workers shut git builds in with."""
    return {"data": builders.lately(), "limits": builders.limits()}


@router.post("/builds/{origin}/webhook", response=Taken, openapi_extra=WEBHOOK)
@needs("read", signed=True)
def webhook(request: HttpRequest, origin: str):
    """What a build server reports. Verified by GitLab's token, or by an HMAC signature; the same one counts once."""
    length = request.META.get("CONTENT_LENGTH") or "0"
    if not length.isdigit() or len(length) > 9 or int(length) > reports.LARGEST:
        raise reports.too_large()  # and not read
    return {"result": reports.take_in(origin, request.headers, request.body)}


def form(build: Build) -> BuildOut:
    own = set(BuildOut.model_fields) - {"status_str", "duplicate_of", "detail", "log"}
    other = build.duplicate_of
    return BuildOut.model_construct(
        **{name: getattr(build, name) for name in own}, status_str=BuildStatus(build.status).label,
        duplicate_of=other.version_id if other else None,
        detail=userinfo.hidden(build.detail), log=userinfo.hidden(build.log),  # rows from before addresses had none
    )


def _newest(version: MicroServiceVersion) -> Build:
    found = requests.newest(version)
    if found is None:
        raise not_found("build")
    return found
