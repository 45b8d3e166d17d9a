"""/hosts/: how each is reached, what the last contact showed, and which of their keys is trusted."""

from collections.abc import Collection
from datetime import datetime
from typing import Any

from django.db.models import prefetch_related_objects
from django.http import HttpRequest, HttpResponse
from ninja import Field, Query, Router, Schema, Status
from pydantic import StrictBool, StrictInt, StrictStr

from access.callers import Caller
from access.problems import Problem, invalid, not_found
from asset import host_keys, hosts, imports, pasted_keys, tenancy
from asset.models import Asset
from microservice.deployments import actions

from .. import paging
from ..auth import NEVER, caller, needs
from ..schemas import base

router = Router()

MOST_BYTES = 8 * 1024 * 1024  # of an import
IMPORT_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": {"type": "array", "items": {"type": "object"}}},
            "text/csv": {"schema": {"type": "string"}},
        },
    }
}


class HostUpdate(base.Body):
    """A host's fields; what is not named stays."""

    hostname: StrictStr = ""
    ip: StrictStr = Field("", description="IPv4, IPv6, or a name that is resolved at each connection")
    port: StrictInt = 22
    username: StrictStr = "root"
    credential_id: StrictInt | None = None
    base_path: StrictStr = Field("/srv/services", description="Absolute; services live below it")
    sudo: StrictBool = Field(False, description="Run programs under sudo -n")
    legacy_algorithms: StrictBool = Field(
        False, description="Offer it old SSH algorithms too (ssh-rsa, SHA-1, CBC): for servers that have no others"
    )
    encoding: StrictStr = Field(
        "",
        description='Of what commands print there, such as "gb18030"; a service\'s own comes first. Empty: UTF-8, '
        "or what is recognised beyond doubt",
    )
    jump_host_id: StrictInt | None = None
    teams: list[StrictInt | StrictStr] = Field([], description="Ids or names; only their services come there")
    package_port: StrictInt | None = Field(
        None, description="Hosts behind this one fetch packages from it on this port, from 1024 on; null: they do not"
    )
    package_address: StrictStr | None = Field(None, description="Where they find it, if not at its ip")
    labels: dict[str, StrictStr] = {}
    host_key: StrictStr = Field("", description='"ssh-ed25519 AAAA…", or lines of known_hosts: pinned at once')
    description: StrictStr = ""


class HostCreate(HostUpdate):
    """A new host: only name and address are required."""

    hostname: StrictStr
    ip: StrictStr = Field(description="IPv4, IPv6, or a name that is resolved at each connection")


class HostOut(Schema):
    id: int
    hostname: str
    ip: str
    port: int
    username: str
    credential_id: int | None
    base_path: str
    sudo: bool
    legacy_algorithms: bool
    encoding: str
    jump_host_id: int | None = Field(description="null also where the caller may not see it")
    teams: list[str] = Field(description="Names of the teams that it belongs to; none: it is everybody's")
    package_port: int | None
    package_address: str | None
    labels: dict[str, str]
    host_key: str = Field(description="The pinned key; empty: not trusted yet")
    fingerprint: str = Field(description="The pinned key's, as ssh-keygen -l prints it")
    description: str
    reachable: bool | None = Field(description="What the last contact showed; null: never tried")
    reachable_since: datetime | None = Field(description="When that last changed; null: not known")
    last_contact: datetime | None
    last_error: str
    offered_fingerprint: str = Field(description="Of a key that the host offered and that is not the pinned one")
    archived: datetime | None = Field(description="Since when it is in no list and no choice; null: it is there")
    archived_by: str
    archive_reason: str
    created: datetime
    created_by: str
    updated: datetime
    updated_by: str


class HostList(base.ListPage):
    data: list[HostOut]


class ImportOut(Schema):
    data: list[HostOut] = Field(description="Those that were created; none with dry_run")
    count: int = Field(description="How many were created, or would be")
    unchanged: int = Field(description="Rows whose host was there already with the same fields")
    dry_run: bool = False
    code: int = 0


class ArchiveRequest(base.Body):
    reason: StrictStr = Field(min_length=1, max_length=500, description="Kept with the host and in the history")
    forget: StrictBool = Field(False, description="Forget first what is installed there: see instances/forget")


class TrustRequest(base.Body):
    fingerprint: StrictStr = Field(
        max_length=pasted_keys.LONGEST,
        description="SHA256:…, of the key that is to be pinned; or a line of ssh-keygen -lf or known_hosts, or the key",
    )


@router.get("/hosts/", response=HostList)
@needs("read", bound="deploy")
def list_hosts(
    request: HttpRequest,
    query: paging.Page,
    hostname: str = Query("", description="A part of the name"),
    team: str = Query("", description="A team's name"),
    archived: bool = Query(False, description="Those that are archived, instead of those that are there"),
):
    """The hosts of no team and of the caller's own, by name; all of them for admins. Archived ones by falling id."""
    who = caller(request)
    rows = (Asset.every.exclude(archived=None) if archived else Asset.objects.all()).filter(tenancy.visible(who))
    rows = rows.prefetch_related("teams")
    if hostname:
        rows = rows.filter(hostname__icontains=hostname)
    if team:
        rows = rows.filter(teams__name=team)
    found = paging.page(query, rows, "-id" if archived else "hostname")  # names of archived ones are not unique
    hidden = tenancy.hidden(who, (row.jump_host_id for row in found.rows))
    return found.answer(HostList, lambda host: form(host, hidden))


