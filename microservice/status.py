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
    """What a deployment, or one of its operations, does. An operation is never RETRY: it repeats its own action."""

    INSTALL = "install", "install"
    UPGRADE = "upgrade", "upgrade"
    REVERT = "revert", "revert"
    DELETE = "delete", "delete"
    RETRY = "retry", "retry"


class DeploymentStatus(models.TextChoices):
    """The state of a deployment."""

    QUEUED = "queued", "queued"  # accepted, nothing has started
    RUNNING = "running", "running"  # at least one operation has started
    PAUSED = "paused", "paused"  # nothing new starts until a user resumes it
    CANCELLING = "cancelling", "cancelling"  # until it is proven that nothing lives on a host
    SUCCEEDED = "succeeded", "succeeded"
    FAILED = "failed", "failed"
    CANCELLED = "cancelled", "cancelled"


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


class UndoStatus(models.TextChoices):
    """The state of the undo of an operation that did not succeed."""

    NONE = "none", "none"
    UNDOING = "undoing", "undoing"
    UNDONE = "undone", "undone"
    FAILED = "failed", "failed"


class StepStatus(models.TextChoices):
    """The state of one step of an operation."""

    PENDING = "pending", "pending"
    RUNNING = "running", "running"
    DONE = "done", "done"
    FAILED = "failed", "failed"
    UNDOING = "undoing", "undoing"
    UNDONE = "undone", "undone"
    UNDO_FAILED = "undo_failed", "undo failed"


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
DEPLOYMENT_OPEN = frozenset(DeploymentStatus) - DEPLOYMENT_ENDED

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

_B, _D, _O = BuildStatus, DeploymentStatus, OperationStatus

# from → {to: why}. A pair that is not here is refused.
BUILD_TRANSITIONS: dict[BuildStatus, dict[BuildStatus, str]] = {
    _B.PENDING: {
        _B.BUILDING: "its build was started",
        _B.SUCCESS: "its package was uploaded",
        _B.TIMEOUT: "its build never started",
        _B.FAILED: "its build could not be started",
        _B.DUPLICATE: "the same commit is built already",
    },
    _B.BUILDING: {
        _B.SUCCESS: "its build ended well",
        _B.TIMEOUT: "its build took too long",
        _B.FAILED: "its build ended badly",
        _B.DUPLICATE: "the same commit is built already",
    },
}
# Ended badly. A build server may try such a build again under the same name, and then it goes on here too.
BUILD_MAY_GO_ON = frozenset({_B.TIMEOUT, _B.FAILED})
# Statuses from which a requested build starts again. Nothing else leaves an end.
BUILD_AGAIN: dict[BuildStatus, str] = {
    _B.TIMEOUT: "its build is tried again",
    _B.FAILED: "its build is tried again",
    _B.DUPLICATE: "the commit is built again on purpose",
}
OPERATION_TRANSITIONS: dict[OperationStatus, dict[OperationStatus, str]] = {
    _O.PENDING: {
        _O.QUEUED: "its batch is due",
        _O.NOT_STARTED: "the deployment ended before its turn",
        _O.CANCELLED: "the deployment was cancelled before its turn",
    },
    _O.QUEUED: {
        _O.RUNNING: "a worker claimed it",
        _O.NOT_STARTED: "the deployment ended before its turn, or its host was given to another team",
        _O.CANCELLED: "the deployment was cancelled before its turn",
        _O.FAILED: "its lock was broken by hand",
    },
    _O.RUNNING: {
        _O.RUNNING: "taken over: its lease ran out",
        _O.QUEUED: "its worker was stopped before anything had started on the host",
        _O.SUCCEEDED: "every step was done",
        _O.UNDONE: "a step failed and the finished ones were undone",
        _O.FAILED: "a step failed and so did an undo",
        _O.CANCELLED: "it was stopped on request and undone",
        _O.UNKNOWN: "the host could not be reached",
    },
    _O.UNKNOWN: {
        _O.RUNNING: "it is time to ask the host again",
        _O.FAILED: "the host could not be reached until the deadline, or its lock was broken by hand",
    },
}
DEPLOYMENT_TRANSITIONS: dict[DeploymentStatus, dict[DeploymentStatus, str]] = {
    _D.QUEUED: {
        _D.RUNNING: "its first operation was claimed",
        _D.PAUSED: "a user paused it",
        _D.CANCELLING: "a user cancelled it",
        _D.CANCELLED: "cancelled before anything had started",
        _D.FAILED: "nothing in it could be started",
    },
    _D.RUNNING: {
        _D.PAUSED: "a user paused it, or its strategy pauses between batches",
        _D.CANCELLING: "a user cancelled it",
        _D.SUCCEEDED: "every operation succeeded",
        _D.FAILED: "an operation did not",
    },
    _D.PAUSED: {
        _D.RUNNING: "a user resumed it",
        _D.QUEUED: "a user resumed it before anything had started",
        _D.CANCELLING: "a user cancelled it",
        _D.CANCELLED: "cancelled before anything had started",
        _D.SUCCEEDED: "what was running was all there was",
        _D.FAILED: "what was running was all there was, and some of it failed",
    },
    _D.CANCELLING: {
        _D.CANCELLED: "nothing of it lives on any host",
        _D.FAILED: "an undo failed while it was cancelled",
    },
}


def may_become(table: Mapping[Any, Mapping[Any, str]], old: str | int, new: str | int) -> bool:
    """Return whether the transition table allows a change from `old` to `new`."""
    return new in table.get(old, {})
