"""What a request would do, computed before it is sent: locks nothing, writes nothing; its token says what was shown."""

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
    return plan_for(deployment, rows) | {"skipped": describe_skipped(one.to_json() for one in skipped)}


def plan_for(deployment: Deployment, rows: list[MicroServiceInstance], adopt: bool = False) -> dict[str, Any]:
    """Return the plan of a deployment (not saved) for these targets, with its token.

    Raise Problem 422 where the service's definition allows none.
    """
    deployment.spec = atoms.spec_of(deployment.microservice)
    strategy = Strategy.from_row(deployment.strategy)
    try:
        targets = [_target(deployment, row, adopt) for row in rows]
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


def _target(deployment: Deployment, row: MicroServiceInstance, adopt: bool) -> dict[str, Any]:
    before, after, action = deployment.from_version, deployment.dest_version, deployment.action
    if action == Action.DEPLOY and row.version and after:
        before, action = row.version, Action.UPGRADE if row.version.pk < after.pk else Action.REVERT
    operation = Operation(instance=row, action=action, from_version=before, dest_version=after, adopt=adopt)
    steps = atoms.atom_of(deployment.spec, operation).describe()
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
