"""Every status, every transition and every named set of statuses. No status is spelled anywhere else.

Numbers and labels are those of the API (`status`, `status_str`). Deployments and operations have words only.
"""

from collections.abc import Mapping
from typing import Any

from django.db import models


class BuildStatus(models.IntegerChoices):
    """The state of a version's build. Only SUCCESS can be deployed."""

    PENDING = 0, "pending"
    BUILDING = 1, "building"
    SUCCESS = 2, "success"
    TIMEOUT = 3, "timeout"
    FAILED = 4, "failed"
    DUPLICATE = 5, "duplicate"


class InstanceStatus(models.IntegerChoices):
    """What an instance is doing (below 10), or which action failed last (above)."""

    RUNNING = 0, "running"
    INSTALLING = 1, "installing"
    UPGRADING = 2, "upgrading"
    REVERTING = 3, "reverting"
    DELETING = 4, "deleting"
    INSTALL_FAILED = 11, "install_failed"
    UPGRADE_FAILED = 12, "upgrade_failed"
    REVERT_FAILED = 13, "revert_failed"
    DELETE_FAILED = 14, "delete_failed"


class Action(models.TextChoices):
    """What a deployment, or one of its operations, does.

    An operation is never RETRY, because it repeats its own action, nor DEPLOY: it is the upgrade or the revert that
    takes its instance to the deployment's version.
    """

    INSTALL = "install", "install"
    UPGRADE = "upgrade", "upgrade"
    REVERT = "revert", "revert"
    DELETE = "delete", "delete"
    RETRY = "retry", "retry"
    DEPLOY = "deploy", "deploy"


class DeploymentStatus(models.TextChoices):
    """The state of a deployment."""

    WAITING = "waiting", "waiting"  # for an approval, a freeze's end or its time: no operations yet, and no lock
    QUEUED = "queued", "queued"  # accepted, nothing has started
    RUNNING = "running", "running"  # at least one operation has started
    PAUSED = "paused", "paused"  # nothing new starts until a user resumes it
    CANCELLING = "cancelling", "cancelling"  # until it is proven that nothing lives on a host
    SUCCEEDED = "succeeded", "succeeded"
    FAILED = "failed", "failed"
    CANCELLED = "cancelled", "cancelled"


class TrainStatus(models.TextChoices):
    """The state of a release train."""

    RUNNING = "running", "running"  # a stage is under way, or waits to begin
    HELD = "held", "held"  # nothing begins until a user resumes, reverts or cancels it
    REVERTING = "reverting", "reverting"  # what succeeded goes back, last stage first
    CANCELLING = "cancelling", "cancelling"  # what is under way comes to its end
    SUCCEEDED = "succeeded", "succeeded"
    FAILED = "failed", "failed"
    CANCELLED = "cancelled", "cancelled"
    REVERTED = "reverted", "reverted"


class TrainPartStatus(models.TextChoices):
    """What has become of one service's version in a train."""

    PENDING = "pending", "pending"  # its stage has not begun
    WAITING = "waiting", "waiting"  # its deployment waits to begin
    RUNNING = "running", "running"
    SUCCEEDED = "succeeded", "succeeded"
    FAILED = "failed", "failed"  # also where it was cancelled, or could not be sent back
    REVERTING = "reverting", "reverting"
    REVERTED = "reverted", "reverted"


class OperationStatus(models.TextChoices):
    """The state of a deployment's part on one instance."""

    PENDING = "pending", "pending"  # its batch is not due yet
    QUEUED = "queued", "queued"  # due: the next free worker claims it
    RUNNING = "running", "running"  # claimed under a fence and a lease
    UNKNOWN = "unknown", "unknown"  # the host could not be reached; retried when `due` has come
    SUCCEEDED = "succeeded", "succeeded"
    UNDONE = "undone", "undone"  # it failed, and the old version runs again
    FAILED = "failed", "failed"  # it failed, and so did the undo
    CANCELLED = "cancelled", "cancelled"  # stopped on request, and undone
    NOT_STARTED = "not_started", "not started"  # the deployment ended before its turn, or it may not start there