@router.post("/hosts/", response={201: HostOut})
@needs("admin")
def create_host(request: HttpRequest, body: HostCreate, response: HttpResponse):
    """Adds a host. Without a `host_key` it is not trusted until somebody compares and trusts the key it offers."""
    made = hosts.create(caller(request), body.given())
    response["Location"] = f"/api/v1/hosts/{made.pk}"
    return Status(201, form(made))


@router.post("/hosts/import", response={201: ImportOut, 200: ImportOut}, openapi_extra=IMPORT_BODY)
@needs("admin")
def import_hosts(
    request: HttpRequest,
    response: HttpResponse,
    dry_run: bool = Query(False, description="Check only; nothing is created"),
):
    """Adds many at once: rows of the same fields, as a JSON list or as CSV with the fields' names on its first line;
    `credential` and `jump_host` may be names.

    All of them, or none and every reason, with its line in a CSV. A row whose host is there just as it says is no
    error: the same file again answers 200 and changes nothing.
    """
    if int(request.META.get("CONTENT_LENGTH") or 0) > MOST_BYTES:
        raise Problem(413, "too_large", f"An import has at most {MOST_BYTES} bytes.", "Send it in parts.")
    checked = imports.check_many(_rows(request))
    response["Location"] = "/api/v1/hosts/"
    told = {"data": [], "count": len(checked.new), "unchanged": len(checked.unchanged), "dry_run": dry_run, "code": 0}
    if dry_run or not checked.new:
        return Status(200, told)
    made = imports.create(caller(request), checked)
    prefetch_related_objects(made, "teams")
    return Status(201, told | {"data": [form(host) for host in made]})


@router.get("/hosts/{id}", response=HostOut)
@needs("read", bound="deploy")
def get_host(request: HttpRequest, id: base.PathId):
    """One host."""
    return _answer(request, _find(caller(request), id))


@router.patch("/hosts/{id}", response=HostOut)
@needs("admin")
def change_host(request: HttpRequest, id: base.PathId, body: HostUpdate):
    """Changes the fields that are named."""
    return _answer(request, hosts.change(caller(request), _find(caller(request), id), body.given()))


@router.delete("/hosts/{id}", response={204: None})
@needs("admin")
def delete_host(request: HttpRequest, id: base.PathId):
    """Removes a host that nothing refers to."""
    hosts.delete(caller(request), _find(caller(request), id))
    return Status(204, None)


@router.post("/hosts/{id}/archive", response=HostOut)
@needs("admin")
def archive_host(request: HttpRequest, id: base.PathId, body: ArchiveRequest):
    """Takes a host that is gone for good out of every list and choice; deployments and history still name it.

    409 names what is in the way: instances, operations, hosts behind it. With `forget` instances go first, which needs
    the right deploy for each service.
    """
    who = caller(request)
    return _answer(request, actions.archive_host(who, _find(who, id), body.reason, body.forget))


@router.post("/hosts/{id}/unarchive", response=HostOut)
@needs("admin")
def unarchive_host(request: HttpRequest, id: base.PathId):
    """Brings an archived host back. 409 where another one has its name by now."""
    return _answer(request, hosts.unarchive(caller(request), _find(caller(request), id)))


@router.post("/hosts/{id}/check", response=dict[str, Any])
@needs("deploy", outside=True, bound=NEVER)
def check_host(request: HttpRequest, id: base.PathId):
    """Connects, and answers what it found or the reason, within 10 s. Never changes the pinned key."""
    return hosts.check(_find(caller(request), id), caller(request))


@router.post("/hosts/{id}/trust", response=HostOut)
@needs("admin", outside=True)
def trust_host(request: HttpRequest, id: base.PathId, body: TrustRequest):
    """Pins the key that the host offers now, if its fingerprint is the one named."""
    return _answer(request, hosts.trust(_find(caller(request), id), body.fingerprint, caller(request)))


def form(host: Asset, hidden: Collection[int] = ()) -> HostOut:
    """`hidden`: ids of jump hosts that the caller may not see."""
    derived = {"fingerprint", "offered_fingerprint", "jump_host_id", "teams"}
    return HostOut.model_construct(
        **{name: getattr(host, name) for name in set(HostOut.model_fields) - derived},
        jump_host_id=None if host.jump_host_id in hidden else host.jump_host_id,
        teams=sorted(team.name for team in host.teams.all()),
        fingerprint=host_keys.shown_fingerprint(host.host_key),
        offered_fingerprint=host_keys.shown_fingerprint(host.offered_key),
    )


def _answer(request: HttpRequest, host: Asset) -> HostOut:
    return form(host, tenancy.hidden(caller(request), [host.jump_host_id]))


def _find(who: Caller, number: int) -> Asset:
    found = Asset.every.select_related("jump_host").filter(tenancy.visible(who), pk=number).first()
    if found is None:
        raise not_found("host")
    return found


def _rows(request: HttpRequest) -> list[Any]:
    if request.content_type == "application/json":
        return imports.from_json(request.body)
    if request.content_type == "text/csv":
        try:
            return imports.from_csv(request.body.decode("utf-8-sig"))
        except UnicodeDecodeError as error:
            raise invalid("", "must be UTF-8") from error
    raise Problem(
        415,
        "unsupported_media_type",
        "The body must be application/json or text/csv.",
        "Send Content-Type: text/csv or application/json.",
        headers={"Accept": "application/json, text/csv"},
    )
