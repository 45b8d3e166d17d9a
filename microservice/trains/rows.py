"""A train's rows: its parts, what was started for each, and the snapshot that decisions are made of."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby

from django.db.models import Exists, OuterRef, QuerySet

from access.callers import Caller

from ..catalog.visibility import visible
from ..deployments.version_change import VERSION_ACTIONS
from ..models import Deployment, MicroService, Operation, Train, TrainPart, TrainStart
from ..status import DEPLOYMENT_ENDED, Action, DeploymentStatus, OperationStatus, TrainStatus
from .decisions import Part, Snapshot


@dataclass(frozen=True, slots=True)
class Rows:
    """The parts of a train in their order, and of each what was started. `changed`: see `deployments_that_changed`."""

    train: Train
    parts: list[TrainPart]
    starts: dict[int, list[TrainStart]]
    changed: dict[int, list[Deployment]] = field(default_factory=dict)

    @property
    def stages(self) -> list[list[TrainPart]]:
        """The parts by stage, also where the only service of a stage was deleted since."""
        return [list(parts) for _stage, parts in groupby(self.parts, key=lambda part: part.stage)]

    def forward(self, part: TrainPart) -> TrainStart | None:
        """Return what was started for the part's latest attempt."""
        own = (row for row in self.starts.get(part.pk, ()) if row.origin_id is None and row.attempt == part.attempt)
        return next(own, None)

    def back(self, part: TrainPart) -> Iterator[TrainStart]:
        """Yield what was started since the train goes back."""
        turn = self.train.reverts
        return (row for row in self.starts.get(part.pk, ()) if row.origin_id is not None and row.attempt == turn)

    def to_revert(self, part: TrainPart) -> list[Deployment]:
        """Return the deployments that changed something and were not sent back yet, the last one first."""
        done = {row.origin_id for row in self.back(part)}
        return [one for one in reversed(self.changed.get(part.pk, [])) if one.pk not in done]

    def open(self) -> list[Deployment]:
        """Return the deployments that are under way."""
        every = (row.deployment for rows in self.starts.values() for row in rows)
        return [one for one in every if one is not None and is_under_way(one)]


def load(train: Train) -> Rows:
    """Load a train's rows: two queries, or five while it goes back."""
    parts = list(train.parts.select_related("service", "version").defer("plan_token").order_by("stage", "position"))
    starts: dict[int, list[TrainStart]] = {}
    for row in starts_of(TrainStart.objects.filter(part__train=train)):
        starts.setdefault(row.part_id, []).append(row)
    goes_back = train.status == TrainStatus.REVERTING
    return Rows(train, parts, starts, deployments_that_changed(starts) if goes_back else {})


def starts_of(rows: QuerySet[TrainStart]) -> QuerySet[TrainStart]:
    """Return these rows with their deployments, without what may be long."""
    more = rows.select_related("deployment").defer("deployment__spec", "deployment__secrets", "deployment__skipped")
    return more.order_by("pk")


def is_under_way(deployment: Deployment) -> bool:
    return deployment.status not in DEPLOYMENT_ENDED


def deployments_that_changed(starts: dict[int, list[TrainStart]]) -> dict[int, list[Deployment]]:
    """Return for each part (id) the deployments that changed a version somewhere, oldest first: those that the train
    started, and retries of them."""
    part_of = {
        row.deployment_id: part
        for part, rows in starts.items()
        for row in rows
        if row.origin_id is None and row.deployment_id is not None
    }
    latest = set(part_of)
    while latest:  # a retry of a retry
        retries = Deployment.objects.filter(origin__in=latest, action=Action.RETRY).values_list("pk", "origin_id")
        found = {pk: part_of[origin] for pk, origin in retries if pk not in part_of}
        part_of.update(found)
        latest = set(found)
    changes = Operation.objects.filter(
        deployment=OuterRef("pk"), status=OperationStatus.SUCCEEDED, action__in=list(VERSION_ACTIONS)
    )
    changed: dict[int, list[Deployment]] = {}
    rows = Deployment.objects.filter(Exists(changes), pk__in=part_of).select_related("microservice")
    for row in rows.order_by("pk"):
        changed.setdefault(part_of[row.pk], []).append(row)
    return changed


def snapshot(rows: Rows) -> Snapshot:
    """Summarize a train's rows."""
    train = rows.train
    return Snapshot(
        status=TrainStatus(train.status),
        reverts_on_failure=train.on_failure == Train.OnFailure.REVERT_TRAIN,
        stages=[[_part(rows, part) for part in stage] for stage in rows.stages],
        has_gone_back=any(
            row.origin_id is not None and row.deployment_id is not None for each in rows.starts.values() for row in each
        ),
    )


def _part(rows: Rows, part: TrainPart) -> Part:
    begun = rows.forward(part)
    every = [row.deployment for row in rows.starts.get(part.pk, ()) if row.deployment is not None]
    back = [row.deployment for row in rows.back(part) if row.deployment is not None]
    return Part(
        part.service.name,
        begun=begun is not None,
        under_way=any(map(is_under_way, every)),
        succeeded=begun is not None and succeeded(begun.deployment),
        left=len(rows.to_revert(part)),
        revert_failed=any(not is_under_way(one) and not succeeded(one) for one in back),
    )


def succeeded(deployment: Deployment | None) -> bool:
    """Return whether a deployment succeeded. None: there was nothing to do."""
    return deployment is None or deployment.status == DeploymentStatus.SUCCEEDED


def visible_trains(caller: Caller) -> QuerySet[Train]:
    """Return the trains that the caller may see: those with services that it may see, all of them."""
    hidden = TrainPart.objects.filter(train=OuterRef("pk")).exclude(
        service__in=MicroService.objects.filter(visible(caller)).order_by().values("pk")
    )
    return Train.objects.filter(~Exists(hidden)).select_related("environment")


def services_of(parts: Iterable[TrainPart]) -> list[MicroService]:
    """Return each service of these parts once."""
    return list({part.service_id: part.service for part in parts}.values())
