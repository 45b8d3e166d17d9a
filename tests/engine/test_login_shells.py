"""Login shells that print, that take long, or that run nothing: over real SSH, with their start-up files."""

import os
import pwd
import time
from dataclasses import replace

import pytest

from deployer.engine import deadlines
from deployer.engine.codes import Code
from deployer.engine.journal import OutputReader
from deployer.engine.probe import probe
from deployer.engine.run import OutcomeKind, carry_out
from tests.engine.site import QUICK, Site, Watching
from tests.lab.busy import within
from tests.lab.relay import Relay
from tests.lab.sshd import Sshd

from .ssh_client import check
from .words import next_step, said, warnings

pytestmark = [
    pytest.mark.found("output"),
    pytest.mark.skipif(
        not pwd.getpwuid(os.getuid()).pw_shell.endswith("bash"), reason="the login shell of this user is not bash"
    ),
]


@pytest.fixture
def shell(tmp_path):
    """`shell("echo hello")`: a site whose login shell does that before any command."""
    started = []

    def site(start_up: str) -> Site:
        # bash reads it where sshd starts it, also for a command.
        sshd = Sshd(tmp_path / f"host{len(started)}")
        (sshd.folder / ".bashrc").write_text(f"{start_up}\n")
        started.append(sshd)
        sshd.start()
        return Site(sshd)

    yield site
    for sshd in started:
        sshd.__exit__()


GREETING = "Welcome to web1!\n\nLast login: Monday"
TALK = f"printf '%s' '{GREETING}'; printf '%s\\n' 'also here' >&2"
STEPS = {"post": "echo from post; echo err >&2", "steps": [{"name": "own", "before": "link", "run": "seq 1 2000"}]}
EXPECTED = b"".join(b"%d\n" % n for n in range(1, 2001)) + b"from post\nerr\n"


def test_greeting_is_not_output(shell):
    site = shell(TALK)
    outcome, watch = site.carry_out(site.host.run("install", None, "1.0", **STEPS))
    assert outcome.kind is OutcomeKind.DONE
    assert watch.data == EXPECTED
    printed = {event.step: event.printed for event in watch.told if event.printed is not None}
    assert watch.data[printed["own"] :].startswith(b"1\n2\n") and watch.data[printed["post"] :] == b"from post\nerr\n"


@pytest.mark.parametrize("greeting", ["seq 1 20000", TALK, "printf '@n1 output'"], ids=["long", "no end", "a mark"])
def test_output_continues_after_cut_despite_greeting(shell, greeting):
    site = shell(greeting)
    run = site.host.run("install", None, "1.0", **STEPS | {"post": f"seq 5000 6000; {wait_for(site)}; seq 6001 7000"})
    with Relay(site.sshd.address, site.sshd.port) as relay:
        watch = Watching()
        original = watch.output

        def output(start, data):
            original(start, data)
            if b"6000\n" in watch.data and not getattr(watch, "cut", False):
                watch.cut = True
                relay.cut()
                (site.host.root / "go").touch()

        watch.output = output
        outcome, _ = site.carry_out(run, watch, at=relay)
    assert outcome.kind is OutcomeKind.DONE and watch.cut
    assert watch.data == EXPECTED.replace(b"from post\nerr\n", b"".join(b"%d\n" % n for n in range(5000, 7001)))


def wait_for(site) -> str:
    return f"while [ ! -e {site.host.root}/go ]; do sleep 0.1; done"


def test_output_mark_is_found_across_reads():
    for cut in range(20):
        shown = OutputReader("n1")
        whole = b"hello @n1 outpu @n1 output\nreal @n1 output\n"
        assert shown.feed(whole[:cut]) + shown.feed(whole[cut:]) == b"real @n1 output\n"
        assert shown.noise == b"hello @n1 outpu "


def test_host_check_warns_of_printing_shell(shell):
    site = shell(f"seq 1 30000; {TALK}")
    found = check(site.endpoint(), site.sshd.root)
    assert found.ready, found
    (warning,) = warnings(found)
    assert "prints" in warning and "168930 bytes" in warning and "interactive" in warning
    assert "Last login: Monday" in warning


def test_host_check_accepts_silent_shell(sshd):
    assert not check(Site(sshd).endpoint(), sshd.root).warnings


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [12, 35])
def test_waits_for_slow_login_shell(shell, seconds):
    site = shell(f"sleep {seconds}")
    outcome, watch = site.carry_out(site.host.run("install", None, "1.0", post="echo done"), limits=SLOW)
    assert outcome.kind is OutcomeKind.DONE and watch.data == b"done\n"
    assert deadlines.needed(site.endpoint().where) >= seconds


