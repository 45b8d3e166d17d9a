"""Cause and next step on an operation's page, and its ssh command."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest
from django.utils import translation

from asset.models import Asset
from asset.ssh_command import ssh_line
from console.queries.advice import advice
from deployer.engine.codes import Code, error
from deployer.engine.decisions import decide
from deployer.engine.program import Answer
from deployer.engine.run_state import AttemptResult, Mode, RunState
from messages.rendering import render
from microservice.models import Operation
from microservice.operation_errors import error_fields, error_of
from microservice.status import OperationStatus

UNDONE, FAILED, UNKNOWN = OperationStatus.UNDONE, OperationStatus.FAILED, OperationStatus.UNKNOWN


@pytest.mark.found("output")
@pytest.mark.parametrize(
    ("code", "step", "status", "cause", "then"),
    [
        ("key_changed", "", UNDONE, "differs from the trusted", "fingerprints"),
        ("disk", "unpack", UNDONE, "disk is full", "Free disk space"),
        ("unreachable", "", UNKNOWN, "does not answer", "retried automatically"),
        ("step_failed", "check", UNDONE, "failed its health check", "output below"),
        ("unchecked", "check", UNDONE, "failed its health check", "new build"),
        ("timeout", "check", UNDONE, "longer than", "limit"),
        ("idle", "start", UNDONE, "longer than", "limit"),
        ("step_failed", "start", FAILED, "did not start", "between two versions"),
        ("step_failed", "migrate", UNDONE, "", "fix the cause"),
        ("lock_broken", "", FAILED, "force-unlocked while", "history"),
        ("sudo_tty", "", UNDONE, "requiretty", "sudoers"),
        ("password_expired", "", UNDONE, "password on the host has expired", "chage"),
        ("account_expired", "", UNDONE, "account on the host has expired", "chage"),
        ("account_locked", "", UNDONE, "locked", "Unlock"),
        ("no_credential", "", UNDONE, "no credential", "form"),
        ("not_ready", "stop", UNDONE, "Nothing was stopped", "named in the error"),
        ("busy", "", UNKNOWN, "still active", "retried automatically"),
        ("cut", "", UNDONE, "arrived incomplete", "sent again"),
        ("secrets", "", UNDONE, "cannot be decrypted", "set the secrets again"),
        ("slow_shell", "", UNDONE, "login shell", "waits longer"),
    ],
)
def test_advice_by_code_and_step(code, step, status, cause, then):
    found = advice(Operation(status=status, error="whatever it says", error_step=step, error_code=code))
    assert cause in found.cause and then in found.next


@pytest.mark.found("output")
@pytest.mark.parametrize(
    "words",
    [
        "404 Not Found",
        "sh: 1: java: not found",
        "connection refused",
        "shows another host key than",
        "a higher fence",
        "no space left on device",
        "sudo -n is what you need",
        "did not let me in",
        "ended after 3 tries",
        "may not write",
        "has the sha256",
    ],
)
def test_output_is_not_read(words):
    for step, cause in (("start", "The new version did not start."), ("mine", "")):
        row = Operation(status=UNDONE, error=f"{step} failed: {words}", error_step=step, error_code="step_failed")
        assert advice(row).cause == cause


@pytest.mark.found("output")
@pytest.mark.parametrize("code", Code)
def test_every_code_has_advice(code):
    found = advice(Operation(status=UNDONE, error="a sentence", error_code=code))
    assert found.next and "{" not in found.next + found.cause


@pytest.mark.found("output")
def test_missing_program():
    attempt = AttemptResult(mode=Mode.START, answer=int(Answer.NO_TOOL), about="flock")
    outcome = decide(RunState(safe=True).after(attempt, 99), attempt).outcome
    row = Operation(status=UNDONE, **error_fields(outcome.message))
    assert (row.error, row.error_code) == ("flock is missing on the host. Nothing was changed on the host.", "no_tool")
    assert advice(row).cause == "A program is missing on the host."


def test_error_is_translated_and_quotes_are_not():
    why = error(Code.LOCK_BROKEN, user="ann", reason="host is gone. Really.")
    row = Operation(status=FAILED, **error_fields(why))
    assert row.error == "The instance was force-unlocked by ann: host is gone. Really."
    assert row.error_params == {"user": "ann", "reason": "host is gone. Really."}
    with translation.override("zh-hans"):
        assert "host is gone. Really." in render(error_of(row))
    assert render(error_of(Operation(status=FAILED, error="An older sentence."))) == "An older sentence."


@pytest.mark.found("output")
def test_docs_list_every_code():
    page = Path(__file__).resolve().parents[3] / "docs/output.md"
    rows = re.findall(r"^\| ((?:`[a-z_]+`(?:, )?)+) \| ", page.read_text(), re.MULTILINE)
    assert sorted(re.findall(r"`([a-z_]+)`", " ".join(rows[1:]))) == sorted(Code)


def test_success_needs_no_advice():
    assert advice(Operation(status=OperationStatus.SUCCEEDED)) is None


def test_ssh_command_quotes_jump_hosts():
    far = Asset(hostname="far", ip="fd00::1", port=2222, username="jump")
    near = Asset(hostname="near", ip="10.0.0.2", port=22, username="hop", jump_host=far)
    evil = "-oProxyCommand=x; rm -rf '/'"
    host = Asset(hostname="h", ip="10.0.0.1", port=22, username=evil, jump_host=near, sudo=True)
    line = ssh_line(host)
    assert shlex.split(line) == [
        "ssh",
        "-p",
        "22",
        "-J",
        "jump@[fd00::1]:2222,hop@10.0.0.2:22",
        "-l",
        evil,
        "--",
        "10.0.0.1",
        "sudo",
        "-n",
        "true",
    ]
    assert ssh_line(far) == "ssh -p 2222 -l jump -- fd00::1"


def settings_of(line: str) -> dict[str, str]:
    """Return how the real ssh reads a configuration."""
    words = shlex.split(line)
    done = subprocess.run([words[0], "-G", "-F", "none", *words[1:]], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return dict(text.split(" ", 1) for text in done.stdout.splitlines() if " " in text)


@pytest.mark.found("ssh")
def test_ssh_command_for_legacy_host():
    old = Asset(hostname="old", ip="10.0.0.1", port=22, username="deploy", legacy_algorithms=True)
    new = Asset(hostname="new", ip="10.0.0.3", port=22, username="deploy")
    found, modern = settings_of(ssh_line(old)), settings_of(ssh_line(new))
    for name in ("kexalgorithms", "hostkeyalgorithms", "ciphers", "macs", "pubkeyacceptedalgorithms"):
        assert set(found[name].split(",")) > set(modern[name].split(",")), name
    assert "ssh-rsa" in found["hostkeyalgorithms"].split(",")
    assert "diffie-hellman-group14-sha1" in found["kexalgorithms"].split(",")


@pytest.mark.found("ssh")
def test_ssh_command_for_legacy_jump_host():
    """-J would give it none. Each value is still one word, also two commands down."""
    far = Asset(hostname="far", ip="fd00::1", port=2222, username="a%h'b")
    near = Asset(hostname="near", ip="10.0.0.2", port=22, username="x; $(id)", jump_host=far, legacy_algorithms=True)
    line = ssh_line(Asset(hostname="h", ip="10.0.0.1", port=22, username="deploy", jump_host=near))
    proxy = settings_of(line)["proxycommand"].replace("%%", "%")
    words = shlex.split(proxy)
    assert words[-6:] == ["-W", "10.0.0.1:22", "-l", "x; $(id)", "--", "10.0.0.2"]
    assert words[words.index("-J") + 1] == "a%h'b@[fd00::1]:2222" and "HostKeyAlgorithms=+ssh-rsa" in words
    far.legacy_algorithms = True
    words = shlex.split(
        settings_of(ssh_line(Asset(hostname="h", ip="10.0.0.1", port=22, username="deploy", jump_host=near)))[
            "proxycommand"
        ].replace("%%", "%")
    )
    inner = next(word for word in words if word.startswith("ProxyCommand=")).removeprefix("ProxyCommand=")
    assert shlex.split(inner.replace("%%", "%"))[-6:] == ["-W", "10.0.0.2:22", "-l", "a%h'b", "--", "fd00::1"]
