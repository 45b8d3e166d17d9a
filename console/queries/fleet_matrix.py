"""The first page where hosts are in environments: a column for each, and in each cell what may be promoted to it."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from django.db.models import Exists, OuterRef
from django.utils import timezone

from access.callers import Caller
from asset.models import Asset, Environment
from microservice.catalog.visibility import visible
from microservice.deployments.promotable import Candidate, candidates
from microservice.models import Deployment, MicroServiceInstance
from microservice.status import DEPLOYMENT_ENDED

from .fleet import COMING, Cell, ServiceRow, Wanted

Column = Environment | None  # None: what is in no environment


def environments() -> list[Environment]:
    """Return the environments that hosts are in, in their order, each with what it requires. One query.

    Where there are none, the first page has no columns.
    """
    hosts = Asset.objects.filter(environment=OuterRef("pk"))
    return list(Environment.objects.filter(Exists(hosts)).select_related("requires"))


def columns(caller: Caller, of: Sequence[Environment], wanted: Wanted) -> list[Column]:
    """Return the columns; one for no environment only where something is in none. Two queries at most."""
    if wanted.environment or not of:
        return [row for row in of if row == wanted.environment]
    hosts = Asset.every.filter(environment=None).values("pk")
    seen = visible(caller, "microservice")
    is_somewhere_else = (
        MicroServiceInstance.objects.filter(seen, host__in=hosts).exists()
        or Deployment.objects.filter(seen, COMING, environment=None).exists()
    )
    return [*of, None] if is_somewhere_else else [*of]


def add_candidates(rows: Iterable[ServiceRow], of: Iterable[Column]) -> None:
    """Set on each cell what may go there next and is not on its way yet. Three queries at most."""
    cells = {(row.service.pk, place): cell for row in rows for place, cell in row.cells.items()}
    runs = {place: oldest for place, cell in cells.items() if (oldest := _oldest(cell))}
    for place, found in candidates([row for row in of if row], runs, timezone.now()).items():
        cells[place].candidate = _not_on_its_way(found, cells[place])


def _oldest(cell: Cell) -> int | None:
    return min((row.version_id for row in cell.versions if row.version_id), default=None)


def _not_on_its_way(candidate: Candidate, cell: Cell) -> Candidate:
    going = [row.dest_version_id or 0 for row in cell.deployments if row.status not in DEPLOYMENT_ENDED]
    if candidate.ready and candidate.ready.pk <= max(going, default=0):
        return replace(candidate, ready=None)
    return candidate
