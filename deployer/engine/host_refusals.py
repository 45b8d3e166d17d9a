"""What a host's own sentence means where it does not run the program: from the login, PAM, sudo or the shell. Pure."""

import re

from .codes import Code

# The first that matches. Each stands for what the programs really print; see tests/engine/test_host_refusals.py.
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
    """Return what the host's words (beside the program's events) mean; None where they are not known."""
    return next((code for code, pattern in _SAID if pattern.search(noise)), None)
