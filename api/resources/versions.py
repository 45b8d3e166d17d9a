"""/services/{service}/versions/: versions and their packages."""

from collections.abc import Callable, Iterable

from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from ninja import Query, Router, Status

from access import sessions, url_userinfo
from access.authentication import caller_of
from access.problems import invalid, unauthorized
from integrations.images.pages import ImagePages
from messages.invalid import InvalidValue
from microservice import catalog
from microservice.models import MicroService, MicroServiceInstance, MicroServiceVersion
from microservice.publishing import images, upload, versions
from microservice.status import BuildStatus

from .. import paging, uploads
from ..auth import caller, needs
from ..schemas import base
from ..schemas.versions import VersionCreate, VersionList, VersionOut, VersionUpdate

router = Router()
KINDS = "A .tar.gz, .tar, .tar.bz2, .tar.xz or .zip"


@router.get("/services/{service}/versions/", response=VersionList, summary="List versions")
@needs("read")
def list_versions(
    request: HttpRequest,
    service: str,
    query: paging.Page,
    status: str = Query("", description="Number or word"),
    ref: str = "",
) -> VersionList:
    """List the versions of a service, newest first."""
    rows = catalog.find_service(caller(request), service).versions.all()
    if status:
        rows = rows.filter(status=_build_status(status))
    if ref:
        rows = rows.filter(ref=ref)
    page = paging.page(query, rows)
    running = count_instances(page.rows)
    pages = ImagePages()
    return page.answer(VersionList, lambda version: serialize(version, running.get(version.pk, 0), pages))


@router.post(
    "/services/{service}/versions/",
    response={201: VersionOut, 200: VersionOut},
    openapi_extra={
        "requestBody": {
            "content": {
                uploads.FORM: {
                    "schema": {
                        "type": "object",
                        "properties": {
                            "version": {"type": "string"},
                            "commit": {"type": "string"},
                            "committed": {"type": "string", "format": "date-time"},
                            "ref": {"type": "string"},
                            "description": {"type": "string"},
                            "image": {"type": "string", "description": "Instead of a package"},
                            "package": {"type": "string", "format": "binary", "description": KINDS},
                        },
                    }
                }
            }
        }
    },
    summary="Create a version",
)
@needs("publish", form=True, outside_with="image")
def create_version(
    request: HttpRequest, service: str, body: VersionCreate, response: HttpResponse
) -> Status[VersionOut]:
    """Create a version: 201. An equal request answers 200 with the existing version; other content is 409.

    Send JSON (the package follows with PUT), or multipart/form-data with the package: both are saved, or neither. With
    `image` the version is that image: its tag is resolved at the registry once, and the version keeps the digest. If
    the tag means another digest when the request is repeated, the answer is 409 with both.
    """
    row = catalog.find_service(caller(request), service, "publish")
    fields = body.named()
    image = fields.pop("image", None)
    if image is not None and request.FILES:
        raise invalid("/image", "image_or_package")
    package = uploads.file(request, "package") if image is None else None
    if image is not None:
        with uploads.turn(caller(request)):
            version, is_new = images.publish(caller(request), row, fields, image)
    elif package is None:
        version, is_new = catalog.create_version(caller(request), row, fields)
    else:
        version, is_new = upload.publish(
            caller(request),
            row,
            fields,
            upload.Body(package, package.size, _again(request, row)),
            request.headers.get("Content-Digest", ""),
        )
    response["Location"] = f"/api/v1/services/{row.pk}/versions/{version.pk}"
    return Status(201 if is_new else 200, _serialize_one(version))


@router.get("/services/{service}/versions/{id}", response=VersionOut, summary="Get a version")
@needs("read")
def get_version(request: HttpRequest, service: str, id: base.PathId) -> VersionOut:
    """Return a version."""
    return _serialize_one(catalog.find_version(catalog.find_service(caller(request), service), id))


@router.patch("/services/{service}/versions/{id}", response=VersionOut, summary="Update a version")
@needs("publish")
def change_version(request: HttpRequest, service: str, id: base.PathId, body: VersionUpdate) -> VersionOut:
    """Advance the build status, mark as bad, or change the description; a built package never changes."""
    row = catalog.find_service(caller(request), service, "publish")
    return _serialize_one(versions.change(caller(request), catalog.find_version(row, id), body.given()))


@router.delete("/services/{service}/versions/{id}", response={204: None}, summary="Delete a version")
@needs("admin", owners=True)
def delete_version(
    request: HttpRequest, service: str, id: base.PathId, reason: str = Query("", max_length=500)
) -> Status[None]:
    """Delete a version and its package, if nothing needs it; deployments and history keep its name.

    409 names where it runs, may be reverted to, is to be retried or is being deployed. Its name can be used again.
    """
    row = catalog.find_service(caller(request), service, "admin")
    catalog.delete_version(caller(request), catalog.find_version(row, id), reason)
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


@router.put(
    "/services/{service}/versions/{id}/package",
    response=VersionOut,
    openapi_extra=PACKAGE,
    summary="Upload a package",
)
@needs("publish", streams=True)
def put_package(request: HttpRequest, service: str, id: base.PathId) -> VersionOut:
    """Store the raw bytes of an archive and set the build status to success.

    A .tar.gz, .tar, .tar.bz2, .tar.xz or .zip; it is stored as a .tar.gz.
    """
    found = catalog.find_service(caller(request), service, "publish")
    body = upload.body_of(request)
    body.at_end = _again(request, found)
    digest = request.headers.get("Content-Digest", "")
    with uploads.turn(caller(request)):
        return _serialize_one(upload.store(caller(request), catalog.find_version(found, id), body, digest))


def _again(request: HttpRequest, service: MicroService) -> Callable[[], object]:
    """Return a function that checks again that the caller may publish: an upload may take hours, and the account may be
    deactivated meanwhile."""

    def ask() -> None:
        who = caller_of(request)
        if who is None or (who.session_id and not sessions.keep_open(who.session_id)):
            raise unauthorized("unauthorized.session_ended")
        catalog.find_service(who, service.pk, "publish")

    return ask


def count_instances(versions: Iterable[MicroServiceVersion]) -> dict[int, int]:
    """Return {version id: number of instances that run it}, in one statement, without versions that run nowhere."""
    rows = MicroServiceInstance.objects.filter(version__in=[version.pk for version in versions])
    return dict(rows.order_by().values_list("version").annotate(Count("pk")))


def serialize(version: MicroServiceVersion, instances: int, pages: ImagePages) -> VersionOut:
    """Return a version as the API shows it."""
    made = {"status_str", "instances", "build_detail", "build_detail_params", "image_url"}
    return VersionOut.model_construct(
        **{name: getattr(version, name) for name in set(VersionOut.model_fields) - made},
        image_url=pages.of(version.image),
        status_str=BuildStatus(version.status).label,
        instances=instances,
        build_detail=url_userinfo.hidden(version.build_detail),
        build_detail_params=url_userinfo.hidden_in(version.build_detail_params),
    )


def _serialize_one(version: MicroServiceVersion) -> VersionOut:
    return serialize(version, count_instances([version]).get(version.pk, 0), ImagePages())


def _build_status(text: str) -> int:
    try:
        return base.number_or_word(BuildStatus)(text)
    except InvalidValue as error:
        raise invalid("/query/status", error.reason) from error
