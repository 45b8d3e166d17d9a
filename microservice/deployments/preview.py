"""What a request would do, computed before it is sent: locks nothing, writes nothing; its token says what was shown."""

from typing import Any

from django.db.models import Q

from access.callers import Caller
from access.problems import invalid

from .. import atoms
from ..models import MicroServiceInstance, MicroServiceVersion
from ..status import Action
from . import plan_token
from .changes import look_up
from .create import check_right
from .rollout import Strategy
from .targets import describe_skipped, refuse_unavailable, skipped_targets
from .version_change import VersionChange


def preview(caller: Caller, change: VersionChange) -> dict[str, Any]:
    """Return `{"plan_token", "action", "from_version", "dest_version", "strategy", "batches", "targets", "skipped"}`.

    Each target has its steps, their commands, and which of them cannot be undone. Raise the same Problems as the
    request itself would.
    """
    check_right(caller, change.version.microservice)
    selection, destination = look_up(caller, change)
    rows = list(selection.lockable().select_related(*plan_token.NEEDED).order_by("pk"))
    skipped = list(skipped_targets(selection, Q(pk__in=selection.lockable().values("pk"))))
    refuse_unavailable(selection, len(rows), skipped)
    plan = plan_for(rows, change.action, change.version, destination, change.strategy)
    return plan | {"skipped": describe_skipped(one.to_json() for one in skipped)}


def plan_for(
    rows: list[MicroServiceInstance],
    action: Action,
    from_version: MicroServiceVersion | None,
    dest_version: MicroServiceVersion,
    strategy: Strategy,
    adopt: bool = False,
) -> dict[str, Any]:
    """Return the plan for these targets, with its token. Raise Problem 422 where the service allows none."""
    spec = atoms.spec_of(dest_version.microservice)
    try:
        targets = [_target(spec, row, action, from_version, dest_version, adopt) for row in rows]
    except ValueError as error:
        raise invalid("/service", "no_plan", error=getattr(error, "message", None) or str(error)) from error
    return {
        "plan_token": plan_token.make(rows, spec, action, dest_version.pk, strategy, adopt),
        "action": str(action),
        "from_version": {"id": from_version.pk, "version": from_version.version} if from_version else None,
        "dest_version": {"id": dest_version.pk, "version": dest_version.version},
        "strategy": strategy.to_json(),
        "batches": strategy.batches(len(rows)),
        "targets": targets,
        "skipped": [],
    }


def _target(
    spec: dict,
    row: MicroServiceInstance,
    action: Action,
    from_version: MicroServiceVersion | None,
    dest_version: MicroServiceVersion,
    adopt: bool,
) -> dict[str, Any]:
    steps = atoms.atom_of(spec, row, action, from_version, dest_version, adopt).describe()
    return {
        "instance_id": row.pk,
        "host_id": row.host_id,
        "host": str(row.host),
        "from_version": from_version.version if from_version else None,
        "dest_version": dest_version.version,
        "steps": steps,
        "cannot_be_undone": [step["name"] for step in steps if not step["undoable"]],
    }
