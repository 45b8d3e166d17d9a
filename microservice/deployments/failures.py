"""What failed in a deployment, one entry for each cause: the step, the words, the hosts. Four queries, however much."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from django.db.models import Count, F, Min, Q, QuerySet, Window
from django.db.models.functions import RowNumber

from access.callers import Caller
from asset import tenancy

from ..models import Deployment, Operation
from ..status import OPERATION_FAILED_STATUSES, OperationStatus

MAX_CAUSES = 20
MAX_HOSTS = 12  # of one cause, named

# Not started, but with a word about it: its host was given away meanwhile, say.
FAILED = Q(status__in=OPERATION_FAILED_STATUSES | {OperationStatus.UNKNOWN}) | (
    Q(status=OperationStatus.NOT_STARTED) & ~Q(error="")
)


@dataclass(slots=True)
class Failure:
    """The operations of a deployment that failed alike. The error of `first` stands for all of them."""

    cause: str
    step: str
    by_status: Counter[str] = field(default_factory=Counter)
    in_maintenance: int = 0  # instances
    first_id: int = 0
    first: Operation = None  # type: ignore[assignment]  # set for each that is returned, with its host
    hosts: list[tuple[int, str]] = field(default_factory=list)  # operation and host name, MAX_HOSTS at most

    @property
    def count(self) -> int:
        return self.by_status.total()

    @property
    def more(self) -> int:
        """How many hosts are not named."""
        return self.count - len(self.hosts)

    @property
    def broken(self) -> int:
        """How many hosts are not as they were: the undo failed too, or nobody knows."""
        return self.by_status[OperationStatus.FAILED]


@dataclass(slots=True)
class Failures:
    shown: list[Failure] = field(default_factory=list)
    count: int = 0  # operations, of all causes
    more: int = 0  # further causes


def failed_operations(caller: Caller, deployment: Deployment) -> QuerySet[Operation]:
    """Return what failed, on hosts that the caller may see."""
    return Operation.objects.filter(FAILED, tenancy.visible(caller, "host"), deployment=deployment)


def failures_of(caller: Caller, deployment: Deployment) -> Failures:
    """Return the causes: first those that left a host broken, then the most frequent, and of equal ones the earlier."""
    rows = failed_operations(caller, deployment)
    found = _grouped(rows)
    shown = sorted(found, key=lambda one: (not one.broken, -one.count, one.first_id))[:MAX_CAUSES]
    if not shown:
        return Failures()
    first = rows.select_related("host").in_bulk([one.first_id for one in shown])
    names = _hosts(rows, shown)
    for one in shown:
        one.first = first[one.first_id]
        one.first.deployment = deployment
        one.hosts = names.get((one.cause, one.step), [])
    return Failures(shown, sum(one.count for one in found), len(found) - len(shown))


def _grouped(rows: QuerySet[Operation]) -> list[Failure]:
    found: dict[tuple[str, str], Failure] = {}
    counted = (
        rows.order_by()
        .values_list("cause", "error_step", "status")
        .annotate(Count("pk"), Min("pk"), in_maintenance=Count("pk", filter=Q(instance__is_maintain=True)))
    )
    for cause, step, status, number, first, in_maintenance in counted:
        one = found.setdefault((cause, step), Failure(cause, step, first_id=first))
        one.by_status[status] += number
        one.in_maintenance += in_maintenance
        one.first_id = min(one.first_id, first)
    return list(found.values())


def _hosts(rows: QuerySet[Operation], shown: Iterable[Failure]) -> dict[tuple[str, str], list[tuple[int, str]]]:
    place = Window(RowNumber(), partition_by=[F("cause"), F("error_step")], order_by="pk")
    named = rows.filter(cause__in={one.cause for one in shown}).annotate(place=place).filter(place__lte=MAX_HOSTS)
    hosts: dict[tuple[str, str], list[tuple[int, str]]] = {}
    for cause, step, number, name in named.order_by("pk").values_list("cause", "error_step", "pk", "host__hostname"):
        hosts.setdefault((cause, step), []).append((number, name))
    return hosts
