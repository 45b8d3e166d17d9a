"""Which selected instances a request cannot have, and why: what it skips, or is refused for."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from django.db.models import Q

from access.problems import FieldError, refused
from messages import Message
from messages.rendering import literal, render

from ..models import MicroServiceInstance
from ..status import BUSY, InstanceStatus
from .refusals import family, nothing_to_do, refused_targets
from .targets import TargetSelection


class Candidate(NamedTuple):
    """An instance, and all that decides whether it can be locked: as values, because there may be ten thousand."""

    instance_id: int
    host_id: int
    hostname: str
    ip: str
    version_id: int | None
    status: int
    is_maintain: bool
    on_closed_host: bool
    locked: bool
    lock_deployment_id: int | None
    lock_requested_by: str | None
    locked_since: datetime | None

    @property
    def host(self) -> str:
        """As str(Asset)."""
        return f"{self.hostname}:{self.ip}"

    @classmethod
    def of(cls, row: MicroServiceInstance) -> "Candidate":
        """Return an instance that `with_closed` annotated, with its host and its lock loaded."""
        return cls(
            row.pk,
            row.host_id,
            row.host.hostname,
            row.host.ip,
            row.version_id,
            row.status,
            row.is_maintain,
            row.on_closed_host,  # type: ignore[attr-defined]
            row.locked,
            row.lock_deployment_id,
            row.lock_deployment.requested_by if row.lock_deployment else None,
            row.locked_since,
        )


_FIELDS = (
    "pk",
    "host_id",
    "host__hostname",
    "host__ip",
    "version_id",
    "status",
    "is_maintain",
    "on_closed_host",
    "locked",
    "lock_deployment_id",
    "lock_deployment__requested_by",
    "locked_since",
)


@dataclass(frozen=True, slots=True)
class SkippedTarget:
    """An instance that was selected and not locked, and why."""

    instance_id: int
    host_id: int
    host: str
    reason: Message

    def to_json(self) -> dict[str, Any]:
        """Return {"instance_id", "host_id", "host", "code", "params"}, as Deployment.skipped keeps it."""
        return {
            "instance_id": self.instance_id,
            "host_id": self.host_id,
            "host": self.host,
            **self.reason.as_json(),
        }


def describe_skipped(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows of Deployment.skipped with `reason`, a sentence in the active language.

    Rows of older versions have a sentence as their reason and no params; it is shown as it is.
    """
    return [
        {**row, "code": str(row.get("code", "")).partition(".")[0], "reason": render(skipped_reason(row))}
        for row in rows
    ]


def skipped_reason(row: Mapping[str, Any]) -> Message:
    return Message.from_json(row) if "params" in row else literal(str(row.get("reason", "")))


def skipped_targets(selection: TargetSelection, locked: Q) -> Iterable[SkippedTarget]:
    """Yield every selected instance that is not `locked`, with the reason. One query."""
    rows = selection.with_closed(selection.selected().exclude(locked).order_by("pk"))
    for one in map(Candidate._make, rows.values_list(*_FIELDS)):
        yield SkippedTarget(one.instance_id, one.host_id, one.host, skip_reason(one, selection))


def skip_reason(one: Candidate, selection: TargetSelection) -> Message:
    """Return why an instance cannot be locked. Pure."""
    host = one.host
    if selection.destination and one.version_id == selection.destination.pk:
        return Message("already_there", {"host": host, "version": selection.destination.version})
    if one.on_closed_host:
        return Message("host_of_another_team.target", {"host": host})
    if one.locked:
        holder = _holder(one.lock_deployment_id, one.lock_requested_by, one.locked_since)
        return Message("instance_locked", {"host": host, "holder": holder})
    if one.status not in selection.allowed_statuses:
        status = InstanceStatus(one.status)
        next_step = Message("wait_for_operation" if status in BUSY else "retry_or_delete")
        return Message("instance_state", {"host": host, "status": status.label, "next_step": next_step})
    if one.is_maintain and not selection.force:
        return Message("in_maintenance", {"host": host})
    return Message("concurrent_update.target", {"host": host})


def is_lockable(one: Candidate, selection: TargetSelection) -> bool:
    """Return whether `lockable` would match what runs the selection's version. Pure; as `skip_reason`."""
    free = not (one.locked or one.is_maintain or one.on_closed_host)
    return free and one.status in selection.allowed_statuses


def lock_holder(row: MicroServiceInstance) -> Message:
    """Return who holds the instance's lock, through which deployment, since when."""
    requested_by = row.lock_deployment.requested_by if row.lock_deployment else None
    return _holder(row.lock_deployment_id, requested_by, row.locked_since)


def _holder(deployment: int | None, requested_by: str | None, locked_since: datetime | None) -> Message:
    if deployment is None:
        return Message("lock_holder.unknown")
    since = f"{locked_since:%Y-%m-%d %H:%M:%S} UTC" if locked_since else "?"
    return Message("lock_holder", {"who": requested_by or "?", "deployment": deployment, "since": since})


def refuse_unavailable(selection: TargetSelection, targets: int, skipped: Sequence[SkippedTarget]) -> None:
    """Raise Problem 409 where a named target was skipped, or where no target is left. For requests and previews.

    A target that a request names is never skipped silently; a locked one is, if the request asks for that. A locked
    one that it does not name is skipped unless the request asks for a refusal. One that is where a deploy is to take it
    is no reason to refuse anything, and neither are all of them.
    """
    accepted = {"already_there"} | ({"instance_locked"} if selection.skip_locked else set())
    refused_rows = []
    if selection.is_named:
        refused_rows = [target for target in skipped if target.reason.code not in accepted]
    elif selection.refuse_locked:
        refused_rows = [target for target in skipped if target.reason.code == "instance_locked"]
    if refused_rows:
        raise refused_targets(as_errors(refused_rows, selection.pointer))
    if not targets and not _all_are_there(selection, skipped):
        if not skipped and not selection.service.instances.exists():
            raise refused("nothing_to_do.not_installed", service=selection.service.name)
        raise nothing_to_do(as_errors(skipped, selection.pointer))


def _all_are_there(selection: TargetSelection, skipped: Sequence[SkippedTarget]) -> bool:
    if selection.destination is None or any(target.reason.code != "already_there" for target in skipped):
        return False
    return bool(skipped) or selection.service.instances.filter(selection.scope, version=selection.destination).exists()


def as_errors(skipped: Iterable[SkippedTarget], pointer: str) -> list[FieldError]:
    """Return the errors of a refusal: one for each skipped target."""
    return [
        FieldError(
            pointer,
            target.reason,
            {
                "instance_id": target.instance_id,
                "host_id": target.host_id,
                "host": target.host,
                "code": family(target.reason),
            },
        )
        for target in skipped
    ]
