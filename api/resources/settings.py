"""/settings/: the integrations, tested as a whole before they are saved."""

from datetime import datetime
from typing import Any, Literal

from django.http import HttpRequest
from ninja import Field, Router, Schema
from pydantic import StrictBool

from integrations import registry as parts
from integrations import revisions
from integrations.models import Setting

from .. import paging
from ..auth import caller, needs
from ..schemas import base

router = Router()
Hidden = Field(None, description="Write-only; omit it to keep the saved value")


class Tls(base.Body):
    ca: base.Text = Field("", description="PEM; empty: the CAs of the system")
    client_cert: base.Text = Field("", description="PEM")
    client_key: base.Text | None = Hidden
    verify: StrictBool = Field(True, description="Whether to verify the server's certificate")


class PackageStore(Tls):
    kind: Literal["local", "s3"] = "local"
    folder: base.Text = ""
    endpoint: base.Text = ""
    bucket: base.Text = ""
    region: base.Text = ""
    prefix: base.Text = ""
    access_key: base.Text = ""
    secret_key: base.Text | None = Hidden


class Binding(base.Body):
    project: base.Text = Field(
        description="GitLab: group/project; Jenkins: folder/job; a * at the end: everything below"
    )
    team: base.Text = Field(description="The name of a team, or *: all teams")


Projects: Any = Field([], description="Which teams build which projects; empty: every team builds all projects")


class GitLab(Tls):
    url: base.Text
    token: base.Text | None = Hidden
    webhook_secret: base.Text | None = Field(None, description="The token in its reports; write-only")
    projects: list[Binding] = Projects


class Jenkins(Tls):
    url: base.Text
    user: base.Text = ""
    token: base.Text | None = Hidden
    webhook_secret: base.Text | None = Field(None, description="Signs its reports; write-only")
    projects: list[Binding] = Projects


class Registry(Tls):
    url: base.Text = Field(description="Of the registry itself, such as https://registry.example.com")
    hosts: list[base.Text] = Field([], description="Other host names, with their ports, that mean the same registry")
    project: base.Text = Field("", description="Where images of services lie, such as team; empty: at the top")
    user: base.Text = ""
    password: base.Text | None = Hidden
    web_url: base.Text = Field(
        "", description="Of an image's page, with {host}, {name} and {digest}; empty: https://{host}/{name}"
    )


class Docker(Tls):
    url: base.Text = Field(description="tcp://host:port, or unix:///path of a socket on each of our machines")
    network: base.Text = Field("", description="Of build steps; empty: the engine's own; none: they have none")
    tls: StrictBool = Field(False, description="Speak TLS; it is in any case with a CA or a client certificate")
    archive: base.Text | None = Field(
        None, description="Base64 of a tar with ca.pem, cert.pem and key.pem, in place of the three texts; write-only"
    )


class Proxies(base.Body):
    http: base.Text = ""
    https: base.Text = ""
    no_proxy: list[base.Text] = []


class CallbackAccess(Tls):
    """Its certificates are for receivers in `allowed`; all others are verified with the usual CAs."""

    allowed: list[base.Text] = Field(
        [], description="Receivers that are not public: networks (10.0.0.0/8), addresses, host names, *.names"
    )
    use_proxy: StrictBool = Field(False, description="Whether callbacks go through the proxies")


class SettingsDocument(base.Body):
    """The whole document: a part that is missing or null is disabled."""

    package_store: PackageStore | None = None
    gitlab: GitLab | None = None
    jenkins: Jenkins | None = None
    registry: Registry | None = None
    docker: Docker | None = None
    proxies: Proxies | None = None
    callbacks: CallbackAccess | None = None


class TestStep(Schema):
    what: str
    ok: bool
    detail: str
    code: str = Field("", description="Names what was found; empty in settings saved by older versions")
    params: dict[str, Any] = {}


class TestFinding(Schema):
    part: str
    ok: bool
    seconds: float
    steps: list[TestStep]


class MissingPart(Schema):
    part: str
    without: str = Field(description="What does not work without it")


class SettingsOut(Schema):
    id: int | None = Field(description="null: nothing was ever saved")
    settings: dict[str, dict[str, Any] | None] = Field(
        description="Without secrets: `token_set` and so on say whether there is one"
    )
    missing: list[MissingPart]
    findings: list[TestFinding] = Field(description="Of the test that this document passed")
    restored: int | None
    created: datetime | None
    created_by: str


class SettingsTestOut(Schema):
    ok: bool
    findings: list[TestFinding]


class SettingsList(base.ListPage):
    data: list[SettingsOut]


@router.get("/settings/", response=SettingsOut, summary="Get the integrations")
@needs("admin")
def get_settings(request: HttpRequest) -> dict[str, Any]:
    """Return the current document, without secrets, and what is not configured."""
    return serialize(parts.newest())


@router.put("/settings/", response=SettingsOut, summary="Replace the integrations")
@needs("admin", outside=True)
def put_settings(request: HttpRequest, body: SettingsDocument) -> dict[str, Any]:
    """Test the whole document, and save it if every part passes, within 10 s."""
    return serialize(revisions.save(caller(request), body.given()))


@router.post("/settings/check", response=SettingsTestOut, summary="Test the integrations")
@needs("admin", outside=True)
def check_settings(request: HttpRequest, body: SettingsDocument) -> dict[str, Any]:
    """Test the document without saving it, within 10 s."""
    findings = revisions.check(body.given())
    return {"ok": all(found["ok"] for found in findings), "findings": findings}


@router.get("/settings/history", response=SettingsList, summary="List past integrations")
@needs("admin")
def list_settings(request: HttpRequest, query: paging.Page) -> SettingsList:
    """List every document that was ever saved, newest first."""
    form_row = lambda row: SettingsOut.model_validate(serialize(row))
    return paging.page(query, Setting.objects.all()).answer(SettingsList, form_row)


@router.post("/settings/history/{id}/restore", response=SettingsOut, summary="Restore past integrations")
@needs("admin", outside=True)
def restore_settings(request: HttpRequest, id: base.PathId) -> dict[str, Any]:
    """Restore a past document, if it passes the test now."""
    return serialize(revisions.restore(caller(request), id))


def serialize(row: Setting | None) -> dict[str, Any]:
    document = parts.document_of(row)
    return {
        "id": row.pk if row else None,
        "settings": revisions.redacted(document),
        "missing": revisions.unconfigured(document),
        "findings": row.findings if row else [],
        "restored": row.restored_id if row else None,
        "created": row.created if row else None,
        "created_by": row.created_by if row else "",
    }
