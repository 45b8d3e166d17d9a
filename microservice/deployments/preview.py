"""What a request would do, computed before it is sent: locks nothing, writes nothing; its token says what was shown."""

from collections.abc import Callable, Hashable
from functools import partial
from typing import Any

from django.db.models import Q

from access.callers import Caller
from access.problems import invalid

from .. import atoms
from ..models import Deployment, MicroServiceInstance, MicroServiceVersion, Operation
from ..status import Action
from ..strategy import Strategy
from . import plan_token
from .changes import look_up
from .create import check_right
from .targets import describe_skipped, refuse_unavailable, skipped_targets
from .version_change import VersionChange


def preview(caller: Caller, change: VersionChange) -> dict[str, Any]:
    """Return `{"plan_token", "action", "from_version", "dest_version", "strategy", "batches", "targets", "skipped"}`.

    Each target has its steps, their commands, and which of them cannot be undone. Raise the same Problems as the
    request itself would.
    """
    check_right(caller, change.service)
    selection, deployment = look_up(caller, change)
    rows = list(selection.lockable().select_related(*plan_token.NEEDED).order_by("pk"))
    skipped = list(skipped_targets(selection, Q(pk__in=selection.lockable().values("pk"))))
    refuse_unavailable(selection, len(rows), skipped)
    dest = deployment.dest_version
    move = partial(_toward, dest) if change.action == Action.DEPLOY and dest else None
    return plan_for(deployment, rows, move=move) | {"skipped": describe_skipped(one.to_json() for one in skipped)}


Move = tuple[Action, MicroServiceVersion | None, MicroServiceVersion | None]  # an operation's action, from and to


def plan_for(
    deployment: Deployment,
    rows: list[MicroServiceInstance],
    adopt: bool = False,
    move: Callable[[MicroServiceInstance], Move] | None = None,
) -> dict[str, Any]:
    """Return the plan of a deployment (not saved) for these targets, with its token. `move`: what each of them does, if
    that is not the same for all.

    Raise Problem 422 where the service's definition allows none.
    """
    move = move or (lambda row: (Action(deployment.action), deployment.from_version, deployment.dest_version))
    deployment.spec = atoms.spec_of(deployment.microservice)
    strategy = Strategy.from_row(deployment.strategy)
    try:
        known: dict[Hashable, list[dict[str, Any]]] = {}
        targets = [_target(deployment, row, move(row), adopt, known) for row in rows]
    except ValueError as error:
        raise invalid("/service", "no_plan", error=getattr(error, "message", None) or str(error)) from error
    return {
        "plan_token": plan_token.make(deployment, rows, adopt),
        "action": str(deployment.action),
        "from_version": _named(deployment.from_version),
        "dest_version": _named(deployment.dest_version),
        "strategy": deployment.strategy,
        "batches": strategy.batches(len(rows)),
        "targets": targets,
        "skipped": [],
    }


def _toward(dest: MicroServiceVersion, row: MicroServiceInstance) -> Move:
    """Return the move of an instance that a deploy takes to `dest`: as enqueue.toward_version."""
    assert row.version is not None, "what runs no version is no target of a deploy"
    return Action.UPGRADE if row.version.pk < dest.pk else Action.REVERT, row.version, dest


def _target(
    deployment: Deployment,
    row: MicroServiceInstance,
    move: Move,
    adopt: bool,
    known: dict[Hashable, list[dict[str, Any]]],
) -> dict[str, Any]:
    """Return a target with its steps. `known`: those of other targets, by all that they depend on besides the service's
    definition. Ten thousand hosts have a handful between them."""
    action, before, after = move
    way = (action, before and before.pk, after and after.pk, row.host.base_path)
    if (steps := known.get(way)) is None:
        operation = Operation(instance=row, action=action, from_version=before, dest_version=after, adopt=adopt)
        steps = known[way] = atoms.atom_of(deployment.spec, operation).describe()
    return {
        "instance_id": row.pk,
        "host_id": row.host_id,
        "host": str(row.host),
        "action": str(action),
        "from_version": before.version if before else None,
        "dest_version": after.version if after else None,
        "steps": steps,
        "cannot_be_undone": [step["name"] for step in steps if not step["undoable"]],
    }


def _named(version: MicroServiceVersion | None) -> dict[str, Any] | None:
    return {"id": version.pk, "version": version.version, "image": version.image} if version else None
