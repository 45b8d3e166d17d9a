"""Which operations a worker process still owns, as the rows say; inside the writer's transaction.

A row that another transaction holds (of a frozen process, say) delays the writer by the wait for one lock at most: then
it skips such rows for a while. They are written once they are free.
"""

from collections.abc import Iterable

from microservice.deployments import advance
from microservice.models import Operation
from microservice.status import OperationStatus
from runtime.sql import fetch_all, for_update, placeholders

from . import statements
from .claims import lease
from .progress import Progress


class RowsHeld(Exception):
    """Another transaction holds a row that is to be written."""


Name = tuple[int, int]  # an operation and its fence


def owned(owner: str, held: dict[int, Progress], renew: bool, around: bool = False) -> set[Name]:
    """Return those that may be written now. A late worker is found out here; with `renew` the leases are renewed."""
    if renew and not around:
        _renew(owner, held)
    kept = set(_rows_owned(owner, held, for_update("o", skip_locked=around)))
    seen = kept
    if around:
        if renew:
            _renew(owner, [number for number, _ in kept])
        seen = kept | set(_rows_owned(owner, held, ""))  # a row that another transaction holds is not lost
        open_ = advance.referenceable(held[number].operation.deployment_id for number, _ in kept)
        kept = {name for name in kept if held[name[0]].operation.deployment_id in open_}
    for progress in held.values():
        progress.lost = progress.name not in seen
    return kept


def _rows_owned(owner: str, held: dict[int, Progress], lock: str) -> Iterable[Name]:
    sql = statements.OWNED.replace(":ids", placeholders(held)).replace(":lock", lock)
    for number, fence, cancel in fetch_all(sql, *held, owner, OperationStatus.RUNNING):
        if held[number].name == (number, fence):
            yield number, fence
            if cancel:
                held[number].cancelled = True


def _renew(owner: str, numbers: Iterable[int]) -> None:
    mine = Operation.objects.filter(pk__in=list(numbers), owner=owner, status=OperationStatus.RUNNING)
    mine.update(lease=lease())