class Outcome(models.TextChoices):
    """What a person is told of an operation's status and its undo: whether the host is as it was, or nothing ran."""

    PENDING = "pending", "pending"
    QUEUED = "queued", "queued"
    RUNNING = "running", "running"
    NOT_REACHED = "not_reached", "not reached"
    SUCCEEDED = "succeeded", "succeeded"
    ROLLED_BACK = "rolled_back", "failed, rolled back"
    NOTHING_RAN = "nothing_ran", "failed, nothing ran"
    BROKEN = "broken", "failed, not rolled back"
    CANCELLED = "cancelled", "cancelled"
    NOT_STARTED = "not_started", "not started"


class UndoStatus(models.TextChoices):
    """The state of the undo of an operation that did not succeed, and of each of its steps."""

    NONE = "none", "none"
    UNDOING = "undoing", "undoing"
    UNDONE = "undone", "undone"
    FAILED = "failed", "failed"


class StepStatus(models.TextChoices):
    """What came of one step of an operation. Its undo, which may follow, is told apart: UndoStatus."""

    PENDING = "pending", "pending"
    RUNNING = "running", "running"
    DONE = "done", "done"
    FAILED = "failed", "failed"


MAY_CHANGE_VERSION = frozenset({InstanceStatus.RUNNING, InstanceStatus.UPGRADE_FAILED, InstanceStatus.REVERT_FAILED})
MAY_DELETE = MAY_CHANGE_VERSION | {InstanceStatus.INSTALL_FAILED, InstanceStatus.DELETE_FAILED}
MAY_RETRY = frozenset(
    {
        InstanceStatus.INSTALL_FAILED,
        InstanceStatus.UPGRADE_FAILED,
        InstanceStatus.REVERT_FAILED,
        InstanceStatus.DELETE_FAILED,
    }
)
BUSY = frozenset(
    {InstanceStatus.INSTALLING, InstanceStatus.UPGRADING, InstanceStatus.REVERTING, InstanceStatus.DELETING}
)

DEPLOYMENT_ENDED = frozenset({DeploymentStatus.SUCCEEDED, DeploymentStatus.FAILED, DeploymentStatus.CANCELLED})
# Open: it has operations, and holds what they change.
DEPLOYMENT_OPEN = frozenset(DeploymentStatus) - DEPLOYMENT_ENDED - {DeploymentStatus.WAITING}

TRAIN_ENDED = frozenset({TrainStatus.SUCCEEDED, TrainStatus.FAILED, TrainStatus.CANCELLED, TrainStatus.REVERTED})
# Something follows from its rows alone. A held one waits for a person.
TRAIN_MOVING = frozenset({TrainStatus.RUNNING, TrainStatus.REVERTING, TrainStatus.CANCELLING})
# What a person may take back: also a train that came to its end.
TRAIN_REVERTIBLE = frozenset(
    {
        TrainStatus.RUNNING,
        TrainStatus.HELD,
        TrainStatus.CANCELLING,
        TrainStatus.SUCCEEDED,
        TrainStatus.FAILED,
        TrainStatus.CANCELLED,
    }
)

OPERATION_ENDED = frozenset(
    {
        OperationStatus.SUCCEEDED,
        OperationStatus.UNDONE,
        OperationStatus.FAILED,
        OperationStatus.CANCELLED,
        OperationStatus.NOT_STARTED,
    }
)
OPERATION_OPEN = frozenset(OperationStatus) - OPERATION_ENDED
# Ended, and something was tried: what never started is not done.
OPERATION_DONE = OPERATION_ENDED - {OperationStatus.NOT_STARTED}
OPERATION_FAILED_STATUSES = frozenset({OperationStatus.UNDONE, OperationStatus.FAILED})
# What `retry` on a deployment takes: exactly these, never more.
RETRYABLE = frozenset(
    {OperationStatus.UNDONE, OperationStatus.FAILED, OperationStatus.NOT_STARTED, OperationStatus.UNKNOWN}
)

