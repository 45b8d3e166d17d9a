"""Which instances a request means, which of them it may have, and the one statement that takes them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.db.models import BooleanField, ExpressionWrapper, F, Q, QuerySet, Subquery, Value
from django.db.models.lookups import IsNull
from django.utils import timezone

from access.problems import Problem, conflict, invalid
from asset import tenancy

from ..models import Deployment, MicroService, MicroServiceInstance, MicroServiceVersion, Operation
from ..status import BUSY, InstanceStatus

ALL = "all"
_ANY = Q()
MOST_IDS = 20_000


def parse_ids(value: object, pointer: str) -> str | list[int]:
    """ "all", "1,2,3", 7 or [1, 2, 3] as "all" or a list without doubles. Raises Problem 422 for anything else."""
    if value == ALL:
        return ALL
    if isinstance(value, bool) or not isinstance(value, int | str | list):
        raise invalid(pointer, 'must be "all", or ids such as "1,2,3" or [1, 2, 3]')
    parts = value.split(",") if isinstance(value, str) else value if isinstance(value, list) else [value]
    ids = []
    for part in parts:
        text = part.strip() if isinstance(part, str) else "" if isinstance(part, bool) else str(part)
        if not (text.isascii() and text.isdigit() and len(text) <= 18 and int(text) > 0):
            raise invalid(pointer, 'must be "all", or ids such as "1,2,3" or [1, 2, 3]')
        ids.append(int(text))
    if not ids:
        raise invalid(pointer, "names nothing")
    if len(ids) > MOST_IDS:
        raise invalid(pointer, f"names more than {MOST_IDS} ids; use several requests")
    return list(dict.fromkeys(ids))


def parse_numbers(value: object, pointer: str) -> tuple[int, ...]:
    """Like `parse_ids`, where “all” is not meant. Raises Problem 422."""
    ids = parse_ids(value, pointer)
    if isinstance(ids, str):
        raise invalid(pointer, "must be ids")
    return tuple(ids)


@dataclass(frozen=True, slots=True)
class Wish:
    """What a request wants to do with which instances."""

    service: MicroService
    may_be: frozenset[InstanceStatus]  # the statuses that allow it
    version: MicroServiceVersion | None = None  # the version that must run there; None: any
    ids: tuple[int, ...] | None = None  # None: all of them
    force: bool = False  # in maintenance is no hindrance
    skip_locked: bool = False
    among: Q = _ANY  # asked for are only those; what else they must be, beyond the fields above
    still: Q = _ANY  # taken are only those for which this still holds
    kept_out: Q | None = None  # those to which nothing may come (placement.py); None: what is asked for only takes away
    becomes: InstanceStatus | None = None  # what all of them do from then on; None: not the same for each (enqueue.py)

    def asked(self) -> QuerySet[MicroServiceInstance]:
        rows = MicroServiceInstance.objects.filter(self.among, microservice=self.service)
        if self.ids is not None:
            return rows.filter(pk__in=self.ids)
        return rows.filter(version=self.version) if self.version else rows

    def free(self) -> QuerySet[MicroServiceInstance]:
        """Those that may be taken: the condition of the UPDATE that takes them."""
        rows = self.asked().filter(self.still, locked=False, status__in=self.may_be)
        if self.version:
            rows = rows.filter(version=self.version)
        if self.kept_out is not None:
            rows = rows.exclude(self.kept_out)
        return rows if self.force else rows.filter(is_maintain=False)


def check_ids(wish: Wish) -> None:
    """Ids must be instances of this service, and run the version that the request names. Raises Problem 422."""
    if wish.ids is None:
        return
    known = dict(wish.asked().values_list("pk", "version_id"))
    errors = [
        {"pointer": "/host", "reason": f"instance {number} is not an instance of {wish.service.name}"}
        for number in wish.ids
        if number not in known
    ]
    if wish.version:
        errors += [
            {"pointer": "/host", "reason": f"instance {number} does not run {wish.version.version}"}
            for number in wish.ids
            if number in known and known[number] != wish.version.pk
        ]
    if errors:
        detail = errors[0]["reason"] + (f", and {len(errors) - 1} more like it" if len(errors) > 1 else "")
        raise Problem(
            422, "wrong_target", detail[0].upper() + detail[1:] + ".", "Reload the list of instances.", errors
        )


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
        locked=True, lock_deployment=deployment, locked_since=timezone.now(), status_before=F("status"),
        updated=timezone.now(), updated_by=deployment.requested_by, **changes,
    )  # fmt: skip
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
    return "instance_moved", "has just been changed by somebody else"


def owner_of(row: MicroServiceInstance) -> str:
    """Who holds the lock, by which deployment, since when."""
    if row.lock_deployment is None:
        return "somebody who is not known any more"
    since = f"{row.locked_since:%Y-%m-%d %H:%M:%S} UTC" if row.locked_since else "an unknown time"
    return f"{row.lock_deployment.requested_by or 'somebody'}, deployment {row.lock_deployment_id}, since {since}"


def refuse_where_named(wish: Wish, left: Sequence[dict]) -> None:
    """Raises Problem 409: what was named is never silently left out; a locked one may be, if the request says so."""
    if wish.ids is None:
        return
    hindered = [one for one in left if not (wish.skip_locked and one["code"] == "instance_locked")]
    if hindered:
        errors = [{"pointer": "/host", **one, "reason": f"{one['host']} {one['reason']}"} for one in hindered]
        more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
        hint = {
            "instance_locked": 'Wait for that deployment, or leave locked ones out with on_locked "skip".',
            "in_maintenance": 'Take it out of maintenance, or say "force": true.',
            "host_of_another_team": tenancy.HINT,
        }.get(hindered[0]["code"], "Look at the instance's last operation.")
        raise conflict(hindered[0]["code"], errors[0]["reason"] + more + ".", hint, errors)
