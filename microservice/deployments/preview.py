"""What a request would do, computed before it is sent: locks nothing, writes nothing; its token says what was shown."""

from collections.abc import Callable

from django.db.models import Q

from access.callers import Caller

from ..models import Deployment
from ..status import Action
from . import target_rows
from .changes import look_up
from .create import check_right
from .plan import Move, Plan, plan_for
from .skipped import refuse_unavailable, skipped_targets
from .target_rows import TargetRow
from .targets import TargetSelection
from .version_change import VersionChange


def preview(caller: Caller, change: VersionChange) -> Plan:
    """Return the plan of an upgrade, a revert or a deploy. Raise the same Problems as the request itself would."""
    check_right(caller, change.service)
    selection, deployment = look_up(caller, change)
    return plan_of(selection, deployment, _toward(deployment) if change.action == Action.DEPLOY else None)


def plan_of(
    selection: TargetSelection, deployment: Deployment, move: Callable[[TargetRow], Move] | None = None
) -> Plan:
    """Return the plan for the targets that can be locked now. A fixed number of queries."""
    rows = target_rows.load(selection.lockable())
    skipped = list(skipped_targets(selection, Q(pk__in=selection.lockable().values("pk"))))
    refuse_unavailable(selection, len(rows), skipped)
    return plan_for(deployment, rows, move=move, skipped=skipped)


def _toward(deployment: Deployment) -> Callable[[TargetRow], Move]:
    """Return each target's move in a deploy: as enqueue.toward_version."""
    dest = deployment.dest_version_id

    def move(row: TargetRow) -> Move:
        assert row.version_id is not None and dest is not None, "what runs no version is no target of a deploy"
        return Action.UPGRADE if row.version_id < dest else Action.REVERT, row.version_id, dest

    return move
