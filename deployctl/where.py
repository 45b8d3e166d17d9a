"""Where a command goes: hosts by name or id, instances by id; the same rule as the API's (docs/api.md)."""

from collections.abc import Iterable

from .exits import Ended, Exit

ALL = "all"


class Where:
    """What --host and --instance said; everything, where they said nothing. Raises Ended for what cannot be meant."""

    def __init__(self, hosts: Iterable[str], instances: Iterable[str]):
        names, numbers = _split(hosts, "--host"), _split(instances, "--instance")
        self.hosts: list[int | str] = [int(one) if _is_id(one) else one for one in names]
        if self.hosts and numbers:
            raise Ended("--host and --instance exclude each other.", Exit.WRONG_USE)
        if wrong := [one for one in numbers if not _is_id(one)]:
            raise Ended(f"--instance takes ids, and {wrong[0]!r} is none; --host takes names.", Exit.WRONG_USE)
        self.instances = [int(one) for one in numbers]
        if ALL in self.hosts:
            if len(self.hosts) > 1:
                raise Ended("--host all names every host already.", Exit.WRONG_USE)
            self.hosts = []

    @property
    def is_named(self) -> bool:
        return bool(self.hosts or self.instances)

    def body(self) -> dict:
        """As the API takes it."""
        return {"instances": self.instances} if self.instances else {"host": self.hosts or ALL}

    def among(self, service: str, rows: list[dict]) -> list[dict]:
        """Those of a service's instances that are meant."""
        if not self.is_named:
            return rows
        known = {one: row for row in rows for one in self._names(row)}
        wanted = self.instances or self.hosts
        if missing := [str(one) for one in wanted if one not in known]:
            named = ", ".join(missing)
            raise Ended(
                f"{service} has no instance {named}."
                if self.instances
                else f"{service} has no instance on host {named}.",
                Exit.WRONG_USE,
            )
        return [known[one] for one in wanted]

    def _names(self, row: dict) -> tuple[int | str, ...]:
        return (row["id"],) if self.instances else (row["host_id"], row["host"].partition(":")[0])


def _split(given: Iterable[str], option: str) -> list[str]:
    """An empty one is refused: a script's variable that is not set means nothing, and never everything."""
    parts = [part.strip() for one in given for part in one.split(",")]
    if not all(parts):
        raise Ended(f"{option} names nothing, or holds an empty name.", Exit.WRONG_USE)
    return parts


def _is_id(text: str) -> bool:
    return text.isascii() and text.isdigit()
