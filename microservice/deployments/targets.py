"""Which instances a request selects, which of them it can lock, and the one statement that locks them."""

from dataclasses import dataclass

from django.db.models import BooleanField, ExpressionWrapper, F, Q, QuerySet, Subquery, Value
from django.db.models.lookups import IsNull
from django.utils import timezone

from runtime.sql import among

from ..models import Deployment, MicroService, MicroServiceInstance, MicroServiceVersion, Operation
from ..status import InstanceStatus

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
        rows = self.addressed()
        takes_all = self.ids is None and self.hosts is None
        return rows.exclude(version=self.destination) if takes_all and self.destination else rows

    def addressed(self) -> QuerySet[MicroServiceInstance]:
        """Return the selected instances, and those that run a deploy's version already."""
        rows = MicroServiceInstance.objects.filter(self.scope, microservice=self.service)
        if self.ids is not None:
            return rows.filter(pk__in=among(self.ids))
        if self.hosts is not None:
            rows = rows.filter(host__in=among(self.hosts))
            return rows.filter(version=self.version) if self.by_label and self.version else rows
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


def has_operation(operations: QuerySet[Operation]) -> Q:
    """Return the condition that an instance has such an operation. As a value: see advance.abandon_pending."""
    return Q(IsNull(Subquery(operations.order_by().values("pk")[:1]), False))


def lock_targets(selection: TargetSelection, deployment: Deployment) -> int:
    """Lock the selected instances for the deployment. Return how many.

    There is no gap between the check and the lock: the condition is part of the UPDATE, and the reasons are looked up
    afterwards, for the rows that it did not match (skipped.py). Two requests never hold the same instance, because a
    row matches only once. The same UPDATE sets the new status: a second one over ten thousand rows would cost
    PostgreSQL as much again, and all their foreign keys once more at the commit.
    """
    changes = {} if selection.new_status is None else {"status": selection.new_status}
    return selection.lockable().update(
        locked=True,
        lock_deployment=deployment,
        locked_since=timezone.now(),
        status_before=F("status"),
        updated=timezone.now(),
        updated_by=deployment.requested_by,
        **changes,
    )
