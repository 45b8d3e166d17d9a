"""The targets of a command: hosts by name, id or label, instances by id, as in the API (docs/api.md)."""

from __future__ import annotations

import argparse
from collections.abc import Iterable

from .cli import argument
from .context import Context, is_id, quoted
from .exits import Ended, Exit

ALL = "all"
TARGETS = (
    argument(
        "--host",
        dest="hosts",
        action="append",
        default=[],
        metavar="HOSTS",
        help="Hosts by name or id: web1,web2. Repeatable. Default: all.",
    ),
    argument(
        "--label",
        dest="labels",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="The service's hosts with this label, or with NAME alone: with any value of it. Repeated: with all.",
    ),
    argument(
        "--instance",
        dest="instances",
        action="append",
        default=[],
        metavar="IDS",
        help="Instances by id: 1,2,3. Repeatable.",
    ),
)


class Targets:
    """The values of TARGETS; everything without them. Raises Ended for invalid ones."""

    def __init__(self, hosts: Iterable[str] = (), instances: Iterable[str] = (), labels: Iterable[str] = ()):
        names, numbers = _split(hosts, "--host"), _split(instances, "--instance")
        self.hosts: list[int | str] = [int(name) if is_id(name) else name for name in names]
        self.labels = [_label(text) for text in labels]
        if sum(map(bool, (self.hosts, numbers, self.labels))) > 1:
            raise Ended("--host, --label and --instance are mutually exclusive.", Exit.USAGE_ERROR)
        if wrong := [text for text in numbers if not is_id(text)]:
            raise Ended(f"--instance takes ids, not {wrong[0]!r}; --host takes names.", Exit.USAGE_ERROR)
        self.instances = [int(text) for text in numbers]
        if ALL in self.hosts:
            if len(self.hosts) > 1:
                raise Ended("--host all cannot be combined with other hosts.", Exit.USAGE_ERROR)
            self.hosts = []

    @classmethod
    def of(cls, arguments: argparse.Namespace) -> Targets:
        return cls(arguments.hosts, arguments.instances, arguments.labels)

    @property
    def is_named(self) -> bool:
        return bool(self.hosts or self.instances or self.labels)

    def body(self, context: Context, service: str) -> dict:
        """Return the targets as the API takes them."""
        if self.labels:
            rows = context.client.all(f"/services/{quoted(service)}/instances/")
            return {"instances": [row["id"] for row in self._labelled(context, service, rows)]}
        return {"instances": self.instances} if self.instances else {"host": self.hosts or ALL}

    def select(self, context: Context, service: str, rows: list[dict]) -> list[dict]:
        """Return the targeted ones of a service's instances."""
        if self.labels:
            return self._labelled(context, service, rows)
        if not self.is_named:
            return rows
        known = {name: row for row in rows for name in self._names(row)}
        wanted = self.instances or self.hosts
        if missing := [str(name) for name in wanted if name not in known]:
            named = ", ".join(missing)
            raise Ended(
                f"{service} has no instance {named}."
                if self.instances
                else f"{service} has no instance on host {named}.",
                Exit.USAGE_ERROR,
            )
        return [known[name] for name in wanted]

    def _labelled(self, context: Context, service: str, rows: list[dict]) -> list[dict]:
        hosts = {host["id"] for host in context.client.all("/hosts/") if self._fits(host["labels"])}
        found = [row for row in rows if row["host_id"] in hosts]
        if not found:  # nothing named must never mean everything
            words = ", ".join(name if value is None else f"{name}={value}" for name, value in self.labels)
            raise Ended(f"No host of {service} has the label {words}.", Exit.USAGE_ERROR)
        return found

    def _fits(self, labels: dict[str, str]) -> bool:
        return all(name in labels and value in (None, labels[name]) for name, value in self.labels)

    def _names(self, row: dict) -> tuple[int | str, ...]:
        return (row["id"],) if self.instances else (row["host_id"], row["host"].partition(":")[0])


def _split(values: Iterable[str], option: str) -> list[str]:
    """Split at commas. An empty value is refused: an unset variable of a script must never mean everything."""
    parts = [part.strip() for value in values for part in value.split(",")]
    if not all(parts):
        raise Ended(f"{option} must not be empty.", Exit.USAGE_ERROR)
    return parts


def _label(text: str) -> tuple[str, str | None]:
    name, sign, value = text.partition("=")
    if not name.strip() or (sign and not value.strip()):
        raise Ended(f"--label takes NAME=VALUE or NAME, not {text!r}.", Exit.USAGE_ERROR)
    return name.strip(), value.strip() if sign else None
