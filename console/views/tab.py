"""What a browser's tab says of a deployment while another page is in front: its title and its icon. Pure."""

from microservice.models import Deployment
from microservice.status import DEPLOYMENT_OPEN, OPERATION_FAILED_STATUSES, DeploymentStatus, OperationStatus, Outcome

from ..queries.deployments import Counts

MARKS = {"bad": "✗", "ok": "✓", "idle": "‖", "run": "▸"}
_STILL = (DeploymentStatus.WAITING, DeploymentStatus.PAUSED, DeploymentStatus.CANCELLED)
_WRONG = OPERATION_FAILED_STATUSES | {OperationStatus.UNKNOWN}


def tone(deployment: Deployment, counts: Counts) -> str:
    """Return which of the icons static/favicon-*.svg it is: a failure shows at once, not only at the end."""
    if deployment.status == DeploymentStatus.FAILED or any(counts.by_status.get(status) for status in _WRONG):
        return "bad"
    if deployment.status == DeploymentStatus.SUCCEEDED:
        return "ok"
    return "idle" if deployment.status in _STILL else "run"


def title(deployment: Deployment, counts: Counts) -> str:
    """Return the beginning of the title: a mark, and how far it is while it is under way."""
    mark = MARKS[tone(deployment, counts)]
    return f"{mark} {counts.done}/{counts.total}" if deployment.status in DEPLOYMENT_OPEN else mark


OPERATION_TONES = {
    Outcome.SUCCEEDED: "ok",
    Outcome.ROLLED_BACK: "bad",
    Outcome.NOTHING_RAN: "bad",
    Outcome.BROKEN: "bad",
    Outcome.NOT_REACHED: "bad",
    Outcome.CANCELLED: "idle",
    Outcome.NOT_STARTED: "idle",
}


def operation_tone(outcome: Outcome) -> str:
    return OPERATION_TONES.get(outcome, "run")
