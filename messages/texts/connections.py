"""What becomes of an operation whose host cannot be reached, or where something else answers. Part of `operations`."""

from django.utils.translation import gettext_lazy as _

from ..text import Text

_SUDO = _("Add a NOPASSWD rule for sh to sudoers, or turn sudo off for the host.")

CODES: dict[str, Text] = {
    # The connection to the host
    "unreachable": Text(
        _("{where} cannot be reached: {reason}."),
        _("Check that the host is up, that its address and port are right, and that no firewall blocks the port."),
        _("The host does not answer."),
    ),
    "connection_lost": Text(
        _("The connection to {where} was lost: {reason}."),
        _("The operation continues on the host; the next attempt reattaches. Check the network if this happens often."),
        _("The host does not answer."),
    ),
    "slow_shell": Text(
        _("{where} accepted the login, but its login shell started no command within {seconds} s."),
        _("Check the shell’s start-up files: /etc/profile, ~/.profile, ~/.bashrc. The next attempt waits longer."),
        _("The login shell on the host starts very slowly."),
    ),
    "no_common_algorithm": Text(
        _("{where} and this system have no SSH algorithm in common: {gaps}."),
        _("{remedy}"),
        _("The host and Deployer have no SSH algorithm in common."),
    ),
    "too_old": Text(
        _("{where} does not speak version 2 of SSH."),
        _("Check the host’s port. An SSH server that speaks only version 1 must be replaced: it is not safe."),
        _("The host speaks only version 1 of SSH, or is not an SSH server."),
    ),
    "not_trusted": Text(
        _("{where} has no pinned host key, so it is not trusted and nothing was sent to it."),
        _("Check the host, compare the fingerprint with the host’s own, and trust it."),
        _("The host’s key was never trusted."),
    ),
    "key_changed": Text(
        _("{where} offers another host key than the pinned one: pinned {pinned}, offered {offered}. Nothing was sent."),
        _("Compare both fingerprints on the host itself. If the host was reinstalled, trust the new key."),
        _("The host’s key differs from the trusted one."),
    ),
    "auth_refused": Text(
        _("{where} rejected the login of {username}: {reason}."),
        _(
            "Check that the credential’s public key is in the user’s authorized_keys and its type among those that "
            "sshd accepts (PubkeyAcceptedAlgorithms), or that the password is right, and that the account is not "
            "locked or expired (chage -l, passwd -S)."
        ),
        _("The host rejects the credential."),
    ),
    "bad_credential": Text(
        _("The credential cannot be used: {reason}."), _("{remedy}"), _("The credential cannot be used.")
    ),
    "session_refused": Text(
        _("{where} accepts the login but refuses {what}."),
        _("Check the sshd settings for this user: MaxSessions, ForceCommand, AllowTcpForwarding."),
        _("The host accepts the login but opens no session."),
    ),
    "unexpected_answer": Text(
        _("The host’s answer is not valid: {reason}."),
        _("Check that this is the right host, and who else can change what runs on it. Then retry."),
        _("The host’s answer does not fit the operation."),
    ),
    "overdue": Text(
        _("The host did not end the run within {seconds} s, longer than all limits of its steps together."),
        _("Check the host for processes of this operation that still run, then retry."),
        _("The host did not finish within the time limits of all steps together."),
    ),
    # Something else answered in place of the program
    "not_run": Text(
        _(
            "Something else ran in place of the program (exit status {status}): a forced command (command=… in "
            "authorized_keys, ForceCommand), a restricted shell, or nologin."
        ),
        _(
            "Give the user a POSIX shell, and remove what runs instead: command=… in its authorized_keys, "
            "ForceCommand in sshd_config, git-shell or nologin."
        ),
        _("The host ran something else in place of the program."),
    ),
    "password_expired": Text(
        _("The user’s password on the host has expired, so the host runs no command."),
        _("Set a new password on the host, or let it never expire: chage -M -1 USER."),
        _("The user’s password on the host has expired."),
    ),
    "account_expired": Text(
        _("The user’s account on the host has expired."),
        _("Extend the account on the host: chage -E -1 USER."),
        _("The user’s account on the host has expired."),
    ),
    "account_locked": Text(
        _("The user’s account on the host is locked or has no login shell."),
        _("Unlock it (usermod -U, faillock --reset) and give it a login shell: usermod -s /bin/sh USER."),
        _("The user’s account on the host is locked or has no login shell."),
    ),
    "logins_off": Text(
        _("The host does not accept logins at the moment."),
        _("Check /etc/nologin and the limits for logins on the host."),
        _("The host does not accept logins at the moment."),
    ),
    "limited_shell": Text(
        _("The user’s shell on the host is restricted."),
        _("Give the user a POSIX shell, or choose another user."),
        _("The user’s shell on the host is restricted."),
    ),
    "sudo_tty": Text(
        _("sudo on the host requires a terminal (requiretty)."),
        _("Remove requiretty from the host’s sudoers, at least for this user: Defaults:USER !requiretty."),
        _("sudo on the host requires a terminal (requiretty)."),
    ),
    "sudo_password": Text(
        _("sudo -n did not run the program: the user needs a NOPASSWD rule."),
        _SUDO,
        _("The host’s user cannot use sudo without a password."),
    ),
    "sudo_refused": Text(
        _("sudo on the host does not let the user run the program."),
        _SUDO,
        _("The host’s user is not allowed to use sudo for this."),
    ),
    "sudo_missing": Text(
        _("The host has no sudo."),
        _("Install sudo on the host, or turn sudo off for the host and log in as a user that does not need it."),
        _("The host has no sudo."),
    ),
}
