"""What a deployment would do to each of its targets, and a token that says what was shown of it."""

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from access.problems import FieldError, invalid
from asset.strategy import Strategy
from deployer.engine.atom import Target

from .. import atoms
from ..models import Deployment, MicroServiceVersion
from ..status import Action
from . import plan_token
from .skipped import SkippedTarget, describe_skipped
from .target_rows import Move, TargetRow
from .wait_reasons import Reason


@dataclass(frozen=True, slots=True, eq=False)
class TargetPlan:
    """What happens to a target. Targets that go alike share one: ten thousand of them have a handful."""

    action: Action
    from_version: str | None
    dest_version: str | None
    steps: list[dict[str, Any]]  # as Atom.describe

    @property
    def cannot_be_undone(self) -> list[str]:
        return [step["name"] for step in self.steps if not step["undoable"]]


@dataclass(frozen=True, slots=True)
class Plan:
    """The plan of a deployment, which is not saved. `targets`: in the order in which it takes them."""

    deployment: Deployment
    targets: list[tuple[TargetRow, TargetPlan]]
    moves: list[Move] = field(default_factory=list)  # of each target
    adopt: bool = False
    skipped: list[SkippedTarget] = field(default_factory=list)
    waits: tuple[Reason, ...] = ()  # what the request would wait for

    @property
    def batches(self) -> list[int]:
        return Strategy.from_row(self.deployment.strategy).batches(len(self.targets))

    def digest(self) -> dict[str, Any]:
        """Return what identifies this plan."""
        return plan_token.digest(self.deployment, self._moved(), self.adopt)

    def differences(self, shown: Mapping[str, Any]) -> list[FieldError]:
        """Return what differs from a plan that was shown (its digest); [] where it is the same. Two queries at most."""
        return plan_token.differences(shown, self.deployment, self._moved(), self.adopt)

    def _moved(self) -> Iterable[tuple[TargetRow, Move]]:
        return zip((row for row, _plan in self.targets), self.moves, strict=True)

    @property
    def token(self) -> str:
        """Return the token with which a request is held to this plan."""
        return plan_token.make(self.digest())

    def as_json(self) -> dict[str, Any]:
        """Return it as the API answers a dry run."""
        return {
            "plan_token": self.token,
            "action": str(self.deployment.action),
            "from_version": _named(self.deployment.from_version),
            "dest_version": _named(self.deployment.dest_version),
            "environment": self.deployment.environment.name if self.deployment.environment else None,
            "strategy": self.deployment.strategy,
            "batches": self.batches,
            "waits": [one.as_json() for one in self.waits],
            "targets": [_target_json(row, plan) for row, plan in self.targets],
            "skipped": describe_skipped(one.to_json() for one in self.skipped),
        }


def plan_for(
    deployment: Deployment,
    rows: list[TargetRow],
    move: Callable[[TargetRow], Move],
    *,
    adopt: bool = False,
    skipped: Iterable[SkippedTarget] = (),
) -> Plan:
    """Return the plan of a deployment (not saved) for these targets. `move`: what each of them does. At most one query.

    Raise Problem 422 where the service's definition allows none.
    """
    deployment.spec = atoms.spec_of(deployment.microservice)
    moves = [move(row) for row in rows]
    versions = _versions(deployment, moves)
    known: dict[Hashable, TargetPlan] = {}  # by all that steps depend on besides the service's definition
    targets = []
    for row, way in zip(rows, moves, strict=True):
        key = (way, row.base_path)
        if (plan := known.get(key)) is None:
            plan = known[key] = _plan(deployment, row, way, versions, adopt)
        targets.append((row, plan))
    return Plan(deployment, targets, moves, adopt, list(skipped))


def _versions(deployment: Deployment, moves: Iterable[Move]) -> dict[int, MicroServiceVersion]:
    """Return the versions of these moves by their ids. A query where there are others than the deployment's own."""
    known = {row.pk: row for row in (deployment.from_version, deployment.dest_version) if row}
    others = {pk for move in set(moves) for pk in move[1:] if pk is not None} - known.keys()
    return known | MicroServiceVersion.objects.in_bulk(others) if others else known


def _plan(
    deployment: Deployment, row: TargetRow, move: Move, versions: dict[int, MicroServiceVersion], adopt: bool
) -> TargetPlan:
    action, before, after = move
    old, new = (versions[pk] if pk is not None else None for pk in (before, after))
    target = Target(row.hostname, row.ip, row.base_path, row.port, row.tag, row.weight, row.instance_id or 0)
    try:
        steps = atoms.atom_at(deployment.spec, target, action, old, new, adopt).describe()
    except ValueError as error:
        raise invalid("/service", "no_plan", error=getattr(error, "message", None) or str(error)) from error
    return TargetPlan(action, old.version if old else None, new.version if new else None, steps)


def _target_json(row: TargetRow, plan: TargetPlan) -> dict[str, Any]:
    return {
        "instance_id": row.instance_id,
        "host_id": row.host_id,
        "host": row.host,
        "action": str(plan.action),
        "from_version": plan.from_version,
        "dest_version": plan.dest_version,
        "steps": plan.steps,
        "cannot_be_undone": plan.cannot_be_undone,
    }


def _named(version: MicroServiceVersion | None) -> dict[str, Any] | None:
    return {"id": version.pk, "version": version.version, "image": version.image} if version else None
