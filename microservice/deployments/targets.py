"""Which instances a request selects, which of them it can lock, and the one statement that locks them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import BooleanField, ExpressionWrapper, F, Q, QuerySet, Subquery, Value
from django.db.models.lookups import IsNull
from django.utils import timezone

from access.problems import FieldError, refused
from messages import Message
from messages.rendering import literal, render

from ..models import Deployment, MicroService, MicroServiceInstance, MicroServiceVersion, Operation
from ..status import BUSY, InstanceStatus
from .refusals import family, nothing_to_do, refused_targets

_ANY = Q()


@dataclass(frozen=True, slots=True)
class TargetSelection:
    """The instances that a request selects, and the conditions under which it may lock each."""

    service: MicroService
    allowed_statuses: frozenset[InstanceStatus]
    version: MicroServiceVersion | None = None  # the version that an instance must run; None: any
    ids: tuple[int, ...] | None = None  # instances; None: not selected by id
    hosts: tuple[int, ...] | None = None  # ids of hosts; None: not selected by host
    by_label: bool = False  # `hosts` are those that have labels: none of them was named
    pointer: str = "/host"  # the place in the request that selects
    force: bool = False  # also instances in maintenance
    skip_locked: bool = False
    refuse_locked: bool = False  # also where none was named
    scope: Q = _ANY  # limits the selection beyond the fields above
    condition: Q = _ANY  # must still hold when an instance is locked
    closed: Q | None = None  # instances on hosts that are closed to the service (placement.py); None: also those
    destination: MicroServiceVersion | None = None  # of a deploy: what runs it is there already
    new_status: InstanceStatus | None = None  # the status of all from then on; None: not the same for each (enqueue.py)

    @property
    def is_named(self) -> bool:
        """Whether the request names its targets one by one; otherwise it takes every instance that qualifies."""
        return not self.by_label and (self.ids is not None or self.hosts is not None)

    def selected(self) -> QuerySet[MicroServiceInstance]:
        rows = MicroServiceInstance.objects.filter(self.scope, microservice=self.service)
        if self.ids is not None:
            return rows.filter(pk__in=self.ids)
        if self.hosts is not None:
            rows = rows.filter(host__in=self.hosts)
            return rows.filter(version=self.version) if self.by_label and self.version else rows
        if self.destination:
            return rows.exclude(version=self.destination)
        return rows.filter(version=self.version) if self.version else rows

    def lockable(self) -> QuerySet[MicroServiceInstance]:
        """Return those that can be locked now: the condition of the UPDATE that locks them."""
        rows = self.selected().filter(self.condition, locked=False, status__in=self.allowed_statuses)
        if self.version:
            rows = rows.filter(version=self.version)
        if self.destination:
            rows = rows.filter(version__isnull=False).exclude(version=self.destination)
        if self.closed is not None:
            rows = rows.exclude(self.closed)
        return rows if self.force else rows.filter(is_maintain=False)

    def with_closed(self, rows: QuerySet[MicroServiceInstance]) -> QuerySet[MicroServiceInstance]:
        """Annotate each row with `on_closed_host`: whether its host is closed to what this would deploy there."""
        closed = None if self.closed is None else ExpressionWrapper(self.closed, BooleanField())
        return rows.annotate(on_closed_host=closed or Value(False))


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


def has_operation(operations: QuerySet[Operation]) -> Q:
    """Return the condition that an instance has such an operation. As a value: see advance.abandon_pending."""
    return Q(IsNull(Subquery(operations.order_by().values("pk")[:1]), False))


def lock_targets(selection: TargetSelection, deployment: Deployment) -> tuple[int, list[SkippedTarget]]:
    """Lock the selected instances for the deployment. Return how many, and which were skipped.

    There is no gap between the check and the lock: the condition is part of the UPDATE, and the reasons are looked up
    afterwards, for the rows that it did not match. Two requests never hold the same instance, because a row matches
    only once. The same UPDATE sets the new status: a second one over ten thousand rows would cost PostgreSQL as much
    again, and all their foreign keys once more at the commit.
    """
    changes = {} if selection.new_status is None else {"status": selection.new_status}
    targets = selection.lockable().update(
        locked=True,
        lock_deployment=deployment,
        locked_since=timezone.now(),
        status_before=F("status"),
        updated=timezone.now(),
        updated_by=deployment.requested_by,
        **changes,
    )
    skipped = list(skipped_targets(selection, Q(lock_deployment=deployment, locked=True)))
    refuse_unavailable(selection, targets, skipped)
    return targets, skipped


def skipped_targets(selection: TargetSelection, locked: Q) -> Iterable[SkippedTarget]:
    """Yield every selected instance that is not `locked`, with the reason."""
    rows = selection.selected().exclude(locked).select_related("host", "lock_deployment").order_by("pk")
    for row in selection.with_closed(rows):
        yield SkippedTarget(row.pk, row.host_id, str(row.host), skip_reason(row, selection))


def skip_reason(row: MicroServiceInstance, selection: TargetSelection) -> Message:
    """Return why an instance cannot be locked. Pure; the row comes from `with_closed`, with its lock loaded."""
    host = str(row.host)
    if selection.destination and row.version_id == selection.destination.pk:
        return Message("already_there", {"host": host, "version": selection.destination.version})
    if row.on_closed_host:  # type: ignore[attr-defined]
        return Message("host_of_another_team.target", {"host": host})
    if row.locked:
        return Message("instance_locked", {"host": host, "holder": lock_holder(row)})
    if row.status not in selection.allowed_statuses:
        status = InstanceStatus(row.status)
        next_step = Message("wait_for_operation" if status in BUSY else "retry_or_delete")
        return Message("instance_state", {"host": host, "status": status.label, "next_step": next_step})
    if row.is_maintain and not selection.force:
        return Message("in_maintenance", {"host": host})
    return Message("concurrent_update.target", {"host": host})


def is_lockable(row: MicroServiceInstance, selection: TargetSelection) -> bool:
    """Return whether `lockable` would match the row, which runs the selection's version. Pure; as `skip_reason`."""
    free = not (row.locked or row.is_maintain or row.on_closed_host)  # type: ignore[attr-defined]
    return free and row.status in selection.allowed_statuses


def lock_holder(row: MicroServiceInstance) -> Message:
    """Return who holds the instance's lock, through which deployment, since when."""
    if row.lock_deployment is None:
        return Message("lock_holder.unknown")
    since = f"{row.locked_since:%Y-%m-%d %H:%M:%S} UTC" if row.locked_since else "?"
    holder = row.lock_deployment.requested_by or "?"
    return Message("lock_holder", {"who": holder, "deployment": row.lock_deployment_id, "since": since})


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
