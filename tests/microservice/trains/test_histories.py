"""Trains on random histories: rows that live in memory, and only the decisions."""

import os
import random
from collections import Counter
from collections.abc import Iterator

import pytest

from microservice.models import Deployment, MicroService, Train, TrainPart, TrainStart
from microservice.status import (
    DEPLOYMENT_ENDED,
    TRAIN_ENDED,
    TRAIN_MOVING,
    TRAIN_REVERTIBLE,
    TRAIN_TRANSITIONS,
    DeploymentStatus,
    TrainStatus,
    may_become,
)
from microservice.trains.decisions import NOTHING, decide
from microservice.trains.rows import Rows, is_under_way, snapshot

pytestmark = pytest.mark.pure

HISTORIES = int(os.environ.get("TRAIN_HISTORIES", "2000"))
EVENTS = 12  # after which everything goes well, and what is held is resumed
D, T = DeploymentStatus, TrainStatus
SERVICE = MicroService(pk=1, name="shop")


class History:
    """A train driven by chance: its deployments end as they like, people act, locks are in the way."""

    def __init__(self, chance: random.Random):
        self.chance, self.calm = chance, False
        self.train = Train(pk=1, on_failure=chance.choice(Train.OnFailure.values), status=T.RUNNING)
        places = [(stage, at) for stage in range(chance.randint(1, 3)) for at in range(chance.choice([1, 1, 2, 3]))]
        self.parts = [
            TrainPart(pk=number, stage=stage, position=at, service=SERVICE) for number, (stage, at) in enumerate(places)
        ]
        self.starts: dict[int, list[TrainStart]] = {part.pk: [] for part in self.parts}
        self.changed: dict[int, list[Deployment]] = {part.pk: [] for part in self.parts}
        self.gone_back: set[int] = set()  # deployments whose revert succeeded
        self.deployments = 0
        self.waits_for_locks = False
        self.settle()

    def rows(self) -> Rows:
        return Rows(self.train, self.parts, self.starts, self.changed if self.train.status == T.REVERTING else {})

    def every(self) -> Iterator[Deployment]:
        return (row.deployment for rows in self.starts.values() for row in rows if row.deployment is not None)

    def open(self) -> list[Deployment]:
        return [one for one in self.every() if is_under_way(one)]

    def luck(self, share: float) -> bool:
        return not self.calm and self.chance.random() < share

    # ---- what advance.py does ----

    def settle(self) -> None:
        """Decide until there is nothing to do. A process that dies before its commit has done nothing."""
        self.waits_for_locks = False
        for _ in range(100):
            decision = decide(snapshot(self.rows()))
            if decision == NOTHING or self.luck(0.05):
                return
            assert not self.open(), "something began or ended while a deployment was under way"
            if decision.begin is not None and not self.begin(decision.begin):
                return
            if decision.revert is not None and not self.send_back(decision.revert):
                return
            if decision.status is not None:
                self.turn(decision.status)
        raise AssertionError("the decisions never come to rest")

    def turn(self, status: TrainStatus) -> None:
        assert may_become(TRAIN_TRANSITIONS, self.train.status, status), (self.train.status, status)
        self.train.status = status
        self.train.reverts += status == T.REVERTING

    def refused(self) -> bool:
        """Return whether a stage cannot begin: for locks, and then it is tried again, or for a reason that stays."""
        if self.luck(0.1):
            self.waits_for_locks = True
        elif self.luck(0.05):
            self.turn(T.HELD)
        else:
            return False
        return True

    def begin(self, number: int) -> bool:
        if self.refused():
            return False
        for part in self.parts:
            if part.stage < number:
                assert self.succeeded(part), "a stage began before those before it had succeeded"
        new = [part for part in self.parts if part.stage == number and self.latest(part) is None]
        assert new, "a stage began again"
        for part in new:
            self.starts[part.pk].append(TrainStart(part=part, attempt=part.attempt, deployment=self.deployment(0.1)))
        return True

    def send_back(self, number: int) -> bool:
        rows = self.rows()
        assert not any(rows.to_revert(part) for part in self.parts if part.stage > number), "not the last stage first"
        if self.refused():
            return False
        for part in self.parts:
            for origin in rows.to_revert(part) if part.stage == number else []:
                there = origin.pk not in self.gone_back
                back = self.deployment(0.1) if there else None
                if back is None:
                    self.gone_back.add(origin.pk)  # nothing runs its version any more
                self.starts[part.pk].append(
                    TrainStart(part=part, attempt=self.train.reverts, origin=origin, deployment=back)
                )
        return True

    def deployment(self, nothing_to_do: float) -> Deployment | None:
        self.deployments += 1
        status = self.chance.choice([D.WAITING, D.QUEUED])
        return None if self.luck(nothing_to_do) else Deployment(pk=self.deployments, status=status)

    # ---- what happens ----

    def event(self) -> None:
        kinds = ["end"] * 6 if self.open() else []
        if self.train.status in TRAIN_MOVING and not self.open():
            kinds.append("sweep")
        if self.train.status == T.HELD:
            kinds += ["resume"] if self.calm else ["resume", "cancel", "revert"]
        elif self.luck(0.1):
            kinds += ["cancel", "revert"]
        if kinds:
            getattr(self, self.chance.choice(kinds))()
        self.look()

    def end(self) -> None:
        one = self.chance.choice(self.open())
        if one.status == D.WAITING and self.chance.random() < 0.5:
            one.status = D.QUEUED
            return
        how = [D.SUCCEEDED] * 8 + [D.FAILED, D.CANCELLED] * (not self.calm)
        one.status = self.chance.choice([D.CANCELLED, D.FAILED] if one.status == D.CANCELLING else how)
        [(part, start)] = [(part, row) for part in self.parts for row in self.starts[part.pk] if row.deployment is one]
        if start.origin is not None:
            if one.status == D.SUCCEEDED:
                self.gone_back.add(start.origin.pk)
        elif one.status == D.SUCCEEDED or self.chance.random() < 0.5:  # some instances of it, at least
            self.changed[part.pk].append(one)
        self.settle()

    def sweep(self) -> None:
        self.settle()

    def resume(self) -> None:
        if not self.train.reverts:
            for part in self.parts:
                start = self.latest(part)
                if start and start.deployment and start.deployment.status in DEPLOYMENT_ENDED - {D.SUCCEEDED}:
                    part.attempt += 1
        self.turn(T.REVERTING if self.train.reverts else T.RUNNING)
        self.settle()

    def cancel(self) -> None:
        if self.train.status in (TRAIN_MOVING | {T.HELD}) - {T.CANCELLING}:
            self.turn(T.CANCELLING)
            self.cancel_open()

    def revert(self) -> None:
        if self.train.status in TRAIN_REVERTIBLE:
            self.turn(T.REVERTING)
            self.cancel_open()

    def cancel_open(self) -> None:
        for one in self.open():
            one.status = D.CANCELLED if one.status in (D.WAITING, D.QUEUED) else D.CANCELLING
        self.settle()

    # ---- what must hold ----

    def latest(self, part: TrainPart) -> TrainStart | None:
        mine = [row for row in self.starts[part.pk] if row.origin is None and row.attempt == part.attempt]
        assert len(mine) <= 1, "an attempt began twice"
        return mine[0] if mine else None

    def succeeded(self, part: TrainPart) -> bool:
        start = self.latest(part)
        return start is not None and (start.deployment is None or start.deployment.status == D.SUCCEEDED)

    def look(self) -> None:
        for part in self.parts:
            self.latest(part)
        turns = Counter((row.origin.pk, row.attempt) for rows in self.starts.values() for row in rows if row.origin)
        assert not turns or max(turns.values()) == 1, "a deployment was sent back twice"
        stages = {part.stage for part in self.parts for row in self.starts[part.pk] if self.is_open(row)}
        assert len(stages) <= 1, "two stages at once"
        if self.train.status in TRAIN_ENDED:
            assert not self.open(), "it ended while something was under way"
        if self.train.status == T.SUCCEEDED:
            assert all(self.succeeded(part) for part in self.parts)
        if self.train.status == T.REVERTED:
            left = {one.pk for rows in self.changed.values() for one in rows} - self.gone_back
            assert not left, f"{left} did not go back"

    def is_open(self, row: TrainStart) -> bool:
        return row.deployment is not None and is_under_way(row.deployment)


@pytest.mark.timeout(1800)
def test_random_histories_end():
    ends = Counter()
    for seed in range(HISTORIES):
        history = History(random.Random(seed))
        for number in range(500):
            if number >= EVENTS and history.train.status in TRAIN_ENDED:
                break
            history.calm = number >= EVENTS
            history.event()
        assert history.train.status in TRAIN_ENDED, f"history {seed} never ends: {history.train.status}"
        ends[history.train.status] += 1
    assert set(ends) == TRAIN_ENDED, f"chance met only {ends}"
