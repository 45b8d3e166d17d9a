"""An operation carried out over real SSH: its steps, its package, its run on the host, and its cancellation."""

import os
import signal
import time

import pytest

from deployer.engine import program
from deployer.engine.journal import Kind
from deployer.engine.run import OutcomeKind, Package
from tests.engine.host import package
from tests.lab.busy import within
from tests.lab.network import wait_until
from tests.lab.relay import Relay
from tests.lab.sshd import Sshd

from .site import Site, Watching, in_thread
from .words import said


def test_upgrade_uses_one_connection(site):
    site.have("1.0")
    with Relay(site.sshd.address, site.sshd.port) as relay:
        outcome, watch = site.carry_out(site.host.run("upgrade", "1.0", "2.0", post="echo out; echo err >&2"), at=relay)
        assert relay.connections == 1
    assert outcome.kind is OutcomeKind.DONE
    assert watch.steps() == ["prepare", "upload", "unpack", "stop", "link", "start", "check", "post", "prune"]
    assert watch.told[-1].kind is Kind.END
    assert watch.data == b"out\nerr\n"
    assert watch.bytes_sent == len(site.host.package("2.0"))
    assert (site.host.running, site.host.current) == ("2.0", "releases/2.0")


def test_revert_to_present_release_sends_no_package(site):
    site.have("1.0")
    site.carry_out(site.host.run("upgrade", "1.0", "2.0"))
    never = Package("", 1, lambda: pytest.fail("opened"), likely_there=True)
    outcome, watch = site.carry_out(site.host.run("revert", "2.0", "1.0"), package=never)
    assert (outcome.kind, watch.bytes_sent, site.host.running) == (OutcomeKind.DONE, 0, "1.0")


def test_revert_to_missing_release_sends_package(site):
    site.have("2.0")
    stored = site.package("1.0", likely_there=True)
    outcome, watch = site.carry_out(site.host.run("revert", "2.0", "1.0"), package=stored)
    assert (outcome.kind, watch.bytes_sent, site.host.running) == (OutcomeKind.DONE, stored.size, "1.0")


def test_failed_step_restores_old_version(site):
    site.have("1.0")
    outcome, watch = site.carry_out(site.host.run("upgrade", "1.0", "2.0", post="echo no such queue; exit 9"))
    assert (outcome.kind, outcome.step) == (OutcomeKind.UNDONE, "post")
    assert "no such queue" in said(outcome)
    assert watch.steps(Kind.UNDONE)
    assert site.host.running == "1.0"


def test_failed_undo_names_what_is_left(site):
    site.have("1.0")
    run = site.host.run("upgrade", "1.0", "2.0", pre="true", pre_undo="exit 1", post="exit 9")
    outcome, _ = site.carry_out(run)
    assert outcome.kind is OutcomeKind.FAILED
    assert "pre" in said(outcome)


def test_delete_needs_no_package(site):
    site.have("1.0")
    outcome, _ = site.carry_out(site.host.run("delete", "1.0", None))
    assert (outcome.kind, site.host.running, site.host.current) == (OutcomeKind.DONE, "", "")


def test_damaged_package_changes_nothing(site):
    site.have("1.0")
    whole = site.host.package("2.0")
    for wrong in (whole[:-20], whole[:500] + b"x" * 50 + whole[550:], b"no archive at all"):
        outcome, _ = site.carry_out(site.host.run("upgrade", "1.0", "2.0"), package=site.package("2.0", wrong))
        assert outcome.kind in (OutcomeKind.NOT_STARTED, OutcomeKind.UNDONE)
        assert said(outcome)
        assert (site.host.running, site.host.current) == ("1.0", "releases/1.0")
        assert not (site.host.folder / "releases/2.0").exists()
    outcome, _ = site.carry_out(site.host.run("upgrade", "1.0", "2.0"), package=site.package("2.0", whole[:-20]))
    assert outcome.kind is OutcomeKind.NOT_STARTED and "damaged" in said(outcome)


def test_missing_package_is_reported(site):
    site.have("1.0")

    def gone():
        raise FileNotFoundError("secret-place")

    for stored in (Package("0" * 64, 10, gone), None):
        outcome, _ = site.carry_out(site.host.run("upgrade", "1.0", "2.0"), package=stored)
        assert outcome.kind is OutcomeKind.NOT_STARTED and "package" in said(outcome)
        assert "secret-place" not in said(outcome)
        assert site.host.running == "1.0"


def runner_of(site, run) -> int:
    return int((site.host.folder / f".deployer/runs/{run.operation}/alive").read_text().split()[0])


def test_killed_run_is_undone_and_reported(site):
    site.have("1.0")
    watch, run = Watching(), site.host.run("upgrade", "1.0", "2.0", post="sleep 20")
    thread, result = in_thread(lambda: site.carry_out(run, watch)[0])
    watch.until(Kind.STARTED, "post")
    os.kill(runner_of(site, run), signal.SIGKILL)
    thread.join(30)
    assert (result[0].kind, result[0].step) == (OutcomeKind.UNDONE, "post")
    assert site.host.running == "1.0"


