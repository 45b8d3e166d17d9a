"""/services/{service}/versions/: versions, and the packages they consist of."""

from collections.abc import Callable, Iterable

from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from ninja import Query, Router, Status

from access import sessions, url_userinfo
from access.authentication import caller_of
from access.problems import invalid, unauthorized
from messages.invalid import InvalidValue
from microservice import catalog
from microservice.models import MicroService, MicroServiceInstance, MicroServiceVersion
from microservice.publishing import upload, versions
from microservice.status import BuildStatus

from .. import paging, uploads
from ..auth import caller, needs
from ..schemas import base

router = Router()
KINDS = "A .tar.gz, .tar, .tar.bz2, .tar.xz or .zip"


@router.get("/services/{service}/versions/", response=base.VersionList)
@needs("read")
def list_versions(
    request: HttpRequest,
    service: str,
    query: paging.Page,
    status: str = Query("", description="Number or word"),
    ref: str = "",
):
    """A service's versions, newest first."""
    rows = catalog.find_service(caller(request), service).versions.all()
    if status:
        rows = rows.filter(status=_build_status(status))
    if ref:
        rows = rows.filter(ref=ref)
    found = paging.page(query, rows)
    running = count_instances(found.rows)
    return found.answer(base.VersionList, lambda version: form(version, running.get(version.pk, 0)))


@router.post(
    "/services/{service}/versions/",
    response={201: base.VersionOut, 200: base.VersionOut},
    openapi_extra={
        "requestBody": {
            "content": {
                uploads.FORM: {
                    "schema": {
                        "type": "object",
                        "required": ["package"],
                        "properties": {
                            "version": {"type": "string"},
                            "commit": {"type": "string"},
                            "committed": {"type": "string", "format": "date-time"},
                            "ref": {"type": "string"},
                            "description": {"type": "string"},
                            "package": {"type": "string", "format": "binary", "description": KINDS},
                        },
                    }
                }
            }
        }
    },
)
@needs("publish", form=True)
def create_version(request: HttpRequest, service: str, body: base.VersionCreate, response: HttpResponse):
    """Makes a version: 201. The same again answers 200 with the one that is there; other content is a 409.

    As JSON (the package follows with PUT), or as multipart/form-data with the package: both are kept, or neither.
    """
    found = catalog.find_service(caller(request), service, "publish")
    package = uploads.file(request, "package")
    if package is None:
        version, is_new = catalog.create_version(caller(request), found, body.named())
    else:
        version, is_new = upload.publish(
            caller(request),
            found,
            body.named(),
            upload.Body(package, package.size, _again(request, found)),
            request.headers.get("Content-Digest", ""),
        )
    response["Location"] = f"/api/v1/services/{found.pk}/versions/{version.pk}"
    return Status(201 if is_new else 200, _formed(version))


@router.get("/services/{service}/versions/{id}", response=base.VersionOut)
@needs("read")
def get_version(request: HttpRequest, service: str, id: base.PathId):
    """One version."""
    return _formed(catalog.find_version(catalog.find_service(caller(request), service), id))


@router.patch("/services/{service}/versions/{id}", response=base.VersionOut)
@needs("publish")
def change_version(request: HttpRequest, service: str, id: base.PathId, body: base.VersionUpdate):
    """Moves the status on, marks as bad, or changes the description; what is built stays as it is."""
    found = catalog.find_service(caller(request), service, "publish")
    return _formed(versions.change(caller(request), catalog.find_version(found, id), body.given()))


@router.delete("/services/{service}/versions/{id}", response={204: None})
@needs("admin", owners=True)
def delete_version(request: HttpRequest, service: str, id: base.PathId, reason: str = Query("", max_length=500)):
    """Removes a version and its package where nothing needs it; deployments and history keep its name.

    409 names where it runs, may be reverted to, is to be retried or is on its way. The name can be used again.
    """
    found = catalog.find_service(caller(request), service, "admin")
    catalog.delete_version(caller(request), catalog.find_version(found, id), reason)
    return Status(204, None)


PACKAGE = {
    "requestBody": {
        "required": True,
        "content": {
            kind: {"schema": {"type": "string", "format": "binary"}}
            for kind in ("application/gzip", "application/octet-stream", "application/zip", "application/x-tar")
        },
    },
    "parameters": [
        {
            "name": "Content-Digest",
            "in": "header",
            "schema": {"type": "string"},
            "description": "sha-256=:base64: (RFC 9530); verified where it is given",
        }
    ],
}


@router.put("/services/{service}/versions/{id}/package", response=base.VersionOut, openapi_extra=PACKAGE)
@needs("publish", streams=True)
def put_package(request: HttpRequest, service: str, id: base.PathId):
    """Takes the raw bytes of an archive into the store and moves the version to success.

    A .tar.gz, .tar, .tar.bz2, .tar.xz or .zip: what is stored is a .tar.gz.
    """
    found = catalog.find_service(caller(request), service, "publish")
    body = upload.body_of(request)
    body.at_end = _again(request, found)
    digest = request.headers.get("Content-Digest", "")
    with uploads.turn(caller(request)):
        return _formed(upload.store(caller(request), catalog.find_version(found, id), body, digest))


def _again(request: HttpRequest, service: MicroService) -> Callable[[], object]:
    """Asks once more whether the caller may publish: a package that came for hours is none of somebody's who was shut
    out meanwhile."""

    def ask() -> None:
        who = caller_of(request)
        if who is None or (who.session_id and not sessions.keep_open(who.session_id)):
            raise unauthorized("unauthorized.session_ended")
        catalog.find_service(who, service.pk, "publish")

    return ask


def count_instances(versions: Iterable[MicroServiceVersion]) -> dict[int, int]:
    """{version id: instances that run it}, in one statement; versions that run nowhere are not in it."""
    rows = MicroServiceInstance.objects.filter(version__in=[version.pk for version in versions])
    return dict(rows.order_by().values_list("version").annotate(Count("pk")))


def form(version: MicroServiceVersion, instances: int) -> base.VersionOut:
    """A version as the API gives it."""
    own = set(base.VersionOut.model_fields) - {"status_str", "instances", "build_detail", "build_detail_params"}
    return base.VersionOut.model_construct(
        **{name: getattr(version, name) for name in own},
        status_str=BuildStatus(version.status).label,
        instances=instances,
        build_detail=url_userinfo.hidden(version.build_detail),
        build_detail_params=url_userinfo.hidden_in(version.build_detail_params),
    )


def _formed(version: MicroServiceVersion) -> base.VersionOut:
    return form(version, count_instances([version]).get(version.pk, 0))


def _build_status(text: str) -> int:
    try:
        return base.number_or_word(BuildStatus)(text)
    except InvalidValue as error:
        raise invalid("/query/status", error.reason) from error
