"""What has become of each part of some trains: for the API and pages. Two queries, however many there are."""

from collections.abc import Sequence
from dataclasses import dataclass

from ..models import Deployment, Train, TrainPart, TrainStart
from ..status import DeploymentStatus, TrainPartStatus
from .rows import Rows, is_under_way, starts_of, succeeded


@dataclass(frozen=True, slots=True)
class PartState:
    """A part, its status, and the deployments of all its attempts and reverts, oldest first."""

    part: TrainPart
    status: TrainPartStatus
    deployments: Sequence[Deployment]

    @property
    def is_there(self) -> bool:
        """Whether there was nothing to do: every instance ran the version."""
        return self.status == TrainPartStatus.SUCCEEDED and not self.deployments


def overview(trains: Sequence[Train]) -> dict[int, list[list[PartState]]]:
    """Return the stages of each train (id)."""
    wanted = [train.pk for train in trains]
    parts: dict[int, list[TrainPart]] = {train.pk: [] for train in trains}
    rows = TrainPart.objects.filter(train__in=wanted).select_related("service", "version")
    for part in rows.defer("plan_token").order_by("train", "stage", "position"):
        parts[part.train_id].append(part)
    starts: dict[int, list[TrainStart]] = {}
    for row in starts_of(TrainStart.objects.filter(part__train__in=wanted)):
        starts.setdefault(row.part_id, []).append(row)
    return {train.pk: _stages(Rows(train, parts[train.pk], starts)) for train in trains}


def _stages(rows: Rows) -> list[list[PartState]]:
    return [[_state(rows, part) for part in stage] for stage in rows.stages]


def _state(rows: Rows, part: TrainPart) -> PartState:
    own = [row.deployment for row in rows.starts.get(part.pk, ()) if row.deployment is not None]
    return PartState(part, _status(rows, part), own)


def _status(rows: Rows, part: TrainPart) -> TrainPartStatus:
    begun = rows.forward(part)
    back = [row.deployment for row in rows.back(part) if row.deployment is not None]
    if back:
        if any(map(is_under_way, back)):
            return TrainPartStatus.REVERTING
        return TrainPartStatus.REVERTED if all(map(succeeded, back)) else TrainPartStatus.FAILED
    if begun is None:
        return TrainPartStatus.PENDING
    if begun.deployment is not None and is_under_way(begun.deployment):
        waits = begun.deployment.status == DeploymentStatus.WAITING
        return TrainPartStatus.WAITING if waits else TrainPartStatus.RUNNING
    return TrainPartStatus.SUCCEEDED if succeeded(begun.deployment) else TrainPartStatus.FAILED
