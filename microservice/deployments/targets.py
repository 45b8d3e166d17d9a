"""Which instances a request means, which of them it may have, and the one statement that takes them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.db.models import BooleanField, ExpressionWrapper, F, Q, QuerySet, Subquery, Value
from django.db.models.lookups import IsNull
from django.utils import timezone

from access.problems import conflict
from asset import tenancy

from ..models import Deployment, MicroService, MicroServiceInstance, MicroServiceVersion, Operation
from ..status import BUSY, InstanceStatus

_ANY = Q()


@dataclass(frozen=True, slots=True)
class Wish:
    """What a request wants to do with which instances."""

    service: MicroService
    may_be: frozenset[InstanceStatus]  # the statuses that allow it
    version: MicroServiceVersion | None = None  # the version that must run there; None: any
    ids: tuple[int, ...] | None = None  # of instances; None: they are not named so
    hosts: tuple[int, ...] | None = None  # ids of hosts; None: they are not named so
    pointer: str = "/host"  # where the request says which
    force: bool = False  # in maintenance is no hindrance
    skip_locked: bool = False
    among: Q = _ANY  # asked for are only those; what else they must be, beyond the fields above
    still: Q = _ANY  # taken are only those for which this still holds
    kept_out: Q | None = None  # those to which nothing may come (placement.py); None: what is asked for only takes away
    becomes: InstanceStatus | None = None  # what all of them do from then on; None: not the same for each (enqueue.py)

    @property
    def is_named(self) -> bool:
        """Whether the request says which, one by one; otherwise it means whatever fits."""
        return self.ids is not None or self.hosts is not None

    def asked(self) -> QuerySet[MicroServiceInstance]:
        rows = MicroServiceInstance.objects.filter(self.among, microservice=self.service)
        if self.ids is not None:
            return rows.filter(pk__in=self.ids)
        if self.hosts is not None:
            return rows.filter(host__in=self.hosts)
        return rows.filter(version=self.version) if self.version else rows

    def free(self) -> QuerySet[MicroServiceInstance]:
        """Those that may be taken: the condition of the UPDATE that takes them."""
        rows = self.asked().filter(self.still, locked=False, status__in=self.may_be)
        if self.version:
            rows = rows.filter(version=self.version)
        if self.kept_out is not None:
            rows = rows.exclude(self.kept_out)
        return rows if self.force else rows.filter(is_maintain=False)


def there_is(own: QuerySet[Operation]) -> Q:
    """Whether an instance has such an operation: asked for as a value, for the reason that advance.drop gives."""
    return Q(IsNull(Subquery(own.order_by().values("pk")[:1]), False))


def take(wish: Wish, deployment: Deployment) -> tuple[int, list[dict]]:
    """Locks for the deployment, and answers how many, and what was left out and why.

    There is no gap between looking and taking: the condition is part of the UPDATE, and reasons are looked up after
    it, for what it did not take. Two requests never hold the same instance, because a row matches only once.
    What they do from then on is said by the same UPDATE: a second one over ten thousand rows would cost PostgreSQL as
    much again, and all their foreign keys once more at the commit.
    """
    changes = {} if wish.becomes is None else {"status": wish.becomes}
    taken = wish.free().update(
        locked=True,
        lock_deployment=deployment,
        locked_since=timezone.now(),
        status_before=F("status"),
        updated=timezone.now(),
        updated_by=deployment.requested_by,
        **changes,
    )
    left = list(left_out(wish, Q(lock_deployment=deployment, locked=True)))
    refuse_where_named(wish, left)
    return taken, left


def left_out(wish: Wish, taken: Q) -> Iterable[dict]:
    """Every instance that was asked for and not taken, with its reason."""
    rows = wish.asked().exclude(taken).select_related("host", "lock_deployment").order_by("pk")
    for row in with_places(rows, wish):
        code, reason = why_not(row, wish)
        yield {
            "instance_id": row.pk,
            "host_id": row.host_id,
            "host": str(row.host),
            "code": code,
            "reason": reason,
        }


def with_places(rows: QuerySet[MicroServiceInstance], wish: Wish) -> QuerySet[MicroServiceInstance]:
    """Each with `closed`: whether its host is closed to what the wish would bring there."""
    closed = None if wish.kept_out is None else ExpressionWrapper(wish.kept_out, BooleanField())
    return rows.annotate(closed=closed or Value(False))


def why_not(row: MicroServiceInstance, wish: Wish) -> tuple[str, str]:
    """The code and the sentence for an instance that a wish cannot have. Pure; the row comes from `with_places`, with
    its lock loaded."""
    if row.closed:  # type: ignore[attr-defined]
        return "host_of_another_team", tenancy.REASON
    if row.locked:
        return "instance_locked", f"is locked by {owner_of(row)}"
    if row.status not in wish.may_be:
        state = InstanceStatus(row.status)
        hint = "it is busy" if state in BUSY else "it may only be retried or deleted"
        return "instance_state", f"is {state.label}: {hint}"
    if row.is_maintain and not wish.force:
        return "in_maintenance", "is in maintenance"
    return "concurrent_update", "has just been changed by somebody else"


def owner_of(row: MicroServiceInstance) -> str:
    """Who holds the lock, by which deployment, since when."""
    if row.lock_deployment is None:
        return "somebody who is not known any more"
    since = f"{row.locked_since:%Y-%m-%d %H:%M:%S} UTC" if row.locked_since else "an unknown time"
    return f"{row.lock_deployment.requested_by or 'somebody'}, deployment {row.lock_deployment_id}, since {since}"


def named(left: Sequence[dict], pointer: str) -> list[dict]:
    """What was left out, as the errors of a refusal: each reason with the host that it is about."""
    return [{"pointer": pointer, **one, "reason": f"{one['host']} {one['reason']}"} for one in left]


def refuse_where_named(wish: Wish, left: Sequence[dict]) -> None:
    """Raises Problem 409: what was named is never silently left out; a locked one may be, if the request says so."""
    if not wish.is_named:
        return
    hindered = [one for one in left if not (wish.skip_locked and one["code"] == "instance_locked")]
    if hindered:
        errors = named(hindered, wish.pointer)
        more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
        hint = {
            "instance_locked": 'Wait for that deployment, or leave locked ones out with on_locked "skip".',
            "in_maintenance": 'Take it out of maintenance, or say "force": true.',
            "host_of_another_team": tenancy.HINT,
        }.get(hindered[0]["code"], "Look at the instance's last operation.")
        raise conflict(hindered[0]["code"], errors[0]["reason"] + more + ".", hint, errors)
