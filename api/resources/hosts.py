"""/hosts/: how workers reach each host, the result of the last contact, and the trusted host key."""

from collections.abc import Collection
from typing import Any

from django.db.models import prefetch_related_objects
from django.http import HttpRequest, HttpResponse
from ninja import Query, Router, Status

from access.callers import Caller
from access.problems import invalid, not_found, refused
from asset import environments, host_keys, hosts, imports, label_changes, labels, tenancy
from asset.models import Asset
from microservice.deployments import actions

from .. import paging
from ..auth import NEVER, caller, needs
from ..schemas import base
from ..schemas.hosts import (
    ArchiveRequest,
    HostCreate,
    HostList,
    HostOut,
    HostsChanged,
    HostsUpdate,
    HostUpdate,
    ImportOut,
    TrustRequest,
)

router = Router()

MAX_BYTES = 8 * 1024 * 1024  # in an import
IMPORT_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": {"type": "array", "items": {"type": "object"}}},
            "text/csv": {"schema": {"type": "string"}},
        },
    }
}


@router.get("/hosts/", response=HostList, summary="List hosts")
@needs("read", bound="deploy")
def list_hosts(
    request: HttpRequest,
    query: paging.Page,
    hostname: str = Query("", description="Part of the name"),
    team: str = Query("", description="A team's name"),
    label: str = Query("", description="Labels that they have: zone=eu, or zone for any value; several with blanks"),
    group: str = Query("", description="A host group's name"),
    environment: str = Query("", description="An environment's name or id; 0: hosts in none"),
    archived: bool = Query(False, description="List the archived hosts instead of the others"),
) -> HostList:
    """List the hosts without a team and those of the caller's teams, by name; all hosts for administrators.

    Archived hosts are listed newest first.
    """
    who = caller(request)
    rows = (Asset.every.exclude(archived=None) if archived else Asset.objects.all()).filter(tenancy.visible(who))
    rows = rows.select_related("environment").prefetch_related("teams")
    rows = rows.filter(environments.meant(environment))
    if hostname:
        rows = rows.filter(hostname__icontains=hostname)
    if team:
        rows = rows.filter(teams__name=team)
    for selector in labels.query(label, group):
        rows = rows.filter(pk__in=labels.find(selector, rows))
    page = paging.page(query, rows, "-id" if archived else "hostname")  # names of archived hosts are not unique
    hidden = tenancy.hidden(who, (row.jump_host_id for row in page.rows))
    return page.answer(HostList, lambda host: serialize(host, hidden))


@router.post("/hosts/", response={201: HostOut}, summary="Create a host")
@needs("admin")
def create_host(request: HttpRequest, body: HostCreate, response: HttpResponse) -> Status[HostOut]:
    """Add a host. Without a `host_key` it is not trusted until its key is compared and trusted."""
    host = hosts.create(caller(request), body.given())
    response["Location"] = f"/api/v1/hosts/{host.pk}"
    return Status(201, serialize(host))


@router.patch("/hosts/", response=HostsChanged, summary="Change labels of hosts")
@needs("admin")
def change_hosts(request: HttpRequest, body: HostsUpdate) -> HostsChanged:
    """Add labels to many hosts, or remove some: of all chosen hosts, or with an error of none."""
    hosts = body.chosen(tenancy.visible(caller(request)))
    changed = label_changes.change(caller(request), hosts, body.add_labels, body.remove_labels)
    return HostsChanged(changed=changed)


@router.post(
    "/hosts/import", response={201: ImportOut, 200: ImportOut}, openapi_extra=IMPORT_BODY, summary="Import hosts"
)
@needs("admin")
def import_hosts(
    request: HttpRequest,
    response: HttpResponse,
    dry_run: bool = Query(False, description="Check the rows; create nothing"),
) -> Status[dict[str, Any]]:
    """Add many hosts: a JSON list, or CSV with the names of the fields on its first line. `credential`, `jump_host`
    and `environment` may be names.

    Either all hosts are created, or none and the answer names every error, with its line in a CSV. A row whose host
    exists with the same fields is not an error: importing a file again answers 200 and changes nothing.
    """
    if int(request.META.get("CONTENT_LENGTH") or 0) > MAX_BYTES:
        raise refused("too_large.import", max=MAX_BYTES)
    checked = imports.check_many(_rows(request))
    response["Location"] = "/api/v1/hosts/"
    result = {"data": [], "count": len(checked.new), "unchanged": len(checked.unchanged), "dry_run": dry_run, "code": 0}
    if dry_run or not checked.new:
        return Status(200, result)
    created = imports.create(caller(request), checked)
    prefetch_related_objects(created, "teams", "environment")
    return Status(201, result | {"data": [serialize(host) for host in created]})


