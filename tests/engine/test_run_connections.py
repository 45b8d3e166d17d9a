"""An operation carried out over real SSH while its connection is cut, falls silent, or is refused."""

import threading
import time

import pytest

from deployer.engine import decisions
from deployer.engine.journal import Kind
from deployer.engine.run import OutcomeKind
from tests.engine.host import package
from tests.lab.busy import within
from tests.lab.network import wait_until
from tests.lab.relay import Relay

from .site import Watching, in_thread
from .words import said

NOISY = "i=0; while [ $i -lt 300 ]; do echo line $i of the output; i=$((i+1)); done"


def test_connection_cut_at_any_byte_is_harmless(site):
    """And a second time a little later: in the key exchange, log-in, program, package, output and end."""
    site.have("0")
    usual = "".join(f"line {i} of the output\n" for i in range(300)).encode()
    old, cuts = "0", [*range(300, 6000, 1300), *range(9000, 56_000, 8500)]
    met = 0
    for number, limit in enumerate(cuts, 1):
        new = str(number)
        with Relay(site.sshd.address, site.sshd.port, cuts=[limit, limit + 700]) as relay:
            outcome, watch = site.carry_out(site.host.run("upgrade", old, new, post=NOISY), at=relay)
            met += relay.cut_count
        assert outcome.kind is OutcomeKind.DONE, (limit, outcome, watch.told)
        printed = watch.data.rpartition(b"[started again]\n")[2]  # before it: that a package was cut short
        assert (site.host.running, printed) == (new, usual), limit
        assert site.host.logged.count(f"{new} start") == site.host.logged.count(f"{old} stop") == 1
        old = new
    assert met > len(cuts), "the relay cut too little to show anything"


def test_reconnects_after_cut_in_upload(site):
    site.host.packages["2.0"] = package("2.0", size=3_000_000)
    site.have("1.0")
    with Relay(site.sshd.address, site.sshd.port, cuts=[1_000_000, 2_000_000]) as relay:
        outcome, watch = site.carry_out(site.host.run("upgrade", "1.0", "2.0"), at=relay)
        assert relay.cut_count == 2
    assert (outcome.kind, site.host.running) == (OutcomeKind.DONE, "2.0")
    assert watch.bytes_sent > len(site.host.packages["2.0"])


def test_reconnects_after_silence_in_upload(site):
    site.host.packages["2.0"] = package("2.0", size=3_000_000)
    site.have("1.0")
    with Relay(site.sshd.address, site.sshd.port) as relay:
        watch = Watching()
        watch.sent = lambda count: None if relay.connections > 1 else relay.frozen.set()
        thawing = threading.Timer(3, relay.frozen.clear)
        thawing.start()
        start = time.monotonic()
        outcome, watch = site.carry_out(site.host.run("upgrade", "1.0", "2.0"), watch, at=relay)
        assert relay.connections > 1
    assert (outcome.kind, site.host.running) == (OutcomeKind.DONE, "2.0")
    assert time.monotonic() - start < 25


@pytest.mark.parametrize("step", ["stop", "start", "check", "post"])
def test_killed_sshd_during_step_is_harmless(site, step):
    site.have("1.0")
    slow = f"echo {step} begins; sleep 1; echo {step} ends"
    spec = site.host.spec()
    commands = {"stop": spec.stop, "start": spec.start, "check": spec.check, "post": "true"}
    watch, run = Watching(), site.host.run("upgrade", "1.0", "2.0", **{step: f"{slow}; {commands[step]}"})
    thread, result = in_thread(lambda: site.carry_out(run, watch)[0])
    watch.until(Kind.STARTED, step)
    time.sleep(0.2)
    site.sshd.drop_connections()
    thread.join(30)
    assert result[0].kind is OutcomeKind.DONE
    assert site.host.running == "2.0"
    assert watch.data == f"{step} begins\n{step} ends\n".encode()
    assert site.host.logged.count("2.0 start") == 1


def test_output_is_not_repeated_after_cut(site):
    site.have("1.0")
    watch, run = Watching(), site.host.run("upgrade", "1.0", "2.0", post="echo one; sleep 3; echo two")
    thread, result = in_thread(lambda: site.carry_out(run, watch)[0])
    wait_until(lambda: watch.data, what="some output")
    site.sshd.drop_connections()
    thread.join(30)
    assert (result[0].kind, watch.data) == (OutcomeKind.DONE, b"one\ntwo\n")


def test_waits_for_frozen_host(site):
    site.have("1.0")
    watch, run = Watching(), site.host.run("upgrade", "1.0", "2.0", post="sleep 1; echo late")
    thread, result = in_thread(lambda: site.carry_out(run, watch)[0])
    watch.until(Kind.STARTED, "post")
    site.sshd.freeze()
    time.sleep(3)
    site.sshd.thaw()
    thread.join(30)
    assert (result[0].kind, watch.data) == (OutcomeKind.DONE, b"late\n")


def test_lost_host_leaves_operation_unknown(site):
    site.have("1.0")
    with Relay(site.sshd.address, site.sshd.port) as relay:
        watch, run = Watching(), site.host.run("upgrade", "1.0", "2.0", post="echo one; sleep 3; echo two")
        thread, result = in_thread(lambda: site.carry_out(run, watch, at=relay, patience=1.5)[0])
        watch.until(Kind.STARTED, "post")
        wait_until(lambda: watch.data)
        relay.refusing.set()
        relay.cut()
        thread.join(20)
    assert result[0].kind is OutcomeKind.UNKNOWN
    next_one = Watching(output_from=len(watch.data))
    outcome, _ = site.carry_out(
        run, next_one, fresh=False, journal_from=watch.told[-1].seq, output_from=len(watch.data)
    )
    assert (outcome.kind, watch.data + next_one.data) == (OutcomeKind.DONE, b"one\ntwo\n")
    assert next_one.told[0].seq == watch.told[-1].seq + 1
    assert site.host.logged.count("2.0 start") == 1


def test_absent_host_leaves_operation_not_started(site, monkeypatch):
    monkeypatch.setattr(decisions, "FIRST_TRIES", 2.0)
    site.have("1.0")
    run = site.host.run("upgrade", "1.0", "2.0")
    with Relay(site.sshd.address, site.sshd.port) as relay:
        relay.refusing.set()
        start = time.monotonic()
        outcome, _ = site.carry_out(run, at=relay)
        assert 2 < time.monotonic() - start < within(8)
    assert outcome.kind is OutcomeKind.NOT_STARTED
    assert "Nothing was changed" in said(outcome)
    assert site.host.running == "1.0"
