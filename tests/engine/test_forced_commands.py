"""Accounts that run another command than requested: reported at the first answer, by check and by operations."""

import pytest

from deployer.engine import deadlines
from deployer.engine.codes import Code
from deployer.engine.probe import probe
from deployer.engine.run import OutcomeKind, carry_out
from messages.texts import TEXTS
from tests.lab.sshd import Sshd

from .site import QUICK, Site, Watching
from .ssh_client import check, endpoint_of
from .words import next_step, said

pytestmark = pytest.mark.found("ssh")

INSTEAD = {
    "a greeting": "echo Welcome to the gate",
    "git-shell": 'git-shell -c \\"$SSH_ORIGINAL_COMMAND\\"',
    "nologin": "/usr/sbin/nologin",
    "false": "/bin/false",
    "internal-sftp": "internal-sftp",
    "a menu": "printf '1) status\\n2) quit\\nchoice: '; read line; echo no such choice; exit 1",
    "an echo": "cat",
    "an echo of errors": "cat >&2",
    "a status of ours": "exit 42",
    "another status of ours": "exit 44",
}

# Of these the words are known, and say more.
KNOWN = {"git-shell": Code.LIMITED_SHELL, "nologin": Code.ACCOUNT_LOCKED, "internal-sftp": Code.LIMITED_SHELL}


def logins(host) -> int:
    return host.log().count("Accepted publickey")


@pytest.fixture(params=INSTEAD)
def forced(request, tmp_path):
    with Sshd(tmp_path / "host") as host:
        keys = host.folder / "authorized_keys"
        keys.write_text(f'command="{INSTEAD[request.param]}" {keys.read_text()}')
        yield host, request.param


@pytest.mark.parametrize("sudo", [False, True], ids=["as itself", "sudo"])
def test_operation_reports_forced_command_at_once(forced, monkeypatch, sudo):
    host, name = forced
    monkeypatch.setattr(deadlines, "FIRST", 2.0)  # for what waits for input and does not end
    site, watch = Site(host), Watching()
    run = site.host.run("install", None, "1.0")
    outcome = carry_out(run, site.endpoint(), sudo, site.package("1.0"), watch, fresh=True, patience=20, limits=QUICK)
    assert outcome.kind is OutcomeKind.NOT_STARTED, outcome
    assert logins(host) == 1
    if name in KNOWN:
        assert said(outcome).startswith(str(TEXTS[f"operation.{KNOWN[name]}"].says)) and outcome.code == KNOWN[name]
    else:
        assert "Something else ran in place of the program" in said(outcome) and "forced command" in said(outcome)
        assert outcome.code == Code.NOT_RUN
    assert "NOPASSWD" not in said(outcome)
    assert not watch.told and not site.host.folder.exists()
    if name in ("a greeting", "nologin"):
        assert {"a greeting": "Welcome to the gate", "nologin": "not available"}[name] in said(outcome)


def test_host_check_reports_forced_command(forced):
    host, name = forced
    found = probe(endpoint_of(host), str(host.root), False, deadline=5)
    assert (found.authenticated, found.ready) == (True, False)
    if name in KNOWN:
        assert next_step(found) == TEXTS[f"operation.{KNOWN[name]}"].hint
        return
    assert "Something else ran in place of the program" in said(found)
    assert "ForceCommand" in next_step(found) and "authorized_keys" in next_step(found)
    if name in ("a greeting", "a menu"):
        assert {"a greeting": "Welcome to", "a menu": "no such choice"}[name] in said(found)


def test_reports_force_command_in_sshd_config(tmp_path):
    with Sshd(tmp_path / "host", extra="ForceCommand echo maintenance, come back later") as host:
        site = Site(host)
        outcome, _ = site.carry_out(site.host.run("install", None, "1.0"), patience=60)
        assert outcome.kind is OutcomeKind.NOT_STARTED and "maintenance, come back later" in said(outcome)
        assert logins(host) == 1


def test_retries_account_locked_during_run(tmp_path):
    """What was begun may be under way, so nothing is concluded before patience is over; but not 200 log-ins."""
    with Sshd(tmp_path / "host") as host:
        site = Site(host)
        keys = host.folder / "authorized_keys"
        keys.write_text(f'command="echo no more" {keys.read_text()}')
        outcome, _ = site.carry_out(site.host.run("install", None, "1.0"), fresh=False, patience=6)
        assert outcome.kind is OutcomeKind.UNKNOWN and "Something else ran" in said(outcome)
        assert logins(host) < 10


def test_forced_command_may_run_original_command(tmp_path):
    with Sshd(tmp_path / "host") as host:
        keys = host.folder / "authorized_keys"
        keys.write_text(f'command="echo hello >&2; exec sh -c \\"$SSH_ORIGINAL_COMMAND\\"" {keys.read_text()}')
        site = Site(host)
        site.have("1.0")
        assert check(endpoint_of(host), host.root).ready
