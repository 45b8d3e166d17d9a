"""What a host says where it does not run the program: the login, PAM, sudo or the shell speak then, never a service.

Their sentences are known, so what they mean is told in one word. Pure.
"""

import re

from .codes import Code

# The first that matches. Each stands for what the programs really print; see tests/engine/test_said.py.
PATTERNS = {
    Code.SUDO_TTY: (r"sudo: (?:sorry, you must have a tty|no tty present)(?! and no askpass)"),
    Code.SUDO_PASSWORD: (
        r"sudo: (?:a password is required|a terminal is required|no tty present and no askpass"
        r"|interactive authentication is required)"
    ),
    Code.PASSWORD_EXPIRED: (
        r"password (?:has|had) expired|password change required|must change your password"
        r"|required to change your password|account or password is expired"
    ),
    Code.ACCOUNT_EXPIRED: (r"account has expired|account (?:is )?expired|user account expired"),
    Code.ACCOUNT_LOCKED: (
        r"account is (?:currently )?(?:not available|locked|disabled|not active)"
        r"|account (?:has been )?locked"
    ),
    Code.LOGINS_OFF: (
        r"system is going down|logins? (?:are|is) (?:currently )?(?:disabled|not permitted)"
        r"|unprivileged users are not permitted to log in|system is booting up"
        r"|too many logins for|no logins at this time"
    ),
    Code.SUDO_REFUSED: (
        r"is not (?:in the sudoers file|allowed to (?:execute|run sudo))"
        r"|sudo: account validation failure|may not run sudo"
    ),
    Code.SUDO_MISSING: (r"sudo:? (?:command )?not found|sudo: No such file or directory"),
    Code.LIMITED_SHELL: (
        r"this service allows sftp connections only|\br(?:bash|ksh): |: restricted\b"
        r"|fatal: unrecognized command|interactive git shell is not enabled"
    ),
}
_SAID = tuple((code, re.compile(pattern, re.IGNORECASE)) for code, pattern in PATTERNS.items())


def meaning(noise: str) -> Code | None:
    """What the host's own words (beside the program's events) mean; None where they are not known."""
    return next((code for code, pattern in _SAID if pattern.search(noise)), None)


SENTENCES = {
    Code.SUDO_TTY: "sudo on the host runs nothing without a terminal (`requiretty`).",
    Code.SUDO_PASSWORD: "sudo -n did not run the program: the user needs a NOPASSWD rule.",
    Code.SUDO_REFUSED: "sudo on the host does not let the user run the program.",
    Code.SUDO_MISSING: "The host has no sudo.",
    Code.PASSWORD_EXPIRED: "The user's password on the host has expired, so the host runs no command.",
    Code.ACCOUNT_EXPIRED: "The user's account on the host has expired.",
    Code.ACCOUNT_LOCKED: "The user's account on the host is locked or has no login shell.",
    Code.LOGINS_OFF: "The host lets nobody log in at the moment.",
    Code.LIMITED_SHELL: "The user's shell on the host runs only certain commands.",
}
NEXT = {
    Code.SUDO_TTY: "Take `requiretty` out of the host's sudoers, at least for this user: Defaults:USER !requiretty.",
    Code.SUDO_PASSWORD: "Allow the user NOPASSWD for sh in sudoers, or turn sudo off for the host.",
    Code.SUDO_REFUSED: "Allow the user NOPASSWD for sh in sudoers, or turn sudo off for the host.",
    Code.SUDO_MISSING: "Install sudo on the host, or log in as a user that needs none and turn sudo off for the host.",
    Code.PASSWORD_EXPIRED: "Set a new password on the host, or let it never expire: chage -M -1 USER.",
    Code.ACCOUNT_EXPIRED: "Extend the account on the host: chage -E -1 USER.",
    Code.ACCOUNT_LOCKED: "Unlock the account on the host (usermod -U, faillock --reset), and give it a login shell: "
    "usermod -s /bin/sh USER.",
    Code.LOGINS_OFF: "Look at /etc/nologin and at the limits for logins on the host.",
    Code.LIMITED_SHELL: "Give the user a POSIX shell, or choose a user that has one.",
}
