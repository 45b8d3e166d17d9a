"""Services, their versions and instances, and the deployments that change them.

The rows are the queue and the truth: a Celery message only says that there is work. The rules are in `status.py`
(transitions), `deployments/` (requests, rollout) and `worker/writer.py` (what workers write).

A foreign key that another index begins with has no index of its own (`db_index=False`): each index costs a write for
every row that a request locks or a worker records.
"""

from .deployments import Deployment, Operation, Output, Step
from .freezes import Freeze
from .packages import UnclaimedPackage
from .services import (
    BUILT_BY_WORKERS,
    NAME_PATTERN,
    MicroService,
    MicroServiceInstance,
    MicroServiceVersion,
    not_all_digits,
    valid_name,
)
from .trains import Train, TrainPart, TrainStart
from .waiting import Approval, DeploymentRequest, OnFreeze
from .workers import Heartbeat

__all__ = [
    "BUILT_BY_WORKERS",
    "NAME_PATTERN",
    "Approval",
    "Deployment",
    "DeploymentRequest",
    "Freeze",
    "Heartbeat",
    "MicroService",
    "MicroServiceInstance",
    "MicroServiceVersion",
    "OnFreeze",
    "Operation",
    "Output",
    "Step",
    "Train",
    "TrainPart",
    "TrainStart",
    "UnclaimedPackage",
    "not_all_digits",
    "valid_name",
]
