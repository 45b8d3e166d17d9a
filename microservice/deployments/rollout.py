"""What starts next: pure functions of a snapshot of rows. No database, no clock, no host.

`advance.py` takes the snapshot and carries the answer out, after every event (an operation ended, somebody clicked)
and in the sweep. Because nothing waits in between, nothing is lost when a process dies.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum

from access.problems import invalid

from ..status import DEPLOYMENT_ENDED, OPERATION_WENT_WRONG, DeploymentStatus, OperationStatus

MOST_TARGETS = 1_000_000


class OnFailure(StrEnum):
    """What happens when a deployment has more failures than its strategy allows."""

    HOLD = "hold"  # nothing more starts
    REVERT_BATCH = "revert_batch"  # and what succeeded in the same batch goes back
    REVERT_ALL = "revert_all"  # and everything that succeeded goes back, last first


@dataclass(frozen=True, slots=True)
class Strategy:
    """How a deployment goes through its targets. The default is all at once, and hold on the first failure."""

    batch_size: int | str | None = None  # a number, a share such as "20%", or everything at once
    canary: int = 0  # so many first, by themselves
    max_failures: int = 0
    on_failure: OnFailure = OnFailure.HOLD
    pause_between: bool = False

    @classmethod
    def parse(cls, given: object, pointer: str = "/strategy") -> "Strategy":
        """From a request's JSON. Raises Problem 422 that points at the field that is wrong."""
        if given is None:
            return cls()
        if not isinstance(given, Mapping):
            raise invalid(pointer, "must be an object")
        unknown = sorted(set(given) - set(cls.__dataclass_fields__))
        if unknown:
            raise invalid(f"{pointer}/{unknown[0]}", "is not known here")
        pause = given.get("pause_between", False)
        if not isinstance(pause, bool):
            raise invalid(f"{pointer}/pause_between", "must be true or false")
        on_failure = given.get("on_failure", OnFailure.HOLD)
        if on_failure not in list(OnFailure):
            raise invalid(f"{pointer}/on_failure", "must be hold, revert_batch or revert_all")
        return cls(
            batch_size=_batch_size(given.get("batch_size"), f"{pointer}/batch_size"),
            canary=_count(given.get("canary", 0), f"{pointer}/canary"),
            max_failures=_count(given.get("max_failures", 0), f"{pointer}/max_failures"),
            on_failure=OnFailure(on_failure),
            pause_between=pause,
        )

    def to_json(self) -> dict:
        return {**asdict(self), "on_failure": str(self.on_failure)}

    def batch_length(self, targets: int) -> int:
        """How many targets a batch after the canary has, at least 1."""
        rest = max(1, targets - min(self.canary, targets))
        if self.batch_size is None:
            return rest
        if isinstance(self.batch_size, str):
            return max(1, targets * int(self.batch_size[:-1]) // 100)
        return self.batch_size

    def batches(self, targets: int) -> list[int]:
        """The sizes of the batches, in order."""
        sizes = [min(self.canary, targets)] if self.canary and targets else []
        left, length = targets - sum(sizes), self.batch_length(targets)
        return sizes + [min(length, left - done) for done in range(0, left, length)]


def _count(value: object, pointer: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MOST_TARGETS:
        raise invalid(pointer, f"must be a whole number from 0 to {MOST_TARGETS}")
    return value


def _batch_size(value: object, pointer: str) -> int | str | None:
    if value is None:
        return None
    if isinstance(value, str) and value.endswith("%"):
        share = value[:-1]
        if share.isascii() and share.isdigit() and 1 <= int(share) <= 100 and len(share) <= 3:
            return f"{int(share)}%"
    elif isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MOST_TARGETS:
        return value
    raise invalid(pointer, 'must be a whole number of at least 1, or a share from "1%" to "100%"')


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A deployment's rows in short: how many operations have each status, and the first batch that is not due yet."""

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
        return sum(self.counts.get(status, 0) for status in OPERATION_WENT_WRONG)

    @property
    def due(self) -> int:
        return self.counts.get(OperationStatus.QUEUED, 0)

    @property
    def waiting(self) -> int:
        return self.counts.get(OperationStatus.PENDING, 0)


@dataclass(frozen=True, slots=True)
class Move:
    """What is to be done with a deployment now. An empty move: nothing."""

    release: int | None = None  # this batch is due
    drop: bool = False  # what has not started never will: not_started (or cancelled, while cancelling)
    become: DeploymentStatus | None = None
    reason: str = ""
    revert: OnFailure | None = None  # with the end: what succeeded goes back


NOTHING = Move()


def decide(now: Snapshot, resumed: bool = False) -> Move:
    """The next move. Called again after each move until it says NOTHING, so each is one plain thing."""
    if now.status in DEPLOYMENT_ENDED:
        return NOTHING
    over_budget = now.failures > now.strategy.max_failures
    if (over_budget or now.status == DeploymentStatus.CANCELLING) and now.due + now.waiting:
        return Move(drop=True)
    if now.in_flight or now.due:
        return NOTHING
    if now.waiting:
        return _next_batch(now, resumed)
    return _end(now, over_budget)


def _next_batch(now: Snapshot, resumed: bool) -> Move:
    if now.status == DeploymentStatus.PAUSED:
        return NOTHING
    if now.strategy.pause_between and now.next_batch and not resumed:
        return Move(
            become=DeploymentStatus.PAUSED, reason="A batch has ended; the next one waits for somebody to resume."
        )
    return Move(release=now.next_batch)


def _end(now: Snapshot, over_budget: bool) -> Move:
    if now.status == DeploymentStatus.CANCELLING:
        if now.undo_failed:
            return Move(become=DeploymentStatus.FAILED, reason="Cancelled, and an undo failed.")
        return Move(become=DeploymentStatus.CANCELLED)
    unwell = (
        now.failures + now.counts.get(OperationStatus.NOT_STARTED, 0) + now.counts.get(OperationStatus.CANCELLED, 0)
    )
    if not unwell:
        return Move(become=DeploymentStatus.SUCCEEDED)
    back = now.strategy.on_failure if over_budget and now.strategy.on_failure is not OnFailure.HOLD else None
    return Move(become=DeploymentStatus.FAILED, revert=back)


@dataclass(frozen=True, slots=True)
class Due:
    """An operation that may start, and what its start would count against."""

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
    """Which operations start now: at most `most`, fairly between deployments and within every limit.

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
