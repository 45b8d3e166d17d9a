"""/settings/: what the system needs from outside, tested as a whole before any of it is saved."""

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
Hidden = Field(None, description="Write-only; left out: the saved one stays")


class Tls(base.Body):
    ca: base.Text = Field("", description="PEM; empty: the system's own CAs")
    client_cert: base.Text = Field("", description="PEM")
    client_key: base.Text | None = Hidden
    verify: StrictBool = Field(True, description="Whether the server's certificate is checked")


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
    project: base.Text = Field(description="GitLab: group/project; Jenkins: folder/job; a * at its end: all below")
    team: base.Text = Field(description="A team's name, or *: everybody")


Projects: Any = Field([], description="Which team's services build which projects; empty: every team builds all")


class GitLab(Tls):
    url: base.Text
    token: base.Text | None = Hidden
    webhook_secret: base.Text | None = Field(None, description="Shown by its reports; write-only")
    projects: list[Binding] = Projects


class Jenkins(Tls):
    url: base.Text
    user: base.Text = ""
    token: base.Text | None = Hidden
    webhook_secret: base.Text | None = Field(None, description="Signs its reports; write-only")
    projects: list[Binding] = Projects


class Registry(Tls):
    url: base.Text
    user: base.Text = ""
    password: base.Text | None = Hidden


class Proxies(base.Body):
    http: base.Text = ""
    https: base.Text = ""
    no_proxy: list[base.Text] = []


class SettingsDocument(base.Body):
    """The whole document: a part that is left out or null is not set up afterwards."""

    package_store: PackageStore | None = None
    gitlab: GitLab | None = None
    jenkins: Jenkins | None = None
    registry: Registry | None = None
    proxies: Proxies | None = None


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
    id: int | None = Field(description="null: nothing was ever set")
    settings: dict[str, dict[str, Any] | None] = Field(description="Secrets are not given out: `token_set` and so on")
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


@router.get("/settings/", response=SettingsOut)
@needs("admin")
def get_settings(request: HttpRequest):
    """What is set, without secrets, and what is not set up yet."""
    return form(parts.newest())


@router.put("/settings/", response=SettingsOut)
@needs("admin", outside=True)
def put_settings(request: HttpRequest, body: SettingsDocument):
    """Tests the whole document, and saves it when every part passes. Answers within 10 s."""
    return form(revisions.save(caller(request), body.given()))


@router.post("/settings/check", response=SettingsTestOut)
@needs("admin", outside=True)
def check_settings(request: HttpRequest, body: SettingsDocument):
    """The same test without saving anything."""
    findings = revisions.check(body.given())
    return {"ok": all(found["ok"] for found in findings), "findings": findings}


@router.get("/settings/history", response=SettingsList)
@needs("admin")
def list_settings(request: HttpRequest, query: paging.Page):
    """Every document that ever held, newest first."""
    form_row = lambda row: SettingsOut.model_validate(form(row))
    return paging.page(query, Setting.objects.all()).answer(SettingsList, form_row)


@router.post("/settings/history/{id}/restore", response=SettingsOut)
@needs("admin", outside=True)
def restore_settings(request: HttpRequest, id: base.PathId):
    """Brings a past document back, when it passes the test today."""
    return form(revisions.restore(caller(request), id))


def form(row: Setting | None) -> dict[str, Any]:
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
