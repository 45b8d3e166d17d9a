"""The targets of a command: hosts by name or id, instances by id, as in the API (docs/api.md)."""

from collections.abc import Callable, Iterable

import click

from .exits import Ended, Exit

ALL = "all"


def with_targets(command: Callable) -> Callable:
    """Add --host and --instance to a command."""
    for option in (
        click.option(
            "--instance",
            "instances",
            multiple=True,
            help="Instances by id, instead of --host: 1,2,3. Repeatable.",
        ),
        click.option(
            "--host",
            "hosts",
            multiple=True,
            help="Hosts by name or id: web1,web2. Repeatable. Default: all.",
        ),
    ):
        command = option(command)
    return command


class Targets:
    """The values of --host and --instance; everything without them. Raises Ended for invalid ones."""

    def __init__(self, hosts: Iterable[str], instances: Iterable[str]):
        names, numbers = _split(hosts, "--host"), _split(instances, "--instance")
        self.hosts: list[int | str] = [int(name) if _is_id(name) else name for name in names]
        if self.hosts and numbers:
            raise Ended("--host and --instance are mutually exclusive.", Exit.USAGE_ERROR)
        if wrong := [text for text in numbers if not _is_id(text)]:
            raise Ended(f"--instance takes ids, not {wrong[0]!r}; --host takes names.", Exit.USAGE_ERROR)
        self.instances = [int(text) for text in numbers]
        if ALL in self.hosts:
            if len(self.hosts) > 1:
                raise Ended("--host all cannot be combined with other hosts.", Exit.USAGE_ERROR)
            self.hosts = []

    @property
    def is_named(self) -> bool:
        return bool(self.hosts or self.instances)

    def body(self) -> dict:
        """Return the targets as the API takes them."""
        return {"instances": self.instances} if self.instances else {"host": self.hosts or ALL}

    def select(self, service: str, rows: list[dict]) -> list[dict]:
        """Return the targeted ones of a service's instances."""
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

    def _names(self, row: dict) -> tuple[int | str, ...]:
        return (row["id"],) if self.instances else (row["host_id"], row["host"].partition(":")[0])


def _split(values: Iterable[str], option: str) -> list[str]:
    """Split at commas. An empty value is refused: an unset variable of a script must never mean everything."""
    parts = [part.strip() for value in values for part in value.split(",")]
    if not all(parts):
        raise Ended(f"{option} must not be empty.", Exit.USAGE_ERROR)
    return parts


def _is_id(text: str) -> bool:
    return text.isascii() and text.isdigit()