# The status of an instance while an action runs on it, and after the action failed.
STATUS_DURING = {
    Action.INSTALL: InstanceStatus.INSTALLING,
    Action.UPGRADE: InstanceStatus.UPGRADING,
    Action.REVERT: InstanceStatus.REVERTING,
    Action.DELETE: InstanceStatus.DELETING,
}
STATUS_AFTER_FAILURE = {
    Action.INSTALL: InstanceStatus.INSTALL_FAILED,
    Action.UPGRADE: InstanceStatus.UPGRADE_FAILED,
    Action.REVERT: InstanceStatus.REVERT_FAILED,
    Action.DELETE: InstanceStatus.DELETE_FAILED,
}
# The action that brought an instance into a failed status: what a retry repeats.
FAILED_ACTION = {status: action for action, status in STATUS_AFTER_FAILURE.items()}

# from → {to: why}. A pair that is not here is refused.
BUILD_TRANSITIONS: dict[BuildStatus, dict[BuildStatus, str]] = {
    BuildStatus.PENDING: {
        BuildStatus.BUILDING: "its build was started",
        BuildStatus.SUCCESS: "its package was uploaded",
        BuildStatus.TIMEOUT: "its build never started",
        BuildStatus.FAILED: "its build could not be started",
        BuildStatus.DUPLICATE: "the same commit is built already",
    },
    BuildStatus.BUILDING: {
        BuildStatus.SUCCESS: "its build ended well",
        BuildStatus.TIMEOUT: "its build took too long",
        BuildStatus.FAILED: "its build ended badly",
        BuildStatus.DUPLICATE: "the same commit is built already",
    },
}
# Ended badly. A build server may try such a build again under the same name, and then it goes on here too.
BUILD_MAY_GO_ON = frozenset({BuildStatus.TIMEOUT, BuildStatus.FAILED})
# Statuses from which a requested build starts again. Nothing else leaves an end.
BUILD_AGAIN: dict[BuildStatus, str] = {
    BuildStatus.TIMEOUT: "its build is tried again",
    BuildStatus.FAILED: "its build is tried again",
    BuildStatus.DUPLICATE: "the commit is built again on purpose",
}
# The code of why a build was cancelled, and how the code of more words about it begins. Nothing revives such a build.
BUILD_CANCELLED = "build_cancelled"
OPERATION_TRANSITIONS: dict[OperationStatus, dict[OperationStatus, str]] = {
    OperationStatus.PENDING: {
        OperationStatus.QUEUED: "its batch is due",
        OperationStatus.NOT_STARTED: "the deployment ended before its turn",
        OperationStatus.CANCELLED: "the deployment was cancelled before its turn",
    },
    OperationStatus.QUEUED: {
        OperationStatus.RUNNING: "a worker claimed it",
        OperationStatus.NOT_STARTED: "the deployment ended before its turn, or its host was given to another team",
        OperationStatus.CANCELLED: "the deployment was cancelled before its turn",
        OperationStatus.FAILED: "its lock was broken by hand",
    },
    OperationStatus.RUNNING: {
        OperationStatus.RUNNING: "taken over: its lease ran out",
        OperationStatus.QUEUED: "its worker was stopped before anything had started on the host",
        OperationStatus.SUCCEEDED: "every step was done",
        OperationStatus.UNDONE: "a step failed and the finished ones were undone",
        OperationStatus.FAILED: "a step failed and so did an undo",
        OperationStatus.CANCELLED: "it was stopped on request and undone",
        OperationStatus.UNKNOWN: "the host could not be reached",
    },
    OperationStatus.UNKNOWN: {
        OperationStatus.RUNNING: "it is time to ask the host again",
        OperationStatus.FAILED: "the host could not be reached until the deadline, or its lock was broken by hand",
    },
}
DEPLOYMENT_TRANSITIONS: dict[DeploymentStatus, dict[DeploymentStatus, str]] = {
    DeploymentStatus.WAITING: {
        DeploymentStatus.QUEUED: "nothing holds it up any more",
        DeploymentStatus.CANCELLED: "a user cancelled or rejected it, it waited too long, or it could not begin",
    },
    DeploymentStatus.QUEUED: {
        DeploymentStatus.RUNNING: "its first operation was claimed",
        DeploymentStatus.PAUSED: "a user paused it",
        DeploymentStatus.CANCELLING: "a user cancelled it",
        DeploymentStatus.CANCELLED: "cancelled before anything had started",
        DeploymentStatus.FAILED: "nothing in it could be started",
    },
    DeploymentStatus.RUNNING: {
        DeploymentStatus.PAUSED: "a user paused it, or its strategy pauses between batches",
        DeploymentStatus.CANCELLING: "a user cancelled it",
        DeploymentStatus.SUCCEEDED: "every operation succeeded",
        DeploymentStatus.FAILED: "an operation did not",
    },
    DeploymentStatus.PAUSED: {
        DeploymentStatus.RUNNING: "a user resumed it",
        DeploymentStatus.QUEUED: "a user resumed it before anything had started",
        DeploymentStatus.CANCELLING: "a user cancelled it",
        DeploymentStatus.CANCELLED: "cancelled before anything had started",
        DeploymentStatus.SUCCEEDED: "what was running was all there was",
        DeploymentStatus.FAILED: "what was running was all there was, and some of it failed",
    },
    DeploymentStatus.CANCELLING: {
        DeploymentStatus.CANCELLED: "nothing of it lives on any host",
        DeploymentStatus.FAILED: "an undo failed while it was cancelled",
    },
}
TRAIN_TRANSITIONS: dict[TrainStatus, dict[TrainStatus, str]] = {
    TrainStatus.RUNNING: {
        TrainStatus.HELD: "a stage failed, or could not begin",
        TrainStatus.REVERTING: "a stage failed, or a user takes it back",
        TrainStatus.CANCELLING: "a user cancelled it",
        TrainStatus.SUCCEEDED: "every stage succeeded",
    },
    TrainStatus.HELD: {
        TrainStatus.RUNNING: "a user resumed it",
        TrainStatus.REVERTING: "a user takes it back",
        TrainStatus.CANCELLING: "a user cancelled it",
    },
    TrainStatus.REVERTING: {
        TrainStatus.HELD: "a revert failed, or could not begin",
        TrainStatus.CANCELLING: "a user cancelled it",
        TrainStatus.REVERTED: "everything went back",
        TrainStatus.FAILED: "nothing was there to take back",
    },
    TrainStatus.CANCELLING: {
        TrainStatus.CANCELLED: "nothing of it is under way",
        TrainStatus.REVERTING: "a user takes it back",
    },
    TrainStatus.SUCCEEDED: {TrainStatus.REVERTING: "a user takes it back"},
    TrainStatus.FAILED: {TrainStatus.REVERTING: "a user takes it back"},
    TrainStatus.CANCELLED: {TrainStatus.REVERTING: "a user takes it back"},
}


def outcome_of(status: str, undo_status: str) -> Outcome:
    """Return what the two columns of an operation say together. Pure."""
    if status == OperationStatus.UNDONE:
        return Outcome.NOTHING_RAN if undo_status == UndoStatus.NONE else Outcome.ROLLED_BACK
    return _OUTCOMES.get(OperationStatus(status)) or Outcome(status)


_OUTCOMES = {OperationStatus.FAILED: Outcome.BROKEN, OperationStatus.UNKNOWN: Outcome.NOT_REACHED}


def may_become(table: Mapping[Any, Mapping[Any, str]], old: str | int, new: str | int) -> bool:
    """Return whether the transition table allows a change from `old` to `new`."""
    return new in table.get(old, {})
