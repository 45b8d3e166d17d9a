"""/settings/: what the system needs from outside, tested as a whole before any of it is saved."""
from datetime import datetime
from typing import Any, Literal

from django.http import HttpRequest
from ninja import Field, Router, Schema
from pydantic import StrictBool

from microservice.api import paging, schemas
from microservice.api.auth import caller, needs
from outside import parts, rules
from outside.models import Setting

router = Router()
Hidden = Field(None, description="Write-only; left out: the saved one stays")


class Tls(schemas.Body):
    ca: schemas.Text = Field("", description="PEM; empty: the system's own CAs")
    client_cert: schemas.Text = Field("", description="PEM")
    client_key: schemas.Text | None = Hidden
    verify: StrictBool = Field(True, description="Whether the server's certificate is checked")


class PackageStore(Tls):
    kind: Literal["local", "s3"] = "local"
    folder: schemas.Text = ""
    endpoint: schemas.Text = ""
    bucket: schemas.Text = ""
    region: schemas.Text = ""
    prefix: schemas.Text = ""
    access_key: schemas.Text = ""
    secret_key: schemas.Text | None = Hidden


class Binding(schemas.Body):
    project: schemas.Text = Field(description="GitLab: group/project; Jenkins: folder/job; a * at its end: all below")
    team: schemas.Text = Field(description="A team's name, or *: everybody")


Projects = Field([], description="Which team's services build which projects; empty: every team builds all")


class GitLab(Tls):
    url: schemas.Text
    token: schemas.Text | None = Hidden
    webhook_secret: schemas.Text | None = Field(None, description="Shown by its reports; write-only")
    projects: list[Binding] = Projects


class Jenkins(Tls):
    url: schemas.Text
    user: schemas.Text = ""
    token: schemas.Text | None = Hidden
    webhook_secret: schemas.Text | None = Field(None, description="Signs its reports; write-only")
    projects: list[Binding] = Projects


class Registry(Tls):
    url: schemas.Text
    user: schemas.Text = ""
    password: schemas.Text | None = Hidden


class Proxies(schemas.Body):
    http: schemas.Text = ""
    https: schemas.Text = ""
    no_proxy: list[schemas.Text] = []


class Document(schemas.Body):
    """The whole document: a part that is left out or null is not set up afterwards."""

    package_store: PackageStore | None = None
    gitlab: GitLab | None = None
    jenkins: Jenkins | None = None
    registry: Registry | None = None
    proxies: Proxies | None = None


class Step(Schema):
    what: str
    ok: bool
    detail: str


class Finding(Schema):
    part: str
    ok: bool
    seconds: float
    steps: list[Step]


class Missing(Schema):
    part: str
    without: str = Field(description="What does not work without it")


class SettingsOut(Schema):
    id: int | None = Field(description="null: nothing was ever set")
    settings: dict[str, dict[str, Any] | None] = Field(description="Secrets are not given out: `token_set` and so on")
    missing: list[Missing]
    findings: list[Finding] = Field(description="Of the test that this document passed")
    restored: int | None
    created: datetime | None
    created_by: str


class Checked(Schema):
    ok: bool
    findings: list[Finding]


class SettingsList(schemas.Listed):
    data: list[SettingsOut]


@router.get("/settings/", response=SettingsOut)
@needs("admin")
def get_settings(request: HttpRequest):
    """What is set, without secrets, and what is not set up yet."""
    return form(parts.newest())


@router.put("/settings/", response=SettingsOut)
@needs("admin", outside=True)
def put_settings(request: HttpRequest, body: Document):
    """Tests the whole document, and saves it when every part passes. Answers within 10 s."""
    return form(rules.save(caller(request), body.given()))


@router.post("/settings/check", response=Checked)
@needs("admin", outside=True)
def check_settings(request: HttpRequest, body: Document):
    """The same test without saving anything."""
    findings = rules.check(body.given())
    return {"ok": all(found["ok"] for found in findings), "findings": findings}


@router.get("/settings/history", response=SettingsList)
@needs("admin")
def list_settings(request: HttpRequest, query: paging.Page):
    """Every document that ever held, newest first."""
    form_row = lambda row: SettingsOut.model_validate(form(row))
    return paging.page(query, Setting.objects.all()).answer(SettingsList, form_row)


@router.post("/settings/history/{id}/restore", response=SettingsOut)
@needs("admin", outside=True)
def restore_settings(request: HttpRequest, id: schemas.PathId):
    """Brings a past document back, when it passes the test today."""
    return form(rules.restore(caller(request), id))


def form(row: Setting | None) -> dict[str, Any]:
    document = parts.document_of(row)
    return {
        "id": row.pk if row else None, "settings": rules.shown(document), "missing": rules.missing(document),
        "findings": row.findings if row else [], "restored": row.restored_id if row else None,
        "created": row.created if row else None, "created_by": row.created_by if row else "",
    }
