"""The targets of a command: hosts by name, id, label or group, instances by id, as in the API (docs/api.md)."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Iterable

from .cli import Part, argument
from .context import is_id
from .exits import Ended, Exit

ALL = "all"
NONE = "0"  # as the API calls no environment
LABELS = argument(
    "--label",
    dest="labels",
    action="append",
    default=[],
    metavar="NAME=VALUE",
    help="Hosts with this label, or with NAME alone: with any value of it. Repeated: with all of them.",
)
GROUP = argument("--group", metavar="NAME", help="Hosts in this host group.")
ENVIRONMENT = argument(
    "--environment", metavar="NAME", help="Only hosts in this environment. Needed where the hosts are in several."
)
NO_ENVIRONMENT = argument(
    "--no-environment", dest="environment", action="store_const", const=NONE, help="Only hosts in no environment."
)


def host_names(default: str) -> Part:
    """Return the option that names hosts."""
    return argument(
        "--host",
        dest="hosts",
        action="append",
        default=[],
        metavar="HOSTS",
        help=f"Hosts by name or id: web1,web2. Repeatable.{default}",
    )


HOSTS = (host_names(""), LABELS, GROUP, ENVIRONMENT, NO_ENVIRONMENT)
TARGETS = (
    host_names(" Default: all."),
    LABELS,
    GROUP,
    ENVIRONMENT,
    NO_ENVIRONMENT,
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

    def __init__(
        self,
        hosts: Iterable[str] = (),
        instances: Iterable[str] = (),
        labels: Iterable[str] = (),
        group: str | None = None,
        environment: str | None = None,
    ):
        names, numbers = _split(hosts, "--host"), _split(instances, "--instance")
        self.hosts: list[int | str] = [int(name) if is_id(name) else name for name in names]
        self.labels, self.group, self.environment = _labels(labels), group, environment
        for option, name in (("--group", group), ("--environment", environment)):
            if name is not None and not name.strip():
                raise Ended(f"{option} must not be empty.", Exit.USAGE_ERROR)
        if sum(map(bool, (self.hosts, numbers, self.labels, group))) > 1:
            raise Ended("--host, --label, --group and --instance are mutually exclusive.", Exit.USAGE_ERROR)
        if wrong := [text for text in numbers if not is_id(text)]:
            raise Ended(f"--instance takes ids, not {wrong[0]!r}; --host takes names.", Exit.USAGE_ERROR)
        self.instances = [int(text) for text in numbers]
        if ALL in self.hosts:
            if len(self.hosts) > 1:
                raise Ended("--host all cannot be combined with other hosts.", Exit.USAGE_ERROR)
            self.hosts = []

    @classmethod
    def of(cls, arguments: argparse.Namespace) -> Targets:
        instances = getattr(arguments, "instances", ())
        return cls(arguments.hosts, instances, arguments.labels, arguments.group, arguments.environment)

    @property
    def is_named(self) -> bool:
        return bool(self.hosts or self.instances or self.labels or self.group)

    def body(self) -> dict:
        """Return the targets as the API takes them."""
        within = {} if self.environment is None else {"environment": self.environment}
        if self.labels:
            return {"labels": self.labels, **within}
        if self.group:
            return {"group": self.group, **within}
        named = {"instances": self.instances} if self.instances else {"host": self.hosts or ALL}
        return {**named, **within}

    def query(self) -> dict[str, str | None]:
        """Return the filter of the list of instances: what the server knows of labels, groups and environments."""
        words = (name if value is None else f"{name}={value}" for name, value in self.labels.items())
        return {"label": shlex.join(words), "group": self.group, "environment": self.environment}

    def select(self, service: str, rows: list[dict]) -> list[dict]:
        """Return the targeted ones of a service's instances, which were listed with `query`."""
        if self.labels or self.group:
            if not rows:  # nothing that is chosen must never mean everything
                raise Ended(f"No instance of {service} is on a host that was chosen.", Exit.USAGE_ERROR)
            return rows
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

    def having_only(self, rows: list[dict]) -> list[dict]:
        """Return those of a service's instances, which were listed with `query`, that are on these hosts."""
        return [row for row in rows if not self.hosts or set(self._names(row)) & set(self.hosts)]

    def having(self, rows: list[dict]) -> Targets:
        """Return the targets without the named hosts on which none of these instances is."""
        hosts = [str(row["host_id"]) for row in rows]
        return Targets(hosts=hosts, environment=self.environment) if self.hosts else self

    def _names(self, row: dict) -> tuple[int | str, ...]:
        return (row["id"],) if self.instances else (row["host_id"], row["host"].partition(":")[0])


def _split(values: Iterable[str], option: str) -> list[str]:
    """Split at commas. An empty value is refused: an unset variable of a script must never mean everything."""
    parts = [part.strip() for value in values for part in value.split(",")]
    if not all(parts):
        raise Ended(f"{option} must not be empty.", Exit.USAGE_ERROR)
    return parts


def _labels(texts: Iterable[str]) -> dict[str, str | None]:
    """Return {name: value, or None for any}. An empty value is refused, as that of an unset variable."""
    found: dict[str, str | None] = {}
    for text in texts:
        name, sign, value = (part.strip() for part in text.partition("="))
        if not name or (sign and not value):
            raise Ended(f"--label takes NAME=VALUE or NAME, not {text!r}.", Exit.USAGE_ERROR)
        if name in found:
            raise Ended(f"--label {name} is given twice: a host has one value of it.", Exit.USAGE_ERROR)
        found[name] = value if sign else None
    return found