def test_late_worker_is_refused_by_host(site):
    site.have("1.0")
    late, current = site.host.run("upgrade", "1.0", "2.0"), site.host.run("upgrade", "1.0", "3.0")
    assert site.carry_out(current)[0].kind is OutcomeKind.DONE
    for fresh in (True, False):
        outcome, watch = site.carry_out(late, fresh=fresh)
        assert (outcome.kind, outcome.message.params["fence"]) == (OutcomeKind.LOST, str(current.fence))
        assert not watch.told
    assert site.host.running == "3.0"


def test_lost_lease_leaves_run_alone(site):
    site.have("1.0")
    gate = site.host.root / "gate"
    post = f"until [ -e {gate} ]; do sleep 0.1; done; echo over"
    watch, run = Watching(), site.host.run("upgrade", "1.0", "2.0", post=post)
    thread, result = in_thread(lambda: site.carry_out(run, watch)[0])
    watch.until(Kind.STARTED, "post")
    watch.leave.set()
    thread.join(within(5))
    assert not thread.is_alive() and result[0].kind is OutcomeKind.LOST
    gate.touch()
    outcome, after = site.carry_out(run, fresh=False)
    assert (outcome.kind, after.data) == (OutcomeKind.DONE, b"over\n")


def test_watch_is_polled(site):
    site.have("1.0")
    _, watch = site.carry_out(site.host.run("upgrade", "1.0", "2.0", post="sleep 2"))
    gaps = [later - earlier for earlier, later in zip(watch.polled, watch.polled[1:], strict=False)]
    assert max(gaps) < 0.6


def test_start_is_never_repeated(site):
    site.have("1.0")
    run = site.host.run("upgrade", "1.0", "2.0")
    for fresh in (False, True, True, False):
        outcome, _ = site.carry_out(run, fresh=fresh)
        assert outcome.kind is OutcomeKind.DONE
    assert site.host.logged.count("2.0 start") == 1


def test_each_connection_has_its_own_nonce(site, monkeypatch):
    """What answers an earlier visit is no answer to this one: the model in docs/model found what happens otherwise."""
    site.have("1.0")
    nonces = []
    for name in ("start", "attach"):
        build = getattr(program, name)
        monkeypatch.setattr(
            program, name, lambda run, *a, build=build, **k: (nonces.append(run.nonce), build(run, *a, **k))[1]
        )
    run = site.host.run("upgrade", "1.0", "2.0")
    for fresh in (True, False, False):
        assert site.carry_out(run, fresh=fresh)[0].kind is OutcomeKind.DONE
    assert len(set(nonces)) == len(nonces) == 3


def test_run_waits_for_other_run_of_instance(site):
    site.have("1.0")
    first, second = site.host.run("upgrade", "1.0", "2.0", post="sleep 2"), site.host.run("upgrade", "2.0", "3.0")
    watch = Watching()
    thread, _ = in_thread(lambda: site.carry_out(first, watch)[0])
    watch.until(Kind.STARTED, "post")
    assert site.carry_out(second)[0].kind is OutcomeKind.DONE
    thread.join(20)
    assert site.host.running == "3.0"


@pytest.mark.parametrize("sessions", [10, 1])
def test_cancelled_operation_is_undone(tmp_path, sessions):
    with Sshd(tmp_path / "host", extra=f"MaxSessions {sessions}") as sshd:
        site = Site(sshd)
        site.have("1.0")
        watch, run = Watching(), site.host.run("upgrade", "1.0", "2.0", post="trap : TERM; while :; do sleep 1; done")
        thread, result = in_thread(lambda: site.carry_out(run, watch)[0])
        watch.until(Kind.STARTED, "post")
        start = time.monotonic()
        watch.cancel.set()
        thread.join(20)
        assert result[0].kind is OutcomeKind.CANCELLED
        assert time.monotonic() - start < within(10)
        assert site.host.running == "1.0"


def test_cancel_during_upload_ends_operation(site):
    site.host.packages["2.0"] = package("2.0", size=3_000_000)
    site.have("1.0")
    with Relay(site.sshd.address, site.sshd.port, latency=0.02) as relay:
        watch, run = Watching(), site.host.run("upgrade", "1.0", "2.0")
        thread, result = in_thread(lambda: site.carry_out(run, watch, at=relay)[0])
        wait_until(lambda: watch.bytes_sent > 500_000)
        watch.cancel.set()
        thread.join(20)
    assert result[0].kind is OutcomeKind.CANCELLED
    assert (site.host.running, site.host.current) == ("1.0", "releases/1.0")


def test_cancel_before_start_touches_nothing(site):
    with Relay(site.sshd.address, site.sshd.port) as relay:
        watch = Watching()
        watch.cancel.set()
        outcome, _ = site.carry_out(site.host.run("install", None, "1.0"), watch, at=relay)
        assert (outcome.kind, relay.connections) == (OutcomeKind.CANCELLED, 0)


def test_next_worker_ends_cancelled_operation(site):
    site.have("1.0")
    watch, run = Watching(), site.host.run("upgrade", "1.0", "2.0", post="sleep 30")
    thread, _ = in_thread(lambda: site.carry_out(run, watch)[0])
    watch.until(Kind.STARTED, "post")
    watch.leave.set()
    thread.join(30)
    after = Watching()
    after.cancel.set()
    outcome, _ = site.carry_out(run, after, fresh=False)
    assert (outcome.kind, site.host.running) == (OutcomeKind.CANCELLED, "1.0")