@router.get("/hosts/{id}", response=HostOut, summary="Get a host")
@needs("read", bound="deploy")
def get_host(request: HttpRequest, id: base.PathId) -> HostOut:
    """Return a host."""
    return _answer(request, _find(caller(request), id))


@router.patch("/hosts/{id}", response=HostOut, summary="Update a host")
@needs("admin")
def change_host(request: HttpRequest, id: base.PathId, body: HostUpdate) -> HostOut:
    """Change the named fields."""
    return _answer(request, hosts.change(caller(request), _find(caller(request), id), body.given()))


@router.delete("/hosts/{id}", response={204: None}, summary="Delete a host")
@needs("admin")
def delete_host(request: HttpRequest, id: base.PathId) -> Status[None]:
    """Delete a host to which nothing refers. 409 names what refers to it."""
    hosts.delete(caller(request), _find(caller(request), id))
    return Status(204, None)


@router.post("/hosts/{id}/archive", response=HostOut, summary="Archive a host")
@needs("admin")
def archive_host(request: HttpRequest, id: base.PathId, body: ArchiveRequest) -> HostOut:
    """Archive a host that is gone for good: it leaves every list and choice; deployments and history still name it.

    409 names what needs the host: instances, operations, hosts behind it. `forget` forgets the instances first, which
    needs the right `deploy` for each service.
    """
    who = caller(request)
    return _answer(request, actions.archive_host(who, _find(who, id), body.reason, body.forget))


@router.post("/hosts/{id}/unarchive", response=HostOut, summary="Unarchive a host")
@needs("admin")
def unarchive_host(request: HttpRequest, id: base.PathId) -> HostOut:
    """Restore an archived host. 409 where another host has its name now."""
    return _answer(request, hosts.unarchive(caller(request), _find(caller(request), id)))


@router.post("/hosts/{id}/check", response=dict[str, Any], summary="Check a host")
@needs("deploy", outside=True, bound=NEVER)
def check_host(request: HttpRequest, id: base.PathId) -> dict[str, Any]:
    """Connect as a worker would and return what was found, within 10 s. The pinned key stays."""
    return hosts.check(_find(caller(request), id), caller(request))


@router.post("/hosts/{id}/trust", response=HostOut, summary="Trust a host key")
@needs("admin", outside=True)
def trust_host(request: HttpRequest, id: base.PathId, body: TrustRequest) -> HostOut:
    """Pin the key that the host offers now, if its fingerprint is the one named. 409 where it is not."""
    return _answer(request, hosts.trust(_find(caller(request), id), body.fingerprint, caller(request)))


def serialize(host: Asset, hidden: Collection[int] = ()) -> HostOut:
    """Return the host as the API shows it. `hidden`: ids of jump hosts that the caller may not see."""
    derived = {"fingerprint", "offered_fingerprint", "jump_host_id", "environment", "teams"}
    derived |= {"last_error_code", "last_error_params"}
    error = host.last_error_message or {}
    return HostOut.model_construct(
        **{name: getattr(host, name) for name in set(HostOut.model_fields) - derived},
        jump_host_id=None if host.jump_host_id in hidden else host.jump_host_id,
        environment=host.environment.name if host.environment else None,
        teams=sorted(team.name for team in host.teams.all()),
        fingerprint=host_keys.shown_fingerprint(host.host_key),
        offered_fingerprint=host_keys.shown_fingerprint(host.offered_key),
        last_error_code=error.get("code", ""),
        last_error_params=error.get("params", {}),
    )


def _answer(request: HttpRequest, host: Asset) -> HostOut:
    return serialize(host, tenancy.hidden(caller(request), [host.jump_host_id]))


def _find(who: Caller, number: int) -> Asset:
    host = Asset.every.select_related("jump_host").filter(tenancy.visible(who), pk=number).first()
    if host is None:
        raise not_found("host")
    return host


def _rows(request: HttpRequest) -> list[Any]:
    if request.content_type == "application/json":
        return imports.from_json(request.body)
    if request.content_type == "text/csv":
        try:
            return imports.from_csv(request.body.decode("utf-8-sig"))
        except UnicodeDecodeError as error:
            raise invalid("", "not_utf8") from error
    raise refused("unsupported_media_type.hosts", headers={"Accept": "application/json, text/csv"})
