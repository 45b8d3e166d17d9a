"""A build in the list of all builds: without its output."""

from datetime import datetime
from typing import Any

from django.conf import settings
from django.utils import timezone
from ninja import Field, Schema

from access import url_userinfo
from builds.models import OPEN, Build
from microservice.status import BuildStatus

from .base import ListPage


class BuiltService(Schema):
    id: int
    name: str


class BuiltVersion(Schema):
    id: int
    version: str
    ref: str


class BuildRow(Schema):
    id: int
    service: BuiltService
    version: BuiltVersion
    origin: str
    status: int
    status_str: str
    detail: str = Field(description="Why it has its status, in English")
    detail_code: str
    detail_params: dict[str, Any]
    commit: str
    requested_by: str
    created: datetime
    started: datetime | None
    finished: datetime | None
    seconds: float | None = Field(description="How long it took, or has taken so far; null before its start")
    page: str = Field(description="Its page, with the output")
    url: str = Field(description="Its page at the build server")


class BuildRows(ListPage):
    data: list[BuildRow]


def row(build: Build) -> BuildRow:
    version = build.version
    service = build.microservice or version.microservice
    same = ("id", "origin", "status", "detail_code", "commit", "requested_by", "created", "started", "finished", "url")
    return BuildRow.model_construct(
        **{name: getattr(build, name) for name in same},
        service=BuiltService.model_construct(id=service.pk, name=service.name),
        version=BuiltVersion.model_construct(id=version.pk, version=version.version, ref=version.ref),
        status_str=BuildStatus(build.status).label,
        detail=url_userinfo.hidden(build.detail),
        detail_params=url_userinfo.hidden_in(build.detail_params),
        seconds=_seconds(build),
        page=f"{settings.PUBLIC_URL}/services/{service.name}/versions/{version.pk}/?attempt={build.pk}#build",
    )


def _seconds(build: Build) -> float | None:
    begun = build.started or (None if build.status in OPEN else build.created)
    if begun is None:
        return None
    return round(((build.finished or timezone.now()) - begun).total_seconds(), 1)
