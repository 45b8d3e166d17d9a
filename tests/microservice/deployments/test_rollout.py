"""Rollouts on random histories: no host, no database, only the decisions."""

import os
import random
from collections import Counter

import pytest

from asset.strategy import InvalidStrategy, Strategy
from microservice.deployments.rollout import NOTHING, Due, InFlight, Limits, Snapshot, choose, decide
from microservice.status import (
    DEPLOYMENT_ENDED,
    DEPLOYMENT_TRANSITIONS,
    OPERATION_ENDED,
    OPERATION_FAILED_STATUSES,
    OPERATION_TRANSITIONS,
    RETRYABLE,
    DeploymentStatus,
    OperationStatus,
    may_become,
)

pytestmark = pytest.mark.pure

HISTORIES = int(os.environ.get("ROLLOUT_HISTORIES", "2000"))
S, D = OperationStatus, DeploymentStatus


class History:
    """A deployment whose rows live in memory, driven by chance; every rule is looked at after every event."""

    def __init__(self, chance: random.Random):
        self.chance = chance
        self.targets = chance.randint(1, 30)
        size = chance.choice([None, chance.randint(1, 12), f"{chance.randint(1, 100)}%"])
        self.strategy = Strategy(
            size,
            chance.randint(0, 4),
            chance.randint(0, 5),
            chance.choice(["hold", "revert_batch", "revert_all"]),
            chance.random() < 0.3,
        )
        sizes = self.strategy.batches(self.targets)
        assert sum(sizes) == self.targets and all(sizes)
        self.batch = [number for number, size in enumerate(sizes) for _ in range(size)]
        self.sizes = sizes
        self.rows = [S.QUEUED if number == 0 else S.PENDING for number in self.batch]
        self.status = D.QUEUED
        self.started_over_budget = 0

    def snapshot(self) -> Snapshot:
        waiting = [self.batch[i] for i, status in enumerate(self.rows) if status == S.PENDING]
        return Snapshot(self.status, self.strategy, Counter(self.rows), min(waiting, default=None))

    def become(self, row: int, status: OperationStatus) -> None:
        assert may_become(OPERATION_TRANSITIONS, self.rows[row], status), (self.rows[row], status)
        self.rows[row] = status

    def turn(self, status: DeploymentStatus) -> None:
        assert may_become(DEPLOYMENT_TRANSITIONS, self.status, status), (self.status, status)
        self.status = status

    def settle(self, resumed: bool = False) -> None:
        for _ in range(100):
            decision = decide(self.snapshot(), resumed)
            if decision == NOTHING:
                return
            if decision.release_batch is not None:
                assert not any(
                    s not in OPERATION_ENDED
                    for s, b in zip(self.rows, self.batch, strict=True)
                    if b < decision.release_batch
                )
                assert self.failures() <= self.strategy.max_failures
                resumed = False
                for i, number in enumerate(self.batch):
                    if number == decision.release_batch:
                        self.become(i, S.QUEUED)
            if decision.abandon_pending:
                for i, status in enumerate(self.rows):
                    if status in (S.PENDING, S.QUEUED):
                        self.become(i, S.CANCELLED if self.status == D.CANCELLING else S.NOT_STARTED)
            if decision.status:
                self.turn(decision.status)
        raise AssertionError("the decisions never come to rest")

    def failures(self) -> int:
        return sum(status in OPERATION_FAILED_STATUSES for status in self.rows)

    def look(self) -> None:
        flying = [self.batch[i] for i, status in enumerate(self.rows) if status in (S.RUNNING, S.UNKNOWN, S.QUEUED)]
        assert len(set(flying)) <= 1, "two batches at once"
        assert len(flying) <= max(self.sizes)

    def event(self) -> None:
        due = [i for i, status in enumerate(self.rows) if status == S.QUEUED]
        flying = [i for i, status in enumerate(self.rows) if status in (S.RUNNING, S.UNKNOWN)]
        kinds = [
            kind for kind, there in (("claim", due and self.status in (D.QUEUED, D.RUNNING)), ("end", flying)) if there
        ]
        if self.status in (D.QUEUED, D.RUNNING):
            kinds += ["pause"] * (self.chance.random() < 0.05)
        if self.status in (D.QUEUED, D.RUNNING, D.PAUSED):
            kinds += ["cancel"] * (self.chance.random() < 0.02)
        if self.status == D.PAUSED:
            kinds.append("resume")
        getattr(self, self.chance.choice(kinds))(due, flying)
        self.look()

    def claim(self, due, flying):
        assert self.failures() <= self.strategy.max_failures, "something starts past the budget"
        self.become(self.chance.choice(due), S.RUNNING)
        if self.status == D.QUEUED:
            self.turn(D.RUNNING)

    def end(self, due, flying):
        row = self.chance.choice(flying)
        if self.rows[row] == S.UNKNOWN:
            self.become(row, S.RUNNING)
        how = [S.SUCCEEDED] * 8 + [S.UNDONE, S.UNDONE, S.FAILED, S.UNKNOWN]
        self.become(row, S.CANCELLED if self.status == D.CANCELLING else self.chance.choice(how))
        self.settle()

    def pause(self, due, flying):
        self.turn(D.PAUSED)

    def resume(self, due, flying):
        self.turn(D.RUNNING if any(s not in (S.PENDING, S.QUEUED) for s in self.rows) else D.QUEUED)
        self.settle(resumed=True)

    def cancel(self, due, flying):
        self.turn(D.CANCELLING)
        self.settle()


