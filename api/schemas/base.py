"""The schemas that the resources of the API share, and those of services, versions and tokens."""

import re
from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any

from django.db.models import IntegerChoices
from ninja import Field, Path, Schema
from pydantic import AwareDatetime, BeforeValidator, ConfigDict, StrictBool, StrictInt, StrictStr

from access.problems import invalid
from deployctl.naming import version_name
from messages.invalid import InvalidValue
from microservice.status import BuildStatus
from runtime.ids import parse_number

Id = Annotated[int, Field(ge=1, le=2**63 - 1)]
PathId = Annotated[int, Path(ge=1, le=2**63 - 1)]
Text = StrictStr


def _rfc3339(value: Any) -> Any:
    if not isinstance(value, str) or not re.match(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d", value, re.ASCII):
        raise InvalidValue("time_syntax")
    return value


Moment = Annotated[AwareDatetime, BeforeValidator(_rfc3339)]


class Body(Schema):
    """The body of a request. An unknown field is refused, not ignored."""

    model_config = ConfigDict(extra="forbid")

    def given(self) -> dict[str, Any]:
        """Return only the fields that the request named."""
        return self.model_dump(exclude_unset=True)


class FieldError(Schema):
    """One error of a request: what is wrong, and where. It may have further fields, such as the ids of rows."""

    model_config = ConfigDict(extra="allow")

    pointer: str = Field(description="A JSON pointer into the body; or /query/name, /path/name, /header/name")
    reason: str = Field(description="What is wrong, in English")
    code: str = Field("", description="A stable word for the reason")
    params: dict[str, Any] = Field({}, description="The values in the reason, by name")
    instance_id: int | None = None
    host_id: int | None = None


class Problem(Schema):
    """Every refused request (RFC 9457), as application/problem+json."""

    type: str
    title: str
    status: int
    detail: str = Field(description="What is wrong, in English")
    code: str = Field(description="A stable word; each is described at /api/v1/docs/errors")
    params: dict[str, Any] = Field({}, description="The values in `detail` and `hint`, by name")
    msg: str = Field(description="The same as `detail`")
    errors: list[FieldError]
    hint: str = Field(description="What to do next")
    request_id: str = Field("", description="The id of the request in the logs")


class ListPage(Schema):
    """What every list has beside its `data`."""

    count: int = Field(description="Number of rows in the whole list")
    next: str | None = Field(description="The cursor of the next page; null on the last page")
    code: int = 0


def number_or_word(choices: type[IntegerChoices]) -> Callable[[Any], int]:
    """Return a validator that accepts a status as its number or its word, and returns the number."""
    by_word = {choice.label: choice.value for choice in choices}

    def read(value: Any) -> int:
        if isinstance(value, str) and (number := parse_number(value)) is not None:
            value = number
        if isinstance(value, str) and value in by_word:
            return by_word[value]
        if isinstance(value, int) and not isinstance(value, bool) and value in choices.values:
            return value
        raise InvalidValue("not_one_of", choices=[f"{choice.label} ({choice.value})" for choice in choices])

    return read


BuildStatusIn = Annotated[int, BeforeValidator(number_or_word(BuildStatus))]


SecretsIn = dict[str, StrictStr | None]


class ServiceUpdate(Body):
    """The fields of a service to change; the others stay."""

    name: Text = ""
    language: Text = ""
    build_orig: Text = ""
    build_url: Text = ""
    build_command: Text = ""
    build_secrets: SecretsIn = Field({}, description="Environment of the build command; as `secrets`")
    build_username: Text = Field("", description="User name to fetch the repository over https")
    build_password: Text = Field("", description='Write-only; a token or password for https. "" removes it')
    build_key: Text = Field("", description='Write-only; a private SSH key without a passphrase. "" removes it')
    build_refs: list[Text] = Field([], description="Patterns of the branches and tags that may be built; empty: all")
    build_depth: StrictInt = Field(
        0,
        ge=0,
        le=1_000_000,
        description="Number of commits that a build from git fetches; 0: the whole history with every tag",
    )
    recipe: dict[str, Any] = Field(
        {},
        description="What an image is built from, for build_orig image: see docs/images.md",
    )
    description: Text = ""
    repository_url: Text = Field("", description="The web page of the repository; http or https, as the next two")
    ci_url: Text = Field("", description="The web page of its pipelines")
    commit_url: Text = Field("", description="The web page of a commit, with {commit} in place of the hash")
    start_command: Text = ""
    stop_command: Text = ""
    check_command: Text = ""
    check_timeout: StrictInt = Field(60, description="Seconds")
    environment: dict[str, Any] = Field({}, description="NAME: text; null keeps the current value")
    secrets: SecretsIn = Field(
        {},
        description="Write-only; environment variables too. NAME: text, or null to remove it; the others stay",
    )
    pre_command: Text = ""
    pre_undo_command: Text = ""
    post_command: Text = ""
    post_undo_command: Text = ""
    run_as: Text = Field(
        "", description="The user on the hosts that runs the commands, with sudo -n -u; empty: the login user"
    )
    private_releases: StrictBool = Field(
        False, description="Only the group of run_as may read the releases; needs run_as"
    )
    encoding: Text = Field(
        "", description="Encoding of command output, by any name that Python knows; empty: that of the host"
    )
    keep_releases: StrictInt = 3
    limits: dict[str, Any] = {}
    steps: list[dict[str, Any]] = []
    default_strategy: dict[str, Any] = Field(
        {}, description="Of deployments that name none: as `strategy` of an upgrade. {}: all hosts at once"
    )
    auto_deploy_tag: Text = ""
    team: StrictInt | StrictStr | None = Field(None, description="Id or name of the team that owns the service")


class ServiceCreate(ServiceUpdate):
    """A new service. Only its name is required."""

    name: Text


class ServiceOut(Schema):
    id: int
    name: str
    language: str
    build_orig: str
    build_url: str
    build_command: str
    build_secrets: list[str] = Field(description="Names only; values are never returned")
    build_secrets_changed: dict[str, datetime] = Field(description="When each was last set")
    build_username: str
    has_build_password: bool
    has_build_key: bool
    build_refs: list[str]
    build_depth: int
    recipe: dict[str, Any] = Field(description="What the image is built from, for build_orig image")
    description: str
    repository_url: str
    ci_url: str
    commit_url: str
    start_command: str
    stop_command: str
    check_command: str
    check_timeout: int
    environment: dict[str, Any] = Field(description="Values are null for callers who may not deploy the service")
    secrets: list[str] = Field(description="Names only; values are never returned")
    secrets_changed: dict[str, datetime] = Field(description="When each was last set")
    pre_command: str
    pre_undo_command: str
    post_command: str
    post_undo_command: str
    run_as: str
    private_releases: bool
    encoding: str
    keep_releases: int
    limits: dict[str, Any]
    steps: list[dict[str, Any]]
    default_strategy: dict[str, Any]
    auto_deploy_tag: str
    team: str | None = None
    created: datetime
    created_by: str
    updated: datetime
    updated_by: str


class ServiceList(ListPage):
    data: list[ServiceOut]


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


class TokenCreate(Body):
    """A new token. `services`: ids or names of the services that it is limited to; empty: all that its user may see."""

    name: Text
    scopes: list[Text]
    services: list[StrictInt | StrictStr] = []
    expires: Moment | None = Field(
        None,
        description=(
            "Default: TOKEN_LIFETIME_DAYS from now. null: never; only for administrators and service accounts"
        ),
    )
    user: StrictInt | StrictStr | None = Field(None, description="Id or name of the service account that uses it")


class TokenOut(Schema):
    id: int
    name: str
    hint: str = Field(description="The first characters of the token")
    scopes: list[str]
    services: list[int]
    user: str
    parent_id: int | None = Field(description="The token that created it; it ends with that one")
    expires: datetime | None
    last_used: datetime | None
    created: datetime
    created_by: str


class TokenCreated(TokenOut):
    token: str = Field(description="Only in this answer; only its hash is stored")


class TokenList(ListPage):
    data: list[TokenOut]
