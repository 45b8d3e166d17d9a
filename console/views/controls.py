"""What the buttons and the bar of a deployment show. Pure; the rules themselves are enforced where the request goes."""

from dataclasses import dataclass

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from messages.rendering import term
from microservice.models import Deployment
from microservice.status import DEPLOYMENT_ENDED, Action, DeploymentStatus, OperationStatus

from ..templatetags.console import tone


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
    over = _("it has ended") if ended else ""
    going = "" if ended else _("not while it is going on")
    retry = ngettext("Retry %(n)s host", "Retry %(n)s hosts", retryable) % {"n": retryable} if retryable else _("Retry")
    found = [
        Control(
            "retry",
            retry,
            going or ("" if retryable else _("nothing failed")),
            look="main",
        ),
        Control(
            "pause",
            _("Pause"),
            over or ("" if status in (DeploymentStatus.QUEUED, DeploymentStatus.RUNNING) else _it_is(status)),
        ),
        Control(
            "resume",
            _("Resume"),
            over or ("" if status == DeploymentStatus.PAUSED else _("it is not paused")),
            look="main",
        ),
        Control(
            "revert",
            _("Revert…"),
            going or _irreversible(deployment),
            look="danger",
            sure=_("Each host that got the new version goes back to the one it came from."),
        ),
        Control(
            "cancel",
            _("Cancel…"),
            over or (_("it is being cancelled") if status == DeploymentStatus.CANCELLING else ""),
            look="danger",
            sure=_("What runs now is stopped and undone; what has not begun does not begin."),
        ),
    ]
    if may_deploy:
        return found
    return [Control(one.what, one.word, _("you need the right “deploy”"), look=one.look) for one in found]


def _it_is(status: DeploymentStatus) -> str:
    return _("it is %(status)s") % {"status": term(status.label)}


def _irreversible(deployment: Deployment) -> str:
    if deployment.action == Action.INSTALL:
        return _("an install has no version to go back to")
    return _("a delete has no version to go back to") if deployment.action == Action.DELETE else ""


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
