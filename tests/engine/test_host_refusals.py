"""Hosts that do not run the program: sentences of logins, PAM, sudo and shells, and their meaning."""

import pytest

from deployer.engine.codes import Code
from deployer.engine.decisions import OutcomeKind, decide
from deployer.engine.host_refusals import PATTERNS, meaning
from deployer.engine.run_state import AttemptResult, Mode, RunState
from messages.texts import TEXTS

from .words import said

pytestmark = [pytest.mark.pure, pytest.mark.found("output")]

SAID = [
    (Code.SUDO_TTY, "sudo: sorry, you must have a tty to run sudo"),
    (Code.SUDO_PASSWORD, "sudo: a password is required"),
    (
        Code.SUDO_PASSWORD,
        "sudo: a terminal is required to read the password; either use the -S option to read from "
        "standard input or configure an askpass helper sudo: a password is required",
    ),
    (Code.SUDO_PASSWORD, "sudo: no tty present and no askpass program specified"),
    (Code.SUDO_PASSWORD, "sudo: interactive authentication is required"),
    (Code.SUDO_REFUSED, "deploy is not in the sudoers file. This incident will be reported."),
    (Code.SUDO_REFUSED, "Sorry, user deploy is not allowed to execute '/usr/bin/sh -c x' as root on web1."),
    (Code.SUDO_MISSING, "bash: line 1: exec: sudo: not found"),
    (Code.SUDO_MISSING, "sh: 1: exec: sudo: not found"),
    (Code.PASSWORD_EXPIRED, "WARNING: Your password has expired. Password change required but no TTY available."),
    (Code.PASSWORD_EXPIRED, "You are required to change your password immediately (administrator enforced)."),
    (Code.PASSWORD_EXPIRED, "sudo: Account or password is expired, reset your password and try again"),
    (Code.ACCOUNT_EXPIRED, "Your account has expired; please contact your system administrator."),
    (Code.ACCOUNT_LOCKED, "This account is currently not available."),
    (Code.ACCOUNT_LOCKED, "The account is locked due to 3 failed logins."),
    (Code.LOGINS_OFF, "System is going down. Unprivileged users are not permitted to log in anymore."),
    (Code.LOGINS_OFF, "Too many logins for 'deploy'."),
    (Code.LIMITED_SHELL, "This service allows sftp connections only."),
    (Code.LIMITED_SHELL, "rbash: line 1: exec: restricted"),
    (Code.LIMITED_SHELL, "fatal: unrecognized command 'exec sh -c x'"),
]


@pytest.mark.parametrize(("code", "words"), SAID)
def test_known_host_words_have_meanings(code, words):
    assert meaning(words) is code
    for sudo in (True, False):
        result = AttemptResult(Mode.START, answer=1, noise=f"Welcome to web1! {words}")
        decision = decide(RunState(safe=True, sudo=sudo), result)
        assert decision.outcome is not None and decision.outcome.kind is OutcomeKind.NOT_STARTED
        assert decision.outcome.code == code
        assert str(TEXTS[f"operation.{code}"].says) in said(decision.outcome) and words[:40] in said(
            decision.outcome
        ), "with the host's words"


@pytest.mark.parametrize("words", ["", "Welcome to Ubuntu 24.04", "404 Not Found", "Last login: today", "no such file"])
def test_unknown_words_have_no_meaning(words):
    assert meaning(words) is None
    decision = decide(RunState(safe=True), AttemptResult(Mode.START, answer=1, signed=False, noise=words))
    assert decision.outcome is not None and decision.outcome.code == Code.NOT_RUN


def test_every_pattern_has_an_example():
    assert set(PATTERNS) == {code for code, _ in SAID}


def test_program_output_is_not_read_as_refusal():
    result = AttemptResult(Mode.ATTACH, answer=1, signed=False, noise="This account is currently not available.")
    decision = decide(RunState(safe=False, begun=True, out_of_touch=99), result)
    assert decision.outcome is not None and decision.outcome.code == Code.NOT_RUN
