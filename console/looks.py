"""How each status looks: its tone and its glyph, the same on every page."""

from callbacks.models import DeliveryState
from microservice.status import (
    BuildStatus,
    DeploymentStatus,
    InstanceStatus,
    Outcome,
    StepStatus,
    TrainPartStatus,
    TrainStatus,
    UndoStatus,
)

# For each kind of status: member → (tone, glyph). Tones are classes in console.css, glyphs symbols in glyphs.svg.
_WAITING, _GOING, _GOOD, _WRONG = ("idle", "wait"), ("run", "run"), ("ok", "ok"), ("bad", "bad")
_UNDOING, _UNDONE, _LEFT_OUT, _BROKEN = ("undo", "run"), ("undo", "undo"), ("idle", "none"), ("bad", "warn")
LOOKS: dict[str, tuple[type, dict]] = {
    "build": (
        BuildStatus,
        {
            BuildStatus.PENDING: _WAITING,
            BuildStatus.BUILDING: _GOING,
            BuildStatus.SUCCESS: _GOOD,
            BuildStatus.TIMEOUT: _WRONG,
            BuildStatus.FAILED: _WRONG,
            BuildStatus.DUPLICATE: ("idle", "copy"),
        },
    ),
    "instance": (
        InstanceStatus,
        {
            InstanceStatus.RUNNING: _GOOD,
            InstanceStatus.INSTALLING: _GOING,
            InstanceStatus.UPGRADING: _GOING,
            InstanceStatus.REVERTING: _GOING,
            InstanceStatus.DELETING: _GOING,
            InstanceStatus.INSTALL_FAILED: _WRONG,
            InstanceStatus.UPGRADE_FAILED: _WRONG,
            InstanceStatus.REVERT_FAILED: _WRONG,
            InstanceStatus.DELETE_FAILED: _WRONG,
        },
    ),
    "deployment": (
        DeploymentStatus,
        {
            DeploymentStatus.WAITING: ("warn", "wait"),
            DeploymentStatus.QUEUED: _WAITING,
            DeploymentStatus.RUNNING: _GOING,
            DeploymentStatus.PAUSED: ("warn", "pause"),
            DeploymentStatus.CANCELLING: _UNDOING,
            DeploymentStatus.SUCCEEDED: _GOOD,
            DeploymentStatus.FAILED: _WRONG,
            DeploymentStatus.CANCELLED: ("idle", "stop"),
        },
    ),
    "trains": (
        TrainStatus,
        {
            TrainStatus.RUNNING: _GOING,
            TrainStatus.HELD: ("warn", "pause"),
            TrainStatus.REVERTING: _UNDOING,
            TrainStatus.CANCELLING: _UNDOING,
            TrainStatus.SUCCEEDED: _GOOD,
            TrainStatus.FAILED: _WRONG,
            TrainStatus.CANCELLED: ("idle", "stop"),
            TrainStatus.REVERTED: _UNDONE,
        },
    ),
    "train_part": (
        TrainPartStatus,
        {
            TrainPartStatus.PENDING: _WAITING,
            TrainPartStatus.WAITING: ("warn", "wait"),
            TrainPartStatus.RUNNING: _GOING,
            TrainPartStatus.SUCCEEDED: _GOOD,
            TrainPartStatus.FAILED: _WRONG,
            TrainPartStatus.REVERTING: _UNDOING,
            TrainPartStatus.REVERTED: _UNDONE,
        },
    ),
    "outcome": (
        Outcome,
        {
            Outcome.PENDING: _WAITING,
            Outcome.QUEUED: _WAITING,
            Outcome.RUNNING: _GOING,
            Outcome.NOT_REACHED: ("warn", "ask"),
            Outcome.SUCCEEDED: _GOOD,
            Outcome.ROLLED_BACK: _WRONG,
            Outcome.NOTHING_RAN: _WRONG,
            Outcome.BROKEN: _BROKEN,
            Outcome.CANCELLED: ("idle", "stop"),
            Outcome.NOT_STARTED: _LEFT_OUT,
        },
    ),
    "step": (
        StepStatus,
        {
            StepStatus.PENDING: _WAITING,
            StepStatus.RUNNING: _GOING,
            StepStatus.DONE: _GOOD,
            StepStatus.FAILED: _WRONG,
        },
    ),
    "undo": (
        UndoStatus,
        {
            UndoStatus.NONE: _LEFT_OUT,
            UndoStatus.UNDOING: _UNDOING,
            UndoStatus.UNDONE: _UNDONE,
            UndoStatus.FAILED: _BROKEN,
        },
    ),
    "delivery": (
        DeliveryState,
        {
            DeliveryState.PENDING: ("run", "wait"),
            DeliveryState.DELIVERED: _GOOD,
            DeliveryState.FAILED: _WRONG,
        },
    ),
}
