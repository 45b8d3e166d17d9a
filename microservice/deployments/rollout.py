"""Decides what starts next, as pure functions of a snapshot of rows: no database, no clock, no host.

`advance.py` takes the snapshot and carries out the decision, after every event (an operation ended, a person acted)
and in the sweep. No decision waits in memory in between, so nothing is lost when a process dies.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from asset.strategy import OnFailure, Strategy
from messages import Message

from ..status import DEPLOYMENT_ENDED, OPERATION_FAILED_STATUSES, DeploymentStatus, OperationStatus


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A deployment's rows, summarized: operations by status, and the first batch that has not been released."""

    status: DeploymentStatus
    strategy: Strategy
    counts: Mapping[OperationStatus, int]
    next_batch: int | None = None  # the lowest batch with a pending operation
    undo_failed: bool = False  # an operation failed and so did its undo

    @property
    def in_flight(self) -> int:
        return self.counts.get(OperationStatus.RUNNING, 0) + self.counts.get(OperationStatus.UNKNOWN, 0)

    @property
    def failures(self) -> int:
        return sum(self.counts.get(status, 0) for status in OPERATION_FAILED_STATUSES)

    @property
    def due(self) -> int:
        return self.counts.get(OperationStatus.QUEUED, 0)

    @property
    def waiting(self) -> int:
        return self.counts.get(OperationStatus.PENDING, 0)


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do with a deployment now. An empty decision: nothing."""

    release_batch: int | None = None  # this batch becomes due
    abandon_pending: bool = False  # what has not started never will: not_started (or cancelled, while cancelling)
    status: DeploymentStatus | None = None  # the deployment's new status
    reason: Message | None = None
    revert: OnFailure | None = None  # when it ends: which of its successes are reverted


NOTHING = Decision()


def decide(now: Snapshot, resumed: bool = False) -> Decision:
    """Return the next decision. Call again after each one until it is NOTHING, so that each changes one thing."""
    if now.status in DEPLOYMENT_ENDED:
        return NOTHING
    over_budget = now.failures > now.strategy.max_failures
    if (over_budget or now.status == DeploymentStatus.CANCELLING) and now.due + now.waiting:
        return Decision(abandon_pending=True)
    if now.in_flight or now.due:
        return NOTHING
    if now.waiting:
        return _next_batch(now, resumed)
    return _end(now, over_budget)


def _next_batch(now: Snapshot, resumed: bool) -> Decision:
    if now.status == DeploymentStatus.PAUSED:
        return NOTHING
    if now.strategy.pause_between and now.next_batch and not resumed:
        return Decision(status=DeploymentStatus.PAUSED, reason=Message("paused_between_batches"))
    return Decision(release_batch=now.next_batch)


def _end(now: Snapshot, over_budget: bool) -> Decision:
    if now.status == DeploymentStatus.CANCELLING:
        if now.undo_failed:
            return Decision(status=DeploymentStatus.FAILED, reason=Message("cancelled_undo_failed"))
        return Decision(status=DeploymentStatus.CANCELLED)
    unsuccessful = (
        now.failures + now.counts.get(OperationStatus.NOT_STARTED, 0) + now.counts.get(OperationStatus.CANCELLED, 0)
    )
    if not unsuccessful:
        return Decision(status=DeploymentStatus.SUCCEEDED)
    revert = now.strategy.on_failure if over_budget and now.strategy.on_failure is not OnFailure.HOLD else None
    return Decision(status=DeploymentStatus.FAILED, revert=revert)


@dataclass(frozen=True, slots=True)
class Due:
    """An operation that may start, and what its start would count against (ids of rows)."""

    operation: int
    deployment: int
    service: int
    host: int
    jump: int | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """How much may be in flight at once, across all deployments. 0: no limit."""

    overall: int = 0
    service: int = 0
    host: int = 0
    jump: int = 0


@dataclass(frozen=True, slots=True)
class InFlight:
    """What runs now, counted."""

    overall: int = 0
    deployment: Mapping[int, int] = field(default_factory=dict)
    service: Mapping[int, int] = field(default_factory=dict)
    host: Mapping[int, int] = field(default_factory=dict)
    jump: Mapping[int | None, int] = field(default_factory=dict)


def choose(
    candidates: Iterable[Due], running: InFlight, limits: Limits, most: int, free: int, reserve: int
) -> list[Due]:
    """Choose which operations start now: at most `most`, fairly between deployments and within every limit.

    Fair: each turn goes to the deployment that has the fewest in flight. So that a long deployment cannot fill every
    slot with slow commands, the last `reserve` of the `free` slots go only to deployments with nothing in flight.
    """
    queues: dict[int, list[Due]] = {}
    for due in candidates:
        queues.setdefault(due.deployment, []).append(due)
    deployments, services = Counter(running.deployment), Counter(running.service)
    hosts, jumps, overall = Counter(running.host), Counter(running.jump), running.overall
    chosen: list[Due] = []
    while queues and len(chosen) < min(most, free):
        if limits.overall and overall >= limits.overall:
            break
        turn = min(queues, key=lambda number: (deployments[number], number))
        if deployments[turn] and free - len(chosen) <= reserve:
            break
        due = queues[turn].pop(0)
        if not queues[turn]:
            del queues[turn]
        if (
            (limits.service and services[due.service] >= limits.service)
            or (limits.host and hosts[due.host] >= limits.host)
            or (limits.jump and due.jump is not None and jumps[due.jump] >= limits.jump)
        ):
            continue
        chosen.append(due)
        overall += 1
        deployments[due.deployment] += 1
        services[due.service] += 1
        hosts[due.host] += 1
        jumps[due.jump] += 1
    return chosen
