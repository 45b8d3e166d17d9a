"""The schemas of hosts."""

from datetime import datetime
from typing import Any

from ninja import Field, Schema
from pydantic import StrictBool, StrictInt, StrictStr

from asset import pasted_keys

from .base import Body, ListPage
from .host_choice import HostChoice


class HostUpdate(Body):
    """The fields of a host to change; the others stay."""

    hostname: StrictStr = ""
    ip: StrictStr = Field("", description="IPv4, IPv6, or a name that is resolved at each connection")
    port: StrictInt = 22
    username: StrictStr = "root"
    credential_id: StrictInt | None = None
    base_path: StrictStr = Field("/srv/services", description="Absolute; services live below it")
    sudo: StrictBool = Field(False, description="Run programs with sudo -n")
    legacy_algorithms: StrictBool = Field(
        False, description="Allow old SSH algorithms too (ssh-rsa, SHA-1, CBC), for servers that have no others"
    )
    encoding: StrictStr = Field(
        "",
        description='Encoding of command output, such as "gb18030"; a service\'s own comes first. Empty: UTF-8, '
        "or what is detected beyond doubt",
    )
    jump_host_id: StrictInt | None = None
    environment_id: StrictInt | None = Field(None, description="The environment that it is in; null: none")
    teams: list[StrictInt | StrictStr] = Field(
        [], description="Ids or names of the teams whose services may be deployed to it; none: all services"
    )
    package_port: StrictInt | None = Field(
        None, description="Port, from 1024, on which hosts behind this one fetch packages from it; null: they do not"
    )
    package_address: StrictStr | None = Field(None, description="The address for that, where it is not its ip")
    labels: dict[str, StrictStr] = {}
    host_key: StrictStr = Field("", description='The key to pin: "ssh-ed25519 AAAA…" or lines of known_hosts')
    description: StrictStr = ""


class HostCreate(HostUpdate):
    """A new host. Only the name and the address are required."""

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
    jump_host_id: int | None = Field(description="null also where the caller may not see the jump host")
    environment_id: int | None
    environment: str | None = Field(description="The name of its environment")
    teams: list[str] = Field(description="Names of its teams; none: open to everyone")
    package_port: int | None
    package_address: str | None
    labels: dict[str, str]
    host_key: str = Field(description="The pinned key; empty: not trusted")
    fingerprint: str = Field(description="Of the pinned key, as ssh-keygen -l prints it")
    description: str
    reachable: bool | None = Field(description="Whether the last contact succeeded; null: never checked")
    reachable_since: datetime | None = Field(description="When `reachable` last changed; null: unknown")
    last_contact: datetime | None
    last_error: str
    last_error_code: str = Field(description="Of last_error; empty where there is none")
    last_error_params: dict[str, Any]
    offered_fingerprint: str = Field(description="Of a key that the host offered instead of the pinned one")
    archived: datetime | None = Field(description="When it was archived; null: it is not archived")
    archived_by: str
    archive_reason: str
    created: datetime
    created_by: str
    updated: datetime
    updated_by: str


class HostList(ListPage):
    data: list[HostOut]


class ImportOut(Schema):
    data: list[HostOut] = Field(description="The hosts that were created; empty with dry_run")
    count: int = Field(description="How many hosts were created, or would be")
    unchanged: int = Field(description="Rows whose host exists with the same fields")
    dry_run: bool = False
    code: int = 0


class ArchiveRequest(Body):
    reason: StrictStr = Field(min_length=1, max_length=500, description="Kept with the host and in the history")
    forget: StrictBool = Field(False, description="First forget the instances on it: see instances/forget")


class TrustRequest(Body):
    fingerprint: StrictStr = Field(
        max_length=pasted_keys.MAX_LENGTH,
        description="Of the key to pin: SHA256:…, the output of ssh-keygen -lf, a line of known_hosts, or the key",
    )


class HostsUpdate(HostChoice):
    """Labels to add to hosts or to remove from them, and which hosts."""

    add_labels: dict[str, StrictStr] = Field({}, description="Set on each of them; its other labels stay")
    remove_labels: list[StrictStr] = Field([], description="Names of labels")


class HostsChanged(Schema):
    changed: int = Field(description="How many hosts had other labels before")
    code: int = 0
