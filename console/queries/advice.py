"""Why an operation failed and what to do next. Pure: from its row alone.

Advice depends on the error's code and on the failed step. What a command printed is not read: `404 Not Found` is not a
missing program.
"""

from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext_lazy as _

from deployer.engine.codes import Code
from microservice.models import Operation
from microservice.status import OperationStatus


@dataclass(frozen=True, slots=True)
class Advice:
    """`cause` is empty if nothing is known beyond the error itself."""

    cause: str
    next: str


_DISK = (_("The host’s disk is full or not writable."), _("Free space below the host’s base path, then retry."))
_NO_ANSWER = (_("The host does not answer."), _("Run the command below yourself. Retry once the host answers."))
_TOO_LONG = (
    _("It exceeded the service’s time limit."),
    _("Read the end of the output. Raise the limit in the service’s settings only if the time was needed."),
)
_ON_THE_HOST = _("Make the change named in the error above, then retry.")
BY_CODE: dict[str, tuple[Any, Any]] = {
    Code.KEY_CHANGED: (
        _("The host’s key differs from the trusted one."),
        _("Open the host’s page and compare both fingerprints with the host. If the new key is right, trust it."),
    ),
    Code.NOT_TRUSTED: (
        _("The host’s key is not trusted yet."),
        _("Open the host’s page, compare the fingerprint and trust it."),
    ),
    Code.AUTH_REFUSED: (
        _("The host refuses the credential."),
        _(
            "Run the command below yourself. Add the credential’s public key to the user’s authorized_keys, and check "
            "whether the account is locked or expired."
        ),
    ),
    Code.TOO_MANY_JUMPS: (_("The host is behind too many jump hosts."), _("Use fewer jump hosts, then retry.")),
    Code.NO_CREDENTIAL: (_("The host has no credential."), _("Choose one in the host’s settings, then retry.")),
    Code.BAD_CREDENTIAL: (
        _("The credential cannot be used."),
        _("Replace it on the credentials page, then retry."),
    ),
    Code.SESSION_REFUSED: (
        _("The host accepts the login but opens no session."),
        _("Check the sshd settings for this user: MaxSessions, ForceCommand, AllowTcpForwarding."),
    ),
    Code.SLOW_SHELL: (
        _("The login shell on the host starts very slowly."),
        _("Check its startup files: /etc/profile, ~/.profile, ~/.bashrc. A retry waits longer."),
    ),
    Code.NO_COMMON_ALGORITHM: (
        _("The host and Deployer have no SSH algorithm in common."),
        _ON_THE_HOST,
    ),
    Code.TOO_OLD: (
        _("The host supports only SSH version 1 or is not an SSH server."),
        _("Replace its SSH server, as version 1 is insecure, or correct the host’s port."),
    ),
    Code.OTHER_HOST: (
        _("Another host in Deployer has the same machine and base path."),
        _ON_THE_HOST,
    ),
    Code.LOWER_FENCE: (
        _("A newer operation controls this instance."),
        _("See the instance’s last operation. No action needed."),
    ),
    Code.CANNOT_WRITE: _DISK,
    Code.DISK: _DISK,
    Code.SUDO_PASSWORD: (
        _("The SSH user may not use sudo without a password."),
        _("Add a NOPASSWD rule or turn off sudo for the host, then retry."),
    ),
    Code.SUDO_REFUSED: (
        _("The SSH user may not use sudo for this."),
        _("Add a NOPASSWD rule or turn off sudo for the host, then retry."),
    ),
    Code.SUDO_TTY: (
        _("sudo on the host requires a terminal (requiretty)."),
        _("Remove requiretty from the host’s sudoers, at least for this user, then retry."),
    ),
    Code.SUDO_MISSING: (
        _("The host has no sudo."),
        _("Install sudo, or turn it off for the host and use a user that does not need it, then retry."),
    ),
    Code.PASSWORD_EXPIRED: (
        _("The user’s password on the host has expired."),
        _("Set a new password there or disable its expiry (chage -M -1), then retry."),
    ),
    Code.ACCOUNT_EXPIRED: (
        _("The user’s account on the host has expired."),
        _("Extend it there (chage -E -1), then retry."),
    ),
    Code.ACCOUNT_LOCKED: (
        _("The user’s account on the host is locked or has no login shell."),
        _("Unlock it there (usermod -U, faillock --reset) and set a login shell, then retry."),
    ),
    Code.LOGINS_OFF: (
        _("The host does not accept logins at the moment."),
        _("Check /etc/nologin and the login limits on the host, then retry."),
    ),
    Code.LIMITED_SHELL: (
        _("The user’s shell on the host is restricted."),
        _("Give the user a POSIX shell or choose another user for the host, then retry."),
    ),
    Code.NOT_RUN: (
        _("The host ran another command instead of the deployment’s program."),
        _("Run the command below yourself. Give the user a POSIX shell and remove ForceCommand."),
    ),
    Code.NOT_WRITABLE: (
        _("The user may not write to the service’s directory."),
        _("Make the user its owner or turn on sudo for the host, then retry."),
    ),
    Code.RUN_AS: (_("The service’s run-as user cannot be used on the host."), _ON_THE_HOST),
    Code.NO_TOOL: (_("A program is missing on the host."), _("Install it there, then retry.")),
    Code.NOT_READY: (
        _("A later step would have failed because something is missing. Nothing was stopped."),
        _("See the reason above. Fix the host, the command or the package, then retry."),
    ),
    Code.UNEXPECTED_ANSWER: (
        _("The host’s response does not match the operation."),
        _("Check whether it is the right host and what else changes its services. Run the command below, then retry."),
    ),
    Code.OVERDUE: (
        _("The host did not finish within the time limits of all steps together."),
        _("Check the host for processes of this operation that still run, then retry."),
    ),
    Code.BUSY: (
        _("Another operation of the service still runs on the host."),
        _("Wait until it has ended or find its processes on the host, then retry."),
    ),
    Code.UNSETTLED: (
        _("An earlier operation on the host was not completed."),
        _("See the host’s message above. Fix the service’s directory on the host, then retry."),
    ),
    Code.RUN_GONE: (
        _("The host no longer knows this run."),
        _("The service’s directory was removed or the host was restored. Check what runs there, then retry."),
    ),
    Code.CUT: (
        _("The package arrived incomplete."),
        _("Check the connection to the host, then retry."),
    ),
    Code.SECRETS: (
        _("The service’s secrets cannot be decrypted with the configured keys."),
        _("Restore the key that encrypted them or set the secrets again on the service’s page, then retry."),
    ),
    Code.DEFINITION: (
        _("The settings of the service and the host do not allow this operation."),
        _("See the reason above. Change the service or the host, then deploy again."),
    ),
    Code.WORKER: (
        _("Internal worker error."),
        _("Search the worker’s log for the operation’s number, then retry."),
    ),
    Code.OTHER_PACKAGE: (
        _("The package differs from the recorded one."),
        _("Upload it as a new version; versions are immutable."),
    ),
    Code.PACKAGE: (
        _("The package contains entries that may not be unpacked."),
        _("Build the package again as a new version."),
    ),
    Code.NO_PACKAGE: (
        _("The package no longer exists in the store or on the host."),
        _("Upload it as a new version or deploy another version."),
    ),
    Code.TIMEOUT: _TOO_LONG,
    Code.IDLE: _TOO_LONG,
    Code.UNREACHABLE: _NO_ANSWER,
    Code.CONNECTION_LOST: _NO_ANSWER,
    Code.DIED: (
        _("The run was killed or the host was restarted."),
        _("Check whether the host restarted or ran out of memory, then retry."),
    ),
    Code.LOCK_BROKEN: (
        _("The instance was force-unlocked while this operation ran."),
        _("See the history for who did it and why, and check the host."),
    ),
    Code.LEFT_ON_HOST: (
        _("The service was stopped, but some of its files could not be removed."),
        _("Remove the files named in the error as their owner. The delete is retried automatically, or retry it now."),
    ),
    Code.FORGOTTEN: (
        _("The instance was forgotten because its host no longer exists."),
        _("See the history for who did it and why. If the host comes back, install the service again."),
    ),
    Code.DELETE_FORGOTTEN: (
        _("It waited for the delete of an instance that was forgotten because its host no longer exists."),
        _("See the history for who did it and why. If the host is back, install again."),
    ),
}
# Codes of failures that do not leave the host between two versions.
_KNOWN_END = frozenset({Code.LOCK_BROKEN, Code.LOWER_FENCE, Code.LEFT_ON_HOST, Code.FORGOTTEN, Code.DELETE_FORGOTTEN})
_BY_STEP = {
    "prepare": (
        _("The host is not ready for the service."),
        _("See the step’s reason, fix it on the host, then retry."),
    ),
    "upload": (_("The package was not sent."), _("Retry to send it again.")),
    "unpack": (_("The package could not be unpacked."), _("See the reason. A broken package requires a new version.")),
    "stop": (
        _("The running version could not be stopped."),
        _("Check the service on the host and its stop command."),
    ),
    "start": (_("The new version did not start."), _("Read its output below. Fix the version or its start command.")),
    "check": (
        _("The new version started but failed its health check."),
        _("Read its output below. Retry if the version is sound; otherwise publish a new build."),
    ),
}


def advice(operation: Operation) -> Advice | None:
    """Return advice, or None if nothing went wrong."""
    status = OperationStatus(operation.status)
    if not operation.error and status not in (OperationStatus.FAILED, OperationStatus.UNDONE, OperationStatus.UNKNOWN):
        return None
    cause, next_step = _known(operation)
    if status == OperationStatus.UNKNOWN:
        next_step = _("Deployer keeps retrying. Run the command below yourself to see why the host does not answer.")
    elif status == OperationStatus.FAILED and operation.error_code not in _KNOWN_END:
        cause = cause or _("A step failed, and so did undoing the steps before it.")
        next_step = _("Check the host first: it may be between two versions. A retry repairs it.")
    return Advice(str(cause), str(next_step))


def _known(operation: Operation) -> tuple[Any, Any]:
    if operation.error_code in BY_CODE:
        return BY_CODE[operation.error_code]
    if operation.error_step in _BY_STEP:
        return _BY_STEP[operation.error_step]
    return "", _("Read the output below, fix the cause, then retry from the deployment’s page.")
