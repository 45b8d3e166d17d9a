"""Release trains for pages: a list, one of them with its stages, and the versions that a new one proposes."""

from collections.abc import Iterable
from dataclasses import dataclass

from access.callers import Caller
from access.problems import not_found
from microservice.catalog.visibility import visible
from microservice.models import MicroServiceVersion, Train
from microservice.status import BuildStatus
from microservice.trains.overview import PartState, overview
from microservice.trains.rows import visible_trains

from .paging import PAGE, Page, newest_first


@dataclass(frozen=True, slots=True)
class ShownTrain:
    """A train, and what has become of its stages."""

    train: Train
    stages: list[list[PartState]]

    @property
    def pk(self) -> int:
        return self.train.pk

    @property
    def parts(self) -> list[PartState]:
        return [part for stage in self.stages for part in stage]


def trains(caller: Caller, after: str = "", size: int = PAGE) -> Page:
    """Return the trains that the caller may see, newest first. Three queries."""
    page = newest_first(visible_trains(caller), after, size)
    stages = overview(page.rows)
    page.rows = [ShownTrain(row, stages[row.pk]) for row in page.rows]
    return page


def train(caller: Caller, number: int) -> ShownTrain:
    row = visible_trains(caller).filter(pk=number).first()
    if row is None:
        raise not_found("train")
    return ShownTrain(row, overview([row])[row.pk])


def newest_built(caller: Caller, services: Iterable[int]) -> dict[int, int]:
    """Return the newest version (id) of each service (id) that can be deployed. One query."""
    rows = MicroServiceVersion.objects.filter(
        visible(caller, "microservice"), microservice__in=set(services), status=BuildStatus.SUCCESS, bad=False
    )
    return dict(rows.order_by("pk").values_list("microservice", "pk"))  # the last one of each stays


def train_of(caller: Caller, deployment: int) -> tuple[Train, int] | None:
    """Return the train that started a deployment, and in which stage, from 1. One query."""
    rows = visible_trains(caller).filter(parts__starts__deployment=deployment)
    found = rows.values_list("pk", "name", "parts__stage").first()
    return (Train(pk=found[0], name=found[1]), found[2] + 1) if found else None
