"""What the buttons and the bar of a deployment show. Pure; the rules themselves are enforced where the request goes."""

from dataclasses import dataclass

from microservice.models import Deployment
from microservice.status import DEPLOYMENT_ENDED, Action, DeploymentStatus, OperationStatus
from microservice.templatetags.console import tone


@dataclass(frozen=True, slots=True)
class Control:
    """A button: what it does, its word, why it cannot be used ("" where it can), and what is asked before it acts."""

    what: str
    word: str
    why_not: str = ""
    sure: str = ""
    look: str = ""

    @property
    def key(self) -> str:
        """The letter that means it; see static/js/keys.js."""
        return {"retry": "r", "revert": "x"}.get(self.what, "")


def controls(deployment: Deployment, retryable: int, may_deploy: bool) -> list[Control]:
    """The buttons of a deployment's page, in their order."""
    status = DeploymentStatus(deployment.status)
    ended = status in DEPLOYMENT_ENDED
    over = "it has ended" if ended else ""
    going = "" if ended else "not while it is going on"
    hosts = f"{retryable} host{'s' if retryable != 1 else ''}"
    found = [
        Control(
            "retry",
            f"Retry {hosts}" if retryable else "Retry",
            going or ("" if retryable else "nothing failed"),
            look="main",
        ),
        Control(
            "pause",
            "Pause",
            over or ("" if status in (DeploymentStatus.QUEUED, DeploymentStatus.RUNNING) else f"it is {status.label}"),
        ),
        Control(
            "resume", "Resume", over or ("" if status == DeploymentStatus.PAUSED else "it is not paused"), look="main"
        ),
        Control(
            "revert",
            "Revert…",
            going or _irreversible(deployment),
            look="danger",
            sure="Each host that got the new version goes back to the one it came from.",
        ),
        Control(
            "cancel",
            "Cancel…",
            over or ("it is being cancelled" if status == DeploymentStatus.CANCELLING else ""),
            look="danger",
            sure="What runs now is stopped and undone; what has not begun does not begin.",
        ),
    ]
    if may_deploy:
        return found
    return [Control(one.what, one.word, "you need the right “deploy”", look=one.look) for one in found]


def _irreversible(deployment: Deployment) -> str:
    if deployment.action in (Action.INSTALL, Action.DELETE):
        return (
            f"{'an' if deployment.action == Action.INSTALL else 'a'} {deployment.action} has no version to go back to"
        )
    return ""


def segments(by_status: dict[str, int]) -> list[dict]:
    """The bar: for each status its tone, where it begins and how wide it is, in hundredths of a percent."""
    total = sum(by_status.values())
    order = (
        OperationStatus.SUCCEEDED,
        OperationStatus.UNDONE,
        OperationStatus.FAILED,
        OperationStatus.UNKNOWN,
        OperationStatus.RUNNING,
        OperationStatus.CANCELLED,
    )
    found, at = [], 0
    for status in order:
        width = 10000 * by_status.get(status, 0) // total if total else 0
        if width:
            found.append({"tone": tone(status, "operation"), "x": at, "width": width})
            at += width
    return found
