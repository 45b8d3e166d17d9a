"""The buttons and the progress bar of a deployment. Pure; the rules are enforced when a button is used."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from microservice.deployments.retries import Left
from microservice.models import Deployment
from microservice.status import DEPLOYMENT_ENDED, Action, DeploymentStatus, OperationStatus, UndoStatus, outcome_of

from ..queries.deployments import Counts
from ..templatetags.console import tone


@dataclass(frozen=True, slots=True)
class Control:
    """A button: its command and label. `why_not`: why there is no button although a person may look for it.

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
    opens: str = ""

    @property
    def key(self) -> str:
        """The keyboard shortcut; see static/js/keys.js."""
        return {"retry": "r", "revert": "x"}.get(self.what, "")


def controls(deployment: Deployment, counts: Counts, left: Left, may_deploy: bool) -> list[Control]:
    """Return what can be done with a deployment now, in order. `left`: what a retry would repeat."""
    status = DeploymentStatus(deployment.status)
    buttons = _after_end(deployment, counts, left) if status in DEPLOYMENT_ENDED else _under_way(deployment, counts)
    if may_deploy:
        return buttons
    scope = _("needs the right to deploy")
    return [replace(button, why_not=scope) for button in buttons if not button.why_not]


def _after_end(deployment: Deployment, counts: Counts, left: Left) -> list[Control]:
    buttons = [_retry(deployment, left)] if counts.retryable else []
    buttons.append(Control("revert", _("Revert…"), _irreversible(deployment), look="danger", opens="console:revert"))
    return buttons


def _retry(deployment: Deployment, left: Left) -> Control:
    n = left.total
    word = ngettext("Retry %(n)s host…", "Retry %(n)s hosts…", n) % {"n": n} if n else _("Retry…")
    if not n and not left.in_maintenance:
        return Control("retry", _("Retry"), _("what failed was retried or changed since"))
    sure = ngettext(
        "What failed is repeated on %(n)s host, toward the same version.",
        "What failed is repeated on %(n)s hosts, toward the same version.",
        n,
    )
    return Control(
        "retry",
        word,
        look="main",
        question=_("Retry deployment %(number)s?") % {"number": deployment.pk},
        sure=sure % {"n": n} if n else _("Every host that failed is in maintenance."),
        confirm=_("Retry"),
    )


def _under_way(deployment: Deployment, counts: Counts) -> list[Control]:
    status = DeploymentStatus(deployment.status)
    buttons = []
    if lost := counts.by_status.get(OperationStatus.UNKNOWN, 0):
        word = ngettext("Contact %(n)s host now", "Contact %(n)s hosts now", lost) % {"n": lost}
        buttons.append(Control("retry", word))
    if status in (DeploymentStatus.QUEUED, DeploymentStatus.RUNNING):
        buttons.append(Control("pause", _("Pause")))
    if status == DeploymentStatus.PAUSED:
        buttons.append(Control("resume", _("Resume"), look="main"))
    if status != DeploymentStatus.CANCELLING:
        buttons.append(
            Control(
                "cancel",
                _("Cancel…"),
                look="danger",
                question=_("Cancel deployment %(number)s?") % {"number": deployment.pk},
                confirm=_("Cancel deployment"),
                sure=_("It does not begin. Nothing has changed on any host.")
                if status == DeploymentStatus.WAITING
                else _("Running operations are stopped and undone; the others do not start."),
            )
        )
    return buttons


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


def with_segments(deployments: Iterable[Any]) -> Iterable[Any]:
    """Add its bar to each deployment, which has its progress: see `fleet.progress_of`."""
    for deployment in deployments:
        deployment.segments = segments(deployment.by_status)
    return deployments
