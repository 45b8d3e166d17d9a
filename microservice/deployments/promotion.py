"""What an environment asks of a version before it goes there: that it ran well in another one, for so long.

`lacks` decides, from what the operations of that other environment say (`evidence`); requests, previews, installs that
waited, and the choices of versions all ask it. A revert is never held up: what goes back has run there before.

A version ran well on an instance from the end of the operation that brought it until the next one that changed it; a
host counts from when it came into the environment. The longest of these times counts, on one instance.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from django.db.models import (
    DurationField,
    ExpressionWrapper,
    F,
    Max,
    Min,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
)
from django.db.models.functions import Coalesce, Greatest
from django.utils import timezone

from access.problems import FieldError, Problem
from asset.models import Environment
from messages import Message

from ..models import MicroServiceVersion, Operation
from ..status import Action, OperationStatus
from .targets import TargetSelection

BRINGS = (Action.INSTALL, Action.UPGRADE, Action.REVERT)  # the operations that bring a version
HELD_UP = (Action.INSTALL, Action.UPGRADE)  # those that wait for it


@dataclass(frozen=True, slots=True)
class Evidence:
    """How a version ran in an environment: the longest time on one instance, and of those that run it, since when."""

    longest: timedelta
    running_since: datetime | None = None


def lacks(
    environment: Environment, version: MicroServiceVersion, ran: Evidence | None, now: datetime
) -> Message | None:
    """Return what a version lacks to go to an environment that requires another one; None where it may go. Pure.

    `ran`: how it ran there; None: it did not.
    """
    assert environment.requires is not None
    names = {"version": version.version, "environment": environment.name, "required": environment.requires.name}
    if version.bad:
        return Message("not_promoted.bad", names)
    if ran is None or ran.longest < timedelta(0):
        return Message("not_promoted.never", names)
    soak = timedelta(minutes=environment.soak_minutes)
    if ran.longest >= soak:
        return None
    until = soaks_until(environment, version, ran, now)
    if until is None:
        minutes = {"ran": int(ran.longest.total_seconds() // 60), "soak": environment.soak_minutes}
        return Message("not_promoted.too_short", names | minutes)
    left = max(1, -int((now - until).total_seconds() // 60))
    return Message("not_promoted.soaking", names | {"until": f"{until:%Y-%m-%d %H:%M} UTC", "minutes": left})


def soaks_until(
    environment: Environment, version: MicroServiceVersion, ran: Evidence | None, now: datetime
) -> datetime | None:
    """Return from when on a version may go to an environment if it runs on as it does; None where that is not what it
    lacks. Pure."""
    if version.bad or ran is None or ran.running_since is None or ran.longest < timedelta(0):
        return None
    until = ran.running_since + timedelta(minutes=environment.soak_minutes)
    return until if until > now else None


def evidence(service: int, environment: Environment, versions: Collection[int], now: datetime) -> dict[int, Evidence]:
    """Return how each of these versions (ids) of a service ran in an environment; without those that did not.

    Two queries.
    """
    found = evidence_everywhere([environment.pk], versions, now, deployment__microservice=service)
    return {version: ran for (_, version), ran in found.items()}


def evidence_everywhere(
    environments: Collection[int], versions: Collection[int], now: datetime, **only: object
) -> dict[tuple[int, int], Evidence]:
    """Return how each of these versions ran in each of these environments (ids), by both; without those that did not.

    Two queries. `only`: further conditions of the operations.
    """
    ends = Operation.objects.filter(
        instance_id_snapshot=OuterRef("instance_id_snapshot"),
        pk__gt=OuterRef("pk"),
        status__in=(OperationStatus.SUCCEEDED, OperationStatus.FAILED),  # failed: its undo did, too
    ).order_by("pk")
    rows = (
        # By an expression: SQLite would look at all operations on the hosts of an environment, not those of a version.
        Operation.objects.alias(place=Coalesce("host__environment", 0))
        .filter(
            place__in=environments,
            dest_version__in=versions,
            action__in=BRINGS,
            status=OperationStatus.SUCCEEDED,
            finished__isnull=False,
            **only,
        )
        .annotate(
            began=Greatest("finished", Coalesce("host__environment_since", "finished")),
            ended=Subquery(ends.values("finished")[:1]),
        )
        .order_by()
    )
    # Apart, so that of the thousands that run a version only the first one's time is looked at.
    runs_on = Q(ended=None, instance__version=F("dest_version"))  # nothing ended it, and it was not forgotten
    of = ("host__environment", "dest_version")
    found = {
        (environment, version): Evidence(now - since, since)
        for environment, version, since in rows.filter(runs_on).values_list(*of).annotate(since=Min("began"))
    }
    ran = ExpressionWrapper(Coalesce("ended", "began") - F("began"), output_field=DurationField())
    for environment, version, longest in rows.exclude(runs_on).values_list(*of).annotate(longest=Max(ran)):
        known = found.get((environment, version))
        if known is None or known.longest < longest:
            found[environment, version] = Evidence(longest, known.running_since if known else None)
    return found


def held_up(
    environment: Environment | None, versions: Iterable[MicroServiceVersion], now: datetime | None = None
) -> dict[int, Message]:
    """Return what each of these versions, which are of one service, lacks; {} where the environment asks for nothing.

    Three queries; none where it requires no other environment.
    """
    rows = list(versions) if environment and environment.requires_id else []
    if not rows or environment is None or environment.requires is None:
        return {}
    now = now or timezone.now()
    ran = evidence(rows[0].microservice_id, environment.requires, [row.pk for row in rows], now)
    missing = {row.pk: lacks(environment, row, ran.get(row.pk), now) for row in rows}
    return {number: message for number, message in missing.items() if message}


def refuse_held_up(environment: Environment | None, versions: Iterable[MicroServiceVersion], pointer: str) -> None:
    """Raise Problem 409 `not_promoted` where one of these versions may not go to the environment yet."""
    for message in held_up(environment, versions).values():
        raise Problem(409, message, errors=[FieldError(pointer, message)])


def refuse_operations(environment: Environment | None, operations: QuerySet[Operation], pointer: str) -> None:
    """Raise the same for what these operations would bring again."""
    if environment and environment.requires_id:
        wanted = operations.filter(action__in=HELD_UP).values("dest_version")
        rows = MicroServiceVersion.every.filter(pk__in=wanted).order_by("pk")
        refuse_held_up(environment, rows, pointer)


def hold_up(
    selection: TargetSelection, action: Action, environment: Environment | None, version: MicroServiceVersion
) -> TargetSelection:
    """Return the selection of a change to a version. Raise Problem 409 `not_promoted` where it may not go there yet.

    A deploy that only goes back is not held up; it then takes nothing else, whatever runs where it locks.
    """
    if environment is None or not environment.requires_id or action == Action.REVERT:
        return selection
    if action == Action.DEPLOY and not selection.lockable().filter(version__lt=version.pk).exists():
        return replace(selection, condition=selection.condition & Q(version__gt=version.pk))
    refuse_held_up(environment, [version], "/version" if action == Action.DEPLOY else "/dest_version")
    return selection
