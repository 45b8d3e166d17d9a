"""Why an operation went wrong, as far as its words tell, and what to do next. Pure: from its row alone."""

from dataclasses import dataclass

from django.utils.translation import gettext_lazy as _

from ..models import Operation
from ..status import OperationStatus


@dataclass(frozen=True, slots=True)
class Advice:
    """`cause` may be empty where nothing is known beyond the error itself."""

    cause: str
    next: str


# The first that matches what the error says; more particular ones first.
_NO_ANSWER = ("cannot be reached", "was lost", "timed out", "refused")
_BY_WORDS = (
    (
        ("shows another host key",),
        _("The host has another key than the one that was trusted."),
        _(
            "Open the host’s page, compare both fingerprints with the host itself; if it is right, trust it."
        ),
    ),
    (
        ("no host key pinned",),
        _("The host’s key was never trusted."),
        _("Open the host’s page, check it and trust it."),
    ),
    (
        ("did not let", "has no credential"),
        _("The host refuses the credential."),
        _("Try the line below by hand; put the credential’s public key into the user’s authorized_keys."),
    ),
    (
        ("lower fence", "higher fence"),
        _("A newer operation is in charge of this instance."),
        _("Look at the instance’s last operation; nothing is to be done here."),
    ),
    (
        ("no space left", "disk full", "disk is full", "disk has", "cannot be made or written"),
        _("The host’s disk is full, or not writable."),
        _("Make room below the host’s base path, then retry."),
    ),
    (
        ("sudo -n",),
        _("The host’s user may not use sudo without a password."),
        _("Give it a NOPASSWD rule, or turn sudo off for the host; then retry."),
    ),
    (
        ("may not write",),
        _("The user may not write where the service lives."),
        _("Give the folder to the user, or turn sudo on for the host; then retry."),
    ),
    (
        ("program that the runner needs", "not found"),
        _("A program is missing on the host."),
        _("Install it there, then retry."),
    ),
    (
        ("has the sha256",),
        _("The package is not the one that was recorded."),
        _("Upload the version again under a new name: a version is never changed."),
    ),
    (
        ("ended after",),
        _("It took longer than the service allows."),
        _("Read the end of the output. Raise the limit in the service’s settings only if the time was really needed."),
    ),
    (
        _NO_ANSWER,
        _("The host does not answer."),
        _("Try the line below by hand. Once the host answers, retry."),
    ),
    (
        ("lock was broken",),
        _("Somebody took the instance away from it."),
        _("See the history for who and why; look at the host."),
    ),
)
# What this system itself says first, so no command can be taken for it.
_BY_BEGINNING = (
    (
        "left on the host:",
        _("It was stopped and is not current any more, but something of it could not be removed."),
        _("Remove what is named on the host, as its owner. The delete is tried again by itself, or retry it."),
    ),
    (
        "The instance was forgotten",
        _("Somebody forgot the instance: its host is gone for good."),
        _("See the history for who and why. If the host comes back, install the service there again."),
    ),
    (
        "What it waited for was forgotten",
        _("It waited for a delete, and the instance was forgotten: its host is gone for good."),
        _("See the history for who and why. If the host is there again, install once more."),
    ),
)
_BY_STEP = {
    "prepare": (
        _("The host is not ready for the service."),
        _("See the step’s reason, mend it on the host, then retry."),
    ),
    "upload": (_("The package did not arrive."), _("Retry: it is sent again from the beginning.")),
    "unpack": (_("The package could not be unpacked."), _("Look at the reason; a broken package needs a new version.")),
    "stop": (
        _("The version that ran could not be stopped."),
        _("Look at the service on the host and at its stop command."),
    ),
    "start": (_("The new version did not start."), _("Read its output below. Mend the version or its start command.")),
    "check": (
        _("The new version started, and did not pass its check."),
        _("Read its output below. A good version then needs a retry; a bad one a new build."),
    ),
}


def advice(of: Operation) -> Advice | None:
    """None where nothing went wrong."""
    status = OperationStatus(of.status)
    if not of.error and status not in (OperationStatus.FAILED, OperationStatus.UNDONE, OperationStatus.UNKNOWN):
        return None
    for beginning, cause, then in _BY_BEGINNING:
        if of.error.startswith(beginning):
            return Advice(str(cause), str(then))
    cause, then = _known(of)
    if status == OperationStatus.UNKNOWN:
        then = _("The host is asked again by itself. Try the line below by hand to see why it does not answer.")
    elif status == OperationStatus.FAILED and not of.error.startswith("The lock was broken"):
        cause = cause or _("A step failed, and so did the undo of what was done before.")
        then = _("Look at the host first: it may be between two versions. Then retry, which repairs it.")
    return Advice(str(cause), str(then))


def _known(of: Operation) -> tuple:
    said = of.error.lower()
    for words, cause, then in _BY_WORDS:
        if words == _NO_ANSWER and of.error_step:
            continue  # a step was reached: it is its command that speaks of a connection
        if any(word in said for word in words):
            return cause, then
    if of.error_step in _BY_STEP:
        return _BY_STEP[of.error_step]
    return "", _("Read the output below, mend the cause, then retry from the deployment’s page.")
