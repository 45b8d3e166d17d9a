"""The schemas of versions."""

from datetime import datetime
from typing import Annotated, Any

from ninja import Field, Schema
from pydantic import BeforeValidator, StrictBool

from access.problems import invalid
from deployctl.naming import version_name
from microservice.status import BuildStatus

from .base import Body, ListPage, Moment, Text, number_or_word

BuildStatusIn = Annotated[int, BeforeValidator(number_or_word(BuildStatus))]


class VersionCreate(Body):
    """A new version of a service."""

    version: Text = Field("", description="Default: TIME-BRANCH-COMMIT, from the fields below")
    ref: Text = "master"
    description: Text = ""
    status: BuildStatusIn = BuildStatus.PENDING.value
    commit: Text = Field("", description="The commit hash, where `version` is missing")
    committed: Moment | None = Field(None, description="The time of the commit, where `version` is missing")
    image: Text = Field(
        "", description="Instead of a package: an image in the registry of the settings, by tag or digest"
    )

    def named(self) -> dict[str, Any]:
        """Return the fields of a version, with a name by the rule of deployctl/naming.py where none was sent."""
        fields = self.given()
        commit, committed = fields.pop("commit", ""), fields.pop("committed", None)
        if "version" in fields:
            return fields
        if not commit or committed is None:
            raise invalid("/version", "version_or_commit")
        try:
            return fields | {"version": version_name(self.ref, commit, committed)}
        except ValueError as error:
            raise invalid("/commit", "commit_syntax") from error


class VersionUpdate(Body):
    """The fields of a version to change; the others stay."""

    status: BuildStatusIn = BuildStatus.PENDING.value
    description: Text = ""
    bad: StrictBool = False
    bad_reason: Text = ""


class VersionOut(Schema):
    id: int
    version: str
    ref: str
    description: str
    status: int
    status_str: str
    file_path: str = Field(description="The path of the package in the store; set by uploading it only")
    sha256: str = Field(description="Of the package as it is stored and sent to hosts")
    source_sha256: str = Field(description="Of the uploaded file; in the answer to an upload, of that upload")
    size: int | None
    unpacked_size: int | None
    bad: bool
    bad_reason: str
    build_detail: str = Field(description="Why the build has its status, in English")
    build_detail_code: str = Field(description="The code of that sentence; empty for a sentence of the build server")
    build_detail_params: dict[str, Any] = Field(description="The parameters of that sentence")
    image: str = Field(
        description="Of a version that is an image, its pinned reference: host/name@sha256:…; else empty"
    )
    image_tag: str = Field(description="The same by its tag, as it was sent or pushed: host/name:tag")
    image_url: str = Field(description="The image's web page")
    created: datetime
    created_by: str
    instances: int = Field(description="Number of instances that run it")


class VersionList(ListPage):
    data: list[VersionOut]
