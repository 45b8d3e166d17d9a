"""The schemas of services."""

from datetime import datetime
from typing import Any

from ninja import Field, Schema
from pydantic import StrictBool, StrictInt, StrictStr

from .base import Body, ListPage, Text

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
        {},
        description="Of deployments that name none, where their environment has none: as `strategy` of an upgrade. "
        "{}: all hosts at once",
    )
    auto_deploy_tag: Text = Field("", description="Instances with this tag are upgraded to each new build")
    auto_deploy_environment: StrictInt | StrictStr | None = Field(
        None,
        description="Id or name of the environment that new builds go to; with a tag, to its instances there",
    )
    auto_deploy_refs: list[Text] = Field([], description="Patterns of the branches that go there; empty: all")
    auto_deploy_strategy: dict[str, Any] = Field(
        {}, description="Of these deployments. {}: the default strategy of the environment or the service"
    )
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
    auto_deploy_environment: str | None = Field(description="The name of the environment that each new build goes to")
    auto_deploy_refs: list[str]
    auto_deploy_strategy: dict[str, Any]
    team: str | None = None
    created: datetime
    created_by: str
    updated: datetime
    updated_by: str


class ServiceList(ListPage):
    data: list[ServiceOut]
