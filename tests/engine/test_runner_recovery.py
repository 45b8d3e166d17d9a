"""How a run that died or was cut short comes to its end."""

import os
import signal

import pytest

from deployer.engine import program
from deployer.engine.journal import Kind, Result
from deployer.engine.program import Run

from .gate import WAIT, open_gate, wait_at
from .host import Host


@pytest.mark.parametrize("kept", [0, 1, 500, -1])
def test_cut_package_can_be_sent_again(running, kept):
    before = running.tree()
    run = running.run("upgrade", "v1", "v2")
    first = running.start(run, running.package("v2")[:kept]).over()
    assert first.end.result is Result.CUT, first.events
    assert running.tree() == before and running.logged == []
    second = running.start(Run(run.operation, run.fence, run.atom, "again")).over()
    assert second.end.result is Result.DONE
    assert second.events[0].seq == first.events[-1].seq + 1
    assert running.running == "v2"


def test_attach_cuts_run_that_waits_for_package(running):
    run = running.run("upgrade", "v1", "v2")
    first = running.start(run, running.package("v2")[:900], close=False)
    first.until(Kind.STARTED, "upload")
    assert running.attach(run).over().end.result is Result.CUT
    assert first.over().end.result is Result.CUT
    again = Run(run.operation, running.fence, run.atom, "again")
    assert running.start(again).over().end.result is Result.DONE


HELD = {
    "prepare": {},
    "upload": {},
    "pre": {"pre": f"echo pre >>$LOG; {WAIT}"},
    "stop": {"stop": f"echo $VERSION stop >>$LOG; rm $STATE; {WAIT}"},
    "start": {"start": "echo $VERSION start >>$LOG; printf $VERSION >$STATE; test $VERSION = v1 || { " + WAIT + "; }"},
    "check": {"check": "echo $VERSION check >>$LOG; test $VERSION = v1 || { " + WAIT + "; }"},
    "post": {"post": f"echo post >>$LOG; {WAIT}"},
}


def held(host: Host, step: str) -> dict:
    own = {"GATE": str(host.root / "gate"), "LOG": str(host.log), "STATE": str(host.root / "running")}
    hooks = {"pre": "echo pre >>$LOG", "pre_undo": "echo pre_undo >>$LOG", "post_undo": "echo post_undo >>$LOG"}
    return {"environment": own, **hooks, **HELD[step]}


def die(call) -> None:
    """Kill the runner and its watchdog, as when the memory is short; what they started lives on."""
    call.kill()
    call.process.wait(60)


@pytest.mark.parametrize("step", ["pre", "stop", "start", "check", "post"])
def test_run_that_died_in_step_is_undone(running, step):
    before = running.tree()
    run = running.run("upgrade", "v1", "v2", **held(running, step))
    first = running.start(run)
    wait_at(running)
    die(first)
    orphans = running.processes(first.process.pid)
    assert orphans, "nothing was left to be ended"
    call = running.attach(run).over()
    assert call.end.result is Result.UNDONE, (call.events, call.output)
    assert next(event.step for event in call.events if event.kind is Kind.FAILED) == step
    assert not running.processes(first.process.pid)
    assert running.tree("v2") == before
    assert running.running == "v1"
    assert (running.logged.count("pre_undo"), running.logged.count("post_undo")) == (1, int(step == "post"))
    assert running.logged.count("v2 start") <= 1
    assert running.attach(run).over().events[-1].result is Result.UNDONE, "attaching again changes nothing"


@pytest.mark.parametrize("what", ["attach", "start"])
def test_run_that_died_before_first_step_is_restarted(running, what):
    run = running.run("upgrade", "v1", "v2")
    first = running.start(run, running.package("v2")[:900], close=False)
    first.until(Kind.STARTED, "upload")
    die(first)
    assert running.attach(run).over().end.result is Result.CUT
    again = Run(run.operation, running.fence, run.atom, "again")
    assert running.start(again).over().end.result is Result.DONE


def test_dead_run_of_other_operation_is_settled_first(any_host):
    host = any_host
    assert host.carry_out("install", None, "v1").end.result is Result.DONE
    dead = host.run("upgrade", "v1", "v2", **held(host, "start"))
    first = host.start(dead)
    wait_at(host)
    die(first)
    log = len(host.logged)
    call = host.carry_out("upgrade", "v1", "v3")
    assert call.end.result is Result.DONE, (call.answer, call.noise, call.events)
    assert host.running == "v3"
    assert host.logged[log:] == ["pre_undo", "v1 stop", "v3 start", "v3 check"] or "v1 start" in host.logged[log:]
    settled = host.attach(dead).over()
    assert settled.end.result is Result.UNDONE
    assert not host.processes(first.process.pid)


def test_attach_finishes_interrupted_undo(running):
    before = running.tree()
    run = running.run(
        "upgrade",
        "v1",
        "v2",
        **{
            **held(running, "pre"),
            "pre": "true",
            "post": "false",
            "pre_undo": f"echo pre_undo >>$LOG; {WAIT}",
        },
    )
    first = running.start(run)
    wait_at(running)
    die(first)
    open_gate(running)
    call = running.attach(run).over()
    assert call.end.result is Result.UNDONE
    assert running.tree("v2") == before
    assert running.logged.count("v1 start") == 1, "what was undone already is not undone twice"


def test_run_that_died_after_last_step_is_done(running):
    run = running.run("upgrade", "v1", "v2")
    assert running.start(run).over().end.result is Result.DONE
    journal = running.folder / f".deployer/runs/{run.operation}/journal"
    whole = journal.read_bytes()
    journal.write_bytes(whole[: whole.rindex(b"\n", 0, -1) + 9])  # the last line is torn, as by a power cut
    call = running.attach(run).over()
    assert call.end.result is Result.DONE
    assert running.running == "v2"


def test_concurrent_attaches_undo_once(running):
    run = running.run("upgrade", "v1", "v2", **held(running, "post"))
    first = running.start(run)
    wait_at(running)
    die(first)
    calls = [running.attach(run, raised=int(not n)) for n in range(3)]
    assert [call.over().end.result for call in calls] == [Result.UNDONE] * 3
    assert running.logged.count("pre_undo") == 1 and running.logged.count("v1 start") == 1


def test_cancel_after_reboot_signals_no_process(running):
    run = running.run("upgrade", "v1", "v2", **held(running, "pre"))
    first = running.start(run)
    wait_at(running)
    os.killpg(first.process.pid, signal.SIGKILL)
    alive = running.folder / f".deployer/runs/{run.operation}/alive"
    bystander = running.start(running.run("upgrade", "v1", "v3", **held(running, "pre")), close=False)
    bystander.process.kill()
    # The number is that of a living process of ours, in another boot: it must not be touched.
    alive.write_text(f"{os.getpid()} 1 another-boot\n")
    assert running.attach(run).over().end.result is Result.UNDONE


def test_truncated_program_does_nothing(running):
    run = running.run("upgrade", "v1", "v2")
    text = program.start(run)
    for size in (0, 100, len(text) // 2, len(text) - 7):
        call = running.send(text[:size].ljust(0), run.nonce)
        call.over()
        assert not call.events
    assert running.start(run).over().end.result is Result.DONE
