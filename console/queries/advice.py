"""Why an operation went wrong, and what to do next. Pure: from its row alone.

It hangs on the code, which says what went wrong and who said so, and on the kind of the step. What a command printed is
not read: `404 Not Found` is no missing program.
"""

from dataclasses import dataclass

from django.utils.translation import gettext_lazy as _

from deployer.engine.codes import Code
from microservice.models import Operation
from microservice.status import OperationStatus


@dataclass(frozen=True, slots=True)
class Advice:
    """`cause` may be empty where nothing is known beyond the error itself."""

    cause: str
    next: str


_DISK = (_("The host’s disk is full, or not writable."), _("Make room below the host’s base path, then retry."))
_NO_ANSWER = (_("The host does not answer."), _("Try the line below by hand. Once the host answers, retry."))
_TOO_LONG = (
    _("It took longer than the service allows."),
    _("Read the end of the output. Raise the limit in the service’s settings only if the time was really needed."),
)
_ON_THE_HOST = _("Make the change named in the error above, then retry.")
BY_CODE: dict[str, tuple] = {
    Code.KEY_CHANGED: (
        _("The host has another key than the one that was trusted."),
        _("Open the host’s page, compare both fingerprints with the host itself; if it is right, trust it."),
    ),
    Code.NOT_TRUSTED: (_("The host’s key was never trusted."), _("Open the host’s page, check it and trust it.")),
    Code.AUTH_REFUSED: (
        _("The host refuses the credential."),
        _(
            "Try the line below by hand; put the credential’s public key into the user’s authorized_keys. Is the "
            "account locked or expired?"
        ),
    ),
    Code.TOO_MANY_JUMPS: (_("The way to the host has too many jump hosts."), _("Shorten it, then retry.")),
    Code.NO_CREDENTIAL: (_("The host has no credential."), _("Choose one in the host’s form, then retry.")),
    Code.BAD_CREDENTIAL: (
        _("The credential cannot be used."),
        _("Replace it on the page of the credentials, then retry."),
    ),
    Code.SESSION_REFUSED: (
        _("The host lets the user in and opens no session."),
        _("Look at the sshd settings for this user: MaxSessions, ForceCommand, AllowTcpForwarding."),
    ),
    Code.SLOW_SHELL: (
        _("The login shell on the host takes very long to start."),
        _("Look at what its start-up files do: /etc/profile, ~/.profile, ~/.bashrc. A retry waits for longer."),
    ),
    Code.NO_COMMON_ALGORITHM: (
        _("The host and this system have no SSH algorithm in common."),
        _ON_THE_HOST,
    ),
    Code.TOO_OLD: (
        _("The host speaks only version 1 of SSH, or is no SSH server."),
        _("Replace its SSH server: nothing of version 1 is safe. Or correct the host’s port."),
    ),
    Code.OTHER_HOST: (
        _("This machine and folder are those of another host here."),
        _ON_THE_HOST,
    ),
    Code.LOWER_FENCE: (
        _("A newer operation is in charge of this instance."),
        _("Look at the instance’s last operation; nothing is to be done here."),
    ),
    Code.CANNOT_WRITE: _DISK,
    Code.DISK: _DISK,
    Code.SUDO_PASSWORD: (
        _("The host’s user may not use sudo without a password."),
        _("Give it a NOPASSWD rule, or turn sudo off for the host; then retry."),
    ),
    Code.SUDO_REFUSED: (
        _("The host’s user may not use sudo for this."),
        _("Give it a NOPASSWD rule, or turn sudo off for the host; then retry."),
    ),
    Code.SUDO_TTY: (
        _("sudo on the host runs nothing without a terminal (requiretty)."),
        _("Take requiretty out of the host’s sudoers, at least for this user; then retry."),
    ),
    Code.SUDO_MISSING: (
        _("The host has no sudo."),
        _("Install it there, or turn sudo off for the host and log in as a user that needs none; then retry."),
    ),
    Code.PASSWORD_EXPIRED: (
        _("The user’s password on the host has expired."),
        _("Set a new one there, or let it never expire (chage -M -1); then retry."),
    ),
    Code.ACCOUNT_EXPIRED: (
        _("The user’s account on the host has expired."),
        _("Extend it there (chage -E -1); then retry."),
    ),
    Code.ACCOUNT_LOCKED: (
        _("The user’s account on the host is locked or has no login shell."),
        _("Unlock it there (usermod -U, faillock --reset) and give it a login shell; then retry."),
    ),
    Code.LOGINS_OFF: (
        _("The host lets nobody log in at the moment."),
        _("Look at /etc/nologin and at the limits for logins on the host; then retry."),
    ),
    Code.LIMITED_SHELL: (
        _("The user’s shell on the host runs only certain commands."),
        _("Give the user a POSIX shell, or choose another user for the host; then retry."),
    ),
    Code.NOT_RUN: (
        _("The host ran something else in place of the deployment’s program."),
        _("Try the line below by hand. Give the user a POSIX shell, and take ForceCommand away."),
    ),
    Code.NOT_WRITABLE: (
        _("The user may not write where the service lives."),
        _("Give the folder to the user, or turn sudo on for the host; then retry."),
    ),
    Code.RUN_AS: (_("The service’s own user cannot be used on the host."), _ON_THE_HOST),
    Code.NO_TOOL: (_("A program is missing on the host."), _("Install it there, then retry.")),
    Code.NOT_READY: (
        _("A later step would have failed: something it needs is missing. Nothing was stopped."),
        _("See the reason above: mend the host, the command or the package, then retry."),
    ),
    Code.UNEXPECTED_ANSWER: (
        _("What the host answers does not fit the operation."),
        _("Is it the right host, and who else may change what runs on it? Try the line below by hand, then retry."),
    ),
    Code.OVERDUE: (
        _("The host did not end the run in the time that all its steps have together."),
        _("Check the host for processes of this operation that are still running, then retry."),
    ),
    Code.BUSY: (
        _("Another run of the service is still alive on the host."),
        _("Wait until it has ended, or look on the host what of it is still alive; then retry."),
    ),
    Code.UNSETTLED: (
        _("An earlier operation on the host has no end yet."),
        _("See what the host said above; mend the service’s folder on the host, then retry."),
    ),
    Code.RUN_GONE: (
        _("The host does not know the run any more."),
        _("Was the service’s folder removed, or the host restored? Look what runs there, then retry."),
    ),
    Code.CUT: (
        _("The package did not arrive whole."),
        _("Look at the way to the host, then retry: it is sent again."),
    ),
    Code.SECRETS: (
        _("The service’s secrets cannot be read with the keys of this installation."),
        _("Bring the key back that they were written with, or set them anew on the service’s page; then retry."),
    ),
    Code.DEFINITION: (
        _("The operation cannot be carried out as the service and the host are now."),
        _("See the reason above, change the service or the host, then deploy again."),
    ),
    Code.WORKER: (
        _("The worker met an error of its own."),
        _("Look at the worker’s log for the operation’s number; the host is asked again by a retry."),
    ),
    Code.OTHER_PACKAGE: (
        _("The package is not the one that was recorded."),
        _("Upload the version again under a new name: a version is never changed."),
    ),
    Code.PACKAGE: (
        _("The package holds what no host may unpack."),
        _("Make the package anew, under a new version’s name."),
    ),
    Code.NO_PACKAGE: (
        _("The package is not there any more, neither in the store nor on the host."),
        _("Upload it as a new version, or deploy another one."),
    ),
    Code.TIMEOUT: _TOO_LONG,
    Code.IDLE: _TOO_LONG,
    Code.UNREACHABLE: _NO_ANSWER,
    Code.CONNECTION_LOST: _NO_ANSWER,
    Code.DIED: (
        _("The run on the host was killed, or the host was restarted."),
        _("Look at the host: did it restart, or run out of memory? Then retry."),
    ),
    Code.LOCK_BROKEN: (
        _("Somebody took the instance away from it."),
        _("See the history for who and why; look at the host."),
    ),
    Code.LEFT_ON_HOST: (
        _("The service was stopped, but some of its files could not be removed."),
        _(
            "Remove the files named in the error as their owner. The delete is retried automatically, or you can retry "
            "it now."
        ),
    ),
    Code.FORGOTTEN: (
        _("Somebody forgot the instance: its host is gone for good."),
        _("See the history for who and why. If the host comes back, install the service there again."),
    ),
    Code.DELETE_FORGOTTEN: (
        _("It waited for a delete, and the instance was forgotten: its host is gone for good."),
        _("See the history for who and why. If the host is there again, install once more."),
    ),
}
# Where the host is not between two versions, although the operation failed.
_KNOWN_END = frozenset({Code.LOCK_BROKEN, Code.LOWER_FENCE, Code.LEFT_ON_HOST, Code.FORGOTTEN, Code.DELETE_FORGOTTEN})
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
    cause, then = _known(of)
    if status == OperationStatus.UNKNOWN:
        then = _("The host is asked again by itself. Try the line below by hand to see why it does not answer.")
    elif status == OperationStatus.FAILED and of.error_code not in _KNOWN_END:
        cause = cause or _("A step failed, and so did the undo of what was done before.")
        then = _("Look at the host first: it may be between two versions. Then retry, which repairs it.")
    return Advice(str(cause), str(then))


def _known(of: Operation) -> tuple:
    if of.error_code in BY_CODE:
        return BY_CODE[of.error_code]
    if of.error_step in _BY_STEP:
        return _BY_STEP[of.error_step]
    return "", _("Read the output below, mend the cause, then retry from the deployment’s page.")