@pytest.mark.timeout(1800)
def test_random_histories_end():
    ends = Counter()
    for seed in range(HISTORIES):
        history = History(random.Random(seed))
        for _ in range(2000):
            if history.status in DEPLOYMENT_ENDED:
                break
            history.event()
        assert history.status in DEPLOYMENT_ENDED, f"history {seed} never ends"
        assert all(status in OPERATION_ENDED for status in history.rows), f"history {seed}"
        if history.status == D.SUCCEEDED:
            assert set(history.rows) == {S.SUCCEEDED}
        if history.failures() > history.strategy.max_failures:
            assert history.status in (D.FAILED, D.CANCELLED)
        ends[history.status] += 1
    assert set(ends) == {D.SUCCEEDED, D.FAILED, D.CANCELLED}, "chance met only some of the ends"


def test_retryable_statuses():
    assert {S.UNDONE, S.FAILED, S.NOT_STARTED, S.UNKNOWN} == RETRYABLE


def test_batch_sizes():
    assert Strategy(batch_size="1%").batches(5) == [1, 1, 1, 1, 1]
    assert Strategy(batch_size="50%", canary=1).batches(5) == [1, 2, 2]
    assert Strategy(canary=9).batches(5) == [5]
    assert Strategy().batches(5) == [5]


def test_strategy_round_trip():
    strategy = Strategy.parse(
        {"batch_size": "20%", "canary": 2, "max_failures": 1, "on_failure": "revert_all", "pause_between": True}
    )
    assert Strategy.parse(strategy.to_json()) == strategy
    assert Strategy.from_row(strategy.to_json()) == strategy
    with pytest.raises(InvalidStrategy) as caught:
        Strategy.parse({"batch_size": "20 %"})
    assert caught.value.path == "/batch_size"


def due(deployment: int, count: int, service: int = 1, host: int | None = None, jump: int | None = None) -> list[Due]:
    return [Due(deployment * 1000 + n, deployment, service, host or deployment * 1000 + n, jump) for n in range(count)]


def test_turns_are_fair():
    chosen = choose(due(1, 50) + due(2, 50), InFlight(4, {1: 4}), Limits(), most=10, free=50, reserve=0)
    assert Counter(one.deployment for one in chosen) == {1: 3, 2: 7}


def test_reserves_slots_for_new_deployments():
    running = InFlight(28, {1: 28})
    assert choose(due(1, 50), running, Limits(), most=4, free=4, reserve=4) == []
    assert len(choose(due(1, 50) + due(2, 1), running, Limits(), most=4, free=4, reserve=4)) == 1


def test_limits():
    assert len(choose(due(1, 9) + due(2, 9), InFlight(3), Limits(overall=5), 18, 18, 0)) == 2
    assert len(choose(due(1, 9) + due(2, 9), InFlight(1, service={1: 1}), Limits(service=4), 18, 18, 0)) == 3
    assert len(choose(due(1, 9, host=7), InFlight(host={7: 1}), Limits(host=2), 9, 9, 0)) == 1
    assert len(choose(due(1, 9, jump=7) + due(2, 2), InFlight(), Limits(jump=2), 18, 18, 0)) == 4