SLOW = replace(QUICK, silence=20)


@pytest.mark.slow
def test_shell_timeout_grows_as_needed(shell, monkeypatch):
    monkeypatch.setattr(deadlines, "FIRST", 1.0)
    site = shell("sleep 5")
    run = site.host.run("install", None, "1.0")
    tries = 0
    while True:
        tries += 1
        assert tries < 8, "it converges"
        kind = {"fresh": tries == 1, "patience": 0.5, "limits": SLOW}
        outcome = carry_out(run, site.endpoint(), False, site.package("1.0"), Watching(), **kind)
        if outcome.kind is OutcomeKind.DONE:
            break
        assert outcome.code == Code.SLOW_SHELL and "started no command within" in said(outcome)
    assert 4 < deadlines.needed(site.endpoint().where) <= 40


def test_shell_timeout_is_bounded_and_shrinks():
    where = "pace.test:22"
    for _ in range(20):
        deadlines.gave_up(where, deadlines.patience(where))
    assert deadlines.patience(where) == deadlines.MOST and deadlines.for_check(where) == deadlines.MOST_FOR_CHECK
    for _ in range(20):
        deadlines.took(where, 0.2)
    assert (deadlines.patience(where), deadlines.for_check(where)) == (deadlines.FIRST, 0.0)
    assert deadlines.before_cancel(where) == deadlines.BEFORE_CANCEL
    for number in range(deadlines.MOST_HOSTS + 10):
        deadlines.took(f"{number}.test", 2)
    assert len(deadlines._needed) == deadlines.MOST_HOSTS
    deadlines._needed.clear()


def test_host_check_reports_slow_shell(shell):
    site = shell("sleep 6")
    began = time.monotonic()
    found = probe(site.endpoint(), str(site.sshd.root), False, deadline=4)
    assert time.monotonic() - began < within(9)
    assert found.reachable and found.authenticated and not found.ready
    assert "login shell did not start" in said(found) and "Check again" in next_step(found)
    found = probe(site.endpoint(), str(site.sshd.root), False, deadline=4)
    assert found.ready and found.shell_seconds >= 6, found
    assert "takes 6 s" in " ".join(warnings(found)) or "takes 7 s" in " ".join(warnings(found))


EXPIRED = "echo 'WARNING: Your password has expired.'; echo 'Password change required but no TTY available.'; exit 1"


@pytest.mark.parametrize(
    ("start_up", "code", "words"),
    [
        (EXPIRED, Code.PASSWORD_EXPIRED, "password on the host has expired"),
        ("echo 'This account is currently not available.'; exit 1", Code.ACCOUNT_LOCKED, "has no login shell"),
        ("echo 'sudo: sorry, you must have a tty to run sudo' >&2; exit 1", Code.SUDO_TTY, "requiretty"),
        ("echo 'See 404 Not Found'; exit 1", Code.NOT_RUN, "Something else ran in place of the program"),
    ],
)
def test_error_quotes_host_output(shell, start_up, code, words):
    site = shell(start_up)
    outcome, watch = site.carry_out(site.host.run("install", None, "1.0"))
    assert (outcome.kind, outcome.code) == (OutcomeKind.NOT_STARTED, code)
    assert words in said(outcome) and watch.data == b"", "the host's greeting is not the service's output"
    if code is not Code.NOT_RUN:
        found = check(site.endpoint(), site.sshd.root)
        assert found.reachable and not found.ready and words in said(found) and next_step(found)


def test_known_refusal_has_own_text(tmp_path):
    """As where PAM ends the log-in of an expired account: its sentence comes in the banner, and no more is said."""
    banner = tmp_path / "banner"
    banner.write_text("Your account has expired; please contact your system administrator.\n")
    with Sshd(tmp_path / "host", extra=f"Banner {banner}\nPubkeyAuthentication no") as sshd:
        site = Site(sshd)
        outcome, _ = site.carry_out(site.host.run("install", None, "1.0"))
    assert (outcome.kind, outcome.code) == (OutcomeKind.NOT_STARTED, Code.ACCOUNT_EXPIRED)
    assert "account on the host has expired" in said(outcome)


def test_other_hosts_name_excludes_greeting(shell):
    site = shell("echo Welcome to the gate")
    site.host.base.mkdir(exist_ok=True)
    (site.host.base / ".deployer-host").write_text("7-100 web1\n")
    run = replace(site.host.run("install", None, "1.0"), mark="8-100 web2")
    outcome, _ = site.carry_out(run)
    assert outcome.code == Code.OTHER_HOST and "to another host: web1." in said(outcome), outcome
