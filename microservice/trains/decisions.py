"""Decides what a train does next, as a pure function of a snapshot of rows: no database, no clock.

`advance.py` takes the snapshot and carries out the decision: after the end of each of its deployments, when a person
acts, and in the sweep.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from messages import Message

from ..status import TRAIN_MOVING, TrainStatus


@dataclass(frozen=True, slots=True)
class Part:
    """A service's version in a stage, as its rows say. `begun` and what follows are about its latest attempt."""

    service: str
    begun: bool = False
    under_way: bool = False  # its deployment, or one that takes it back, has not ended: it runs, or waits
    succeeded: bool = False
    left: int = 0  # of its deployments that changed something: how many were not sent back since the train goes back
    revert_failed: bool = False

    @property
    def failed(self) -> bool:
        return self.begun and not self.under_way and not self.succeeded


@dataclass(frozen=True, slots=True)
class Snapshot:
    status: TrainStatus
    reverts_on_failure: bool
    stages: Sequence[Sequence[Part]]
    has_gone_back: bool = False  # something of it went back already, now or before

    def stage_of(self, number: int) -> list[str]:
        return [part.service for part in self.stages[number]]


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do with a train now. An empty decision: nothing."""

    begin: int | None = None  # this stage, from 0: those of its parts that have not begun
    revert: int | None = None  # this stage: those of its deployments that changed something
    status: TrainStatus | None = None
    reason: Message | None = None


NOTHING = Decision()


def decide(now: Snapshot) -> Decision:
    """Return the next decision. Call again after each one until it is NOTHING, so that each changes one thing."""
    if now.status not in TRAIN_MOVING or any(part.under_way for stage in now.stages for part in stage):
        return NOTHING
    if now.status == TrainStatus.CANCELLING:
        return Decision(status=TrainStatus.CANCELLED)
    return _back(now) if now.status == TrainStatus.REVERTING else _forward(now)


def _forward(now: Snapshot) -> Decision:
    for number, stage in enumerate(now.stages):
        failed = [part.service for part in stage if part.failed]
        if failed:
            status = TrainStatus.REVERTING if now.reverts_on_failure else TrainStatus.HELD
            return Decision(status=status, reason=Message("train_stage_failed", _named(number, failed)))
        if not all(part.succeeded for part in stage):
            return Decision(begin=number)
    return Decision(status=TrainStatus.SUCCEEDED)


def _back(now: Snapshot) -> Decision:
    for number, stage in reversed(list(enumerate(now.stages))):
        failed = [part.service for part in stage if part.revert_failed]
        if failed:
            return Decision(status=TrainStatus.HELD, reason=Message("train_revert_failed", _named(number, failed)))
        if any(part.left for part in stage):
            return Decision(revert=number)
    return Decision(status=TrainStatus.REVERTED if now.has_gone_back else TrainStatus.FAILED)


def _named(number: int, services: list[str]) -> dict[str, object]:
    return {"stage": number + 1, "services": services}
