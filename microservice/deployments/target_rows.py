"""What a plan needs to know of each target, as values: ten thousand objects of three models take seconds to load."""

from collections.abc import Iterable
from typing import Any, NamedTuple

from django.db.models import QuerySet

from asset.models import Asset

from ..models import MicroServiceInstance
from ..status import Action

# What happens to a target: an operation's action, and the ids of the versions that it leaves and goes to.
Move = tuple[Action, int | None, int | None]
_OF_INSTANCE = ("version_id", "port", "tag", "weight")
_OF_HOST = ("hostname", "ip", "port", "username", "jump_host_id", "base_path", "sudo")


class HostRow(NamedTuple):
    """A host that may get an instance."""

    host_id: int
    hostname: str
    ip: str
    ssh_port: int
    username: str
    jump_host_id: int | None
    base_path: str
    sudo: bool


class TargetRow(NamedTuple):
    """A target: the version that it runs, the variables of its commands, its host."""

    instance_id: int | None  # None: nothing is installed yet
    host_id: int
    version_id: int | None
    port: int
    tag: str
    weight: int
    hostname: str
    ip: str
    ssh_port: int
    username: str
    jump_host_id: int | None
    base_path: str
    sudo: bool

    @property
    def host(self) -> str:
        """As str(Asset)."""
        return f"{self.hostname}:{self.ip}"

    @property
    def shown(self) -> tuple[Any, ...]:
        """All that the plan of a target depends on."""
        return self[1:]


def load(instances: QuerySet[MicroServiceInstance]) -> list[TargetRow]:
    """Return the targets of these instances, by their ids. One query."""
    fields = ("pk", "host_id", *_OF_INSTANCE, *(f"host__{name}" for name in _OF_HOST))
    return [TargetRow._make(row) for row in instances.order_by("pk").values_list(*fields)]


def load_hosts(hosts: QuerySet[Asset]) -> list[HostRow]:
    """Return these hosts, by their ids. One query."""
    return [HostRow._make(row) for row in hosts.order_by("pk").values_list("pk", *_OF_HOST)]


def of_hosts(hosts: Iterable[HostRow], fields: dict[str, Any]) -> list[TargetRow]:
    """Return the targets of an install on these hosts. `fields`: port, tag and weight of the instances."""
    ours = (None, fields["port"], fields["tag"], fields["weight"])
    return [TargetRow._make((None, host.host_id, *ours, *host[1:])) for host in hosts]
