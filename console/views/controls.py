"""The buttons and the progress bar of a deployment. Pure; the rules are enforced when a button is used."""

from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from messages.rendering import term
from microservice.models import Deployment
from microservice.status import DEPLOYMENT_ENDED, Action, DeploymentStatus, OperationStatus, UndoStatus, outcome_of

from ..templatetags.console import tone


@dataclass(frozen=True, slots=True)
class Control:
    """A button: its command, label, and the reason why it is disabled ("" if enabled).

    `question`, `sure` and `confirm`: the heading, text and button of its confirmation, "" without one. `opens`: the
    name of the page that it leads to instead.
    """

    what: str
    word: str
    why_not: str = ""
    look: str = ""
    question: str = ""
    sure: str = ""
    confirm: str = ""
    opens: str = ""  # the page that it leads to, instead

    @property
    def key(self) -> str:
        """The keyboard shortcut; see static/js/keys.js."""
        return {"retry": "r", "revert": "x"}.get(self.what, "")


def controls(deployment: Deployment, left: int, failed: bool, may_deploy: bool) -> list[Control]:
    """Return the buttons of a deployment's page in order. `left`: how many operations a retry would repeat now;
    `failed`: whether there ever were any."""
    status = DeploymentStatus(deployment.status)
    ended = status in DEPLOYMENT_ENDED
    over = _("it has ended") if ended else ""
    going = "" if ended else _("it is still running")
    retry = ngettext("Retry %(n)s host", "Retry %(n)s hosts", left) % {"n": left} if left else _("Retry")
    nothing = _("what failed was retried or changed since") if failed else _("nothing failed")
    buttons = [
        Control(
            "retry",
            retry,
            going or ("" if left else nothing),
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
        Control("revert", _("Revert…"), going or _irreversible(deployment), look="danger", opens="console:revert"),
        Control(
            "cancel",
            _("Cancel…"),
            over or (_("it is being cancelled") if status == DeploymentStatus.CANCELLING else ""),
            look="danger",
            question=_("Cancel deployment %(number)s?") % {"number": deployment.pk},
            confirm=_("Cancel deployment"),
            sure=_("Running operations are stopped and undone; the others do not start."),
        ),
    ]
    if may_deploy:
        return buttons
    return [Control(button.what, button.word, _("requires the “deploy” scope"), look=button.look) for button in buttons]


def _it_is(status: DeploymentStatus) -> str:
    return _("it is %(status)s") % {"status": term(status.label)}


def _irreversible(deployment: Deployment) -> str:
    if deployment.action == Action.INSTALL:
        return _("an install has no previous version")
    return _("a delete has no previous version") if deployment.action == Action.DELETE else ""


def segments(by_status: dict[str, int]) -> list[dict[str, Any]]:
    """Return the bar's segments: tone, position and width of each status, in hundredths of a percent."""
    total = sum(by_status.values())
    order = (
        OperationStatus.SUCCEEDED,
        OperationStatus.UNDONE,
        OperationStatus.FAILED,
        OperationStatus.UNKNOWN,
        OperationStatus.RUNNING,
        OperationStatus.CANCELLED,
    )
    bars, at = [], 0
    for status in order:
        width = 10000 * by_status.get(status, 0) // total if total else 0
        if width:
            bars.append({"tone": tone(outcome_of(status, UndoStatus.UNDONE), "outcome"), "x": at, "width": width})
            at += width
    return bars
