"""The shapes of what goes in and comes out, shared by the parts of the API."""

import re
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


def number_or_word(choices: type[IntegerChoices]):
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
    """A service's fields; what is not named stays."""

    name: Text = ""
    language: Text = ""
    build_orig: Text = ""
    build_url: Text = ""
    build_command: Text = ""
    build_secrets: SecretsIn = Field({}, description="What the build command sees, as `secrets`")
    build_username: Text = Field("", description="What the repository is fetched with over https")
    build_password: Text = Field("", description='Write-only; a token or a password. "" removes it')
    build_key: Text = Field("", description='Write-only; a private key for ssh, without a passphrase. "" removes it')
    build_refs: list[Text] = Field([], description="Patterns of the branches and tags that are built; none: all")
    build_depth: StrictInt = Field(
        0,
        ge=0,
        le=1_000_000,
        description=("Commits of the history that a build from git sees; 0: all of it, with every tag"),
    )
    description: Text = ""
    start_command: Text = ""
    stop_command: Text = ""
    check_command: Text = ""
    check_timeout: StrictInt = Field(60, description="Seconds")
    environment: dict[str, Any] = Field({}, description="NAME: text; null keeps the value that is there")
    secrets: SecretsIn = Field(
        {},
        description="Write-only; commands see them as they see `environment`. NAME: text, or null to remove it; "
        "what is not named stays",
    )
    pre_command: Text = ""
    pre_undo_command: Text = ""
    post_command: Text = ""
    post_undo_command: Text = ""
    run_as: Text = Field("", description="User on the hosts that the commands run as, by sudo -n -u; empty: as today")
    private_releases: StrictBool = Field(False, description="Only that user's group reads the releases; needs run_as")
    encoding: Text = Field("", description="Of what its commands print; empty: the host's. Any name that Python knows")
    keep_releases: StrictInt = 3
    limits: dict[str, Any] = {}
    steps: list[dict[str, Any]] = []
    auto_deploy_tag: Text = ""
    team: StrictInt | StrictStr | None = Field(None, description="Id or name of the team that owns it")


class ServiceCreate(ServiceUpdate):
    """A new service: only its name is required."""

    name: Text


class ServiceOut(Schema):
    id: int
    name: str
    language: str
    build_orig: str
    build_url: str
    build_command: str
    build_secrets: list[str] = Field(description="Names alone; values never come out")
    build_secrets_changed: dict[str, datetime] = Field(description="When each was last set")
    build_username: str
    has_build_password: bool
    has_build_key: bool
    build_refs: list[str]
    build_depth: int
    description: str
    start_command: str
    stop_command: str
    check_command: str
    check_timeout: int
    environment: dict[str, Any] = Field(description="Values are null for whoever may not deploy the service")
    secrets: list[str] = Field(description="Names alone; values never come out")
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

    version: Text = Field("", description="Where it is left out: TIME-BRANCH-COMMIT, of the fields below")
    ref: Text = "master"
    description: Text = ""
    status: BuildStatusIn = BuildStatus.PENDING.value
    commit: Text = Field("", description="The hash that it was built from, where `version` is left out")
    committed: Moment | None = Field(None, description="When that commit was made, where `version` is left out")

    def named(self) -> dict[str, Any]:
        """The fields of a version, its name made by the rule of deployctl/naming.py where none was given."""
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
    """What may change of a version."""

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
    file_path: str = Field(description="Where the package lies in the store; set by publishing it, never by name")
    sha256: str = Field(description="Of the package as it is stored and sent to hosts: it was written anew")
    source_sha256: str = Field(description="Of the file that was published; in the answer to a package, of that one")
    size: int | None
    unpacked_size: int | None
    bad: bool
    bad_reason: str
    build_detail: str = Field(description="Why the build has its status, in English")
    build_detail_code: str = Field(description="The code of that sentence; empty for a sentence of the build server")
    build_detail_params: dict[str, Any] = Field(description="The parameters of that sentence")
    created: datetime
    created_by: str
    instances: int = Field(description="How many instances run it")


class VersionList(ListPage):
    data: list[VersionOut]


class TokenCreate(Body):
    """A new token. `services`: ids or names of the only services it is for; none means all that its owner may."""

    name: Text
    scopes: list[Text]
    services: list[StrictInt | StrictStr] = []
    expires: Moment | None = Field(
        None,
        description=(
            "Default: TOKEN_LIFETIME_DAYS from now. null: never; only for administrators and service accounts"
        ),
    )
    user: StrictInt | StrictStr | None = Field(None, description="Id or name of the service account that it is for")


class TokenOut(Schema):
    id: int
    name: str
    hint: str = Field(description="The token's first characters")
    scopes: list[str]
    services: list[int]
    user: str
    parent_id: int | None = Field(description="The token that it was made with; it ends with that one")
    expires: datetime | None
    last_used: datetime | None
    created: datetime
    created_by: str


class TokenCreated(TokenOut):
    token: str = Field(description="Shown this once; only a hash of it is kept")


class TokenList(ListPage):
    data: list[TokenOut]
