"""Cancel, time limits and output without end."""

import os
import signal
import time
from pathlib import Path

import pytest

from deployer.engine.journal import Kind, Result
from tests.lab.busy import within
from tests.lab.network import wait_until

from .gate import WAIT, gated, wait_at
from .host import Host
from .words import said

STUBBORN = {
    "waits": WAIT,
    "ignores TERM": f"trap '' TERM; {WAIT}",
    "forks while it is being killed": f"trap 'for i in 1 2 3; do sleep 300 & done' TERM; {WAIT}",
    "left its parent": f"(sleep 300 & sleep 300 &); {WAIT}",
    "left its session": f"setsid sleep 300 & {WAIT}",
}


def nobody_lives(host: Host, pid: int, seconds: float = 1.5) -> None:
    deadline = time.monotonic() + seconds
    while left := host.processes(pid):
        assert time.monotonic() < deadline, left
        time.sleep(0.05)


@pytest.mark.parametrize("how", STUBBORN)
def test_cancel_ends_processes_and_undoes(running, how):
    before = running.tree()
    undo = {"pre": "true", "pre_undo": f"echo pre_undo >>{running.log}"}
    run = running.run(
        "upgrade",
        "v1",
        "v2",
        **gated(running, **undo, steps=[{"name": "long", "before": "start", "run": STUBBORN[how]}]),
    )
    first = running.start(run)
    wait_at(running)
    marker = running.folder / f".deployer/runs/{run.operation}/alive"
    began = time.monotonic()
    second = running.attach(run, cancel=True).over()
    assert time.monotonic() - began < within(10)
    assert first.over().end.result is Result.FAILED, "the step has no undo"
    assert said(second.end) == "Not undone: long."
    nobody_lives(running, first.process.pid)
    assert not running.holders(marker)
    assert running.tree("v2") == before and running.running == "v1"
    assert "pre_undo" in running.logged


def test_undone_cancel_ends_cancelled(running):
    run = running.run("upgrade", "v1", "v2", **gated(running, pre=WAIT))
    first = running.start(run)
    wait_at(running)
    assert running.attach(run, cancel=True).over().end.result is Result.CANCELLED
    failed = next(event for event in first.over().events if event.kind is Kind.FAILED)
    assert (failed.step, said(failed)) == ("pre", "cancelled")


def test_cancel_ends_start_command(running):
    stuck = "printf $VERSION >$STATE; test $VERSION = v1 || { " + WAIT + "; }"
    environment = {"GATE": str(running.root / "gate"), "STATE": str(running.root / "running")}
    run = running.run("upgrade", "v1", "v2", start=stuck, environment=environment)
    first = running.start(run)
    wait_at(running)
    assert running.attach(run, cancel=True).over().end.result is Result.CANCELLED
    nobody_lives(running, first.process.pid)
    assert running.running == "v1"


def test_cancel_during_upload_leaves_nothing(running):
    run = running.run("upgrade", "v1", "v2")
    first = running.start(run, running.package("v2")[:900], close=False)
    first.until(Kind.STARTED, "upload")
    assert running.attach(run, cancel=True).over().end.result is Result.CANCELLED
    assert sorted(path.name for path in (running.folder / "releases").iterdir()) == ["v1"]


def test_cancel_after_end_changes_nothing(running):
    run = running.run("upgrade", "v1", "v2")
    assert running.start(run).over().end.result is Result.DONE
    assert running.attach(run, cancel=True).over().end.result is Result.DONE
    assert running.running == "v2"


def test_undo_cannot_be_cancelled(running):
    undo = f"{WAIT}; echo pre_undo >>{running.log}"
    run = running.run("upgrade", "v1", "v2", **gated(running, pre="true", pre_undo=undo, post="false"))
    first = running.start(run)
    wait_at(running)
    second = running.attach(run, cancel=True)
    time.sleep(2.2)
    (running.root / "gate").touch()
    assert second.over().end.result is Result.UNDONE
    assert first.over().end.result is Result.UNDONE
    assert "pre_undo" in running.logged


@pytest.mark.parametrize(
    "limits, words",
    [
        ({"step_timeout": 1}, "ended after 1 s"),
        ({"idle_timeout": 1}, "ended after 1 s without output"),
    ],
)
def test_hung_command_is_ended(running, limits, words):
    before = running.tree()
    call = running.carry_out("upgrade", "v1", "v2", post="sleep 300", limits=limits)
    assert call.end.result is Result.UNDONE, (call.events, call.output)
    failed = next(event for event in call.events if event.kind is Kind.FAILED)
    assert (failed.step, said(failed)) == ("post", words)
    assert running.tree("v2") == before and running.running == "v1"
    nobody_lives(running, call.process.pid)


def test_printing_command_is_not_idle(running):
    speaks = "for i in 1 2 3 4 5 6; do echo $i; sleep 0.4; done"
    assert running.carry_out("upgrade", "v1", "v2", post=speaks, limits={"idle_timeout": 1}).end.result is Result.DONE


def test_hung_check_is_ended(running):
    call = running.carry_out("upgrade", "v1", "v2", check="test $VERSION = v1 || sleep 300", check_timeout=1)
    assert call.end.result is Result.UNDONE
    assert running.running == "v1"


def test_hung_undo_is_ended_and_named(running):
    call = running.carry_out(
        "upgrade", "v1", "v2", pre="true", pre_undo="sleep 300", post="false", limits={"step_timeout": 1}
    )
    assert (call.end.result, said(call.end)) == (Result.FAILED, "Not undone: pre.")
    assert running.running == "v1"


def test_output_is_shown_while_command_runs(running):
    run = running.run("upgrade", "v1", "v2", **gated(running, pre=f"echo early; {WAIT}; echo late"))
    first = running.start(run)
    deadline = time.monotonic() + within(10)
    while first.output != b"early\n":
        assert time.monotonic() < deadline, first.output
        time.sleep(0.05)
    (running.root / "gate").touch()
    assert first.over().end.result is Result.DONE
    assert first.output == b"early\nlate\n"
    assert first.end.output_size == len(first.output)


@pytest.mark.parametrize("slow", ["", "; sleep 2.5"])
def test_endless_output_is_cut_to_head_and_tail(running, slow):
    flood = "yes out | head -c 100000000 & yes err | head -c 100000000 >&2; wait; printf 'the last words'" + slow
    limits = {"output_head": 100_000, "output_tail": 5_000}
    run = running.run("upgrade", "v1", "v2", pre=flood, limits=limits)
    first = running.start(run).over(60)
    assert first.end.result is Result.DONE
    head, marker, tail = first.output.partition(b"\n[... about ")
    assert len(head) == 100_000 and marker
    left_out, _, tail = tail.partition(b" bytes left out ...]\n")
    assert int(left_out) + len(head) + len(tail) == pytest.approx(200_000_014, rel=0.1)
    assert len(tail) == 5_000 and tail.endswith(b"the last words")
    assert first.end.output_size == len(first.output)
    again = running.attach(run, output_from=99_990).over()
    assert again.output == first.output[99_990:]
    assert (running.folder / f".deployer/runs/{run.operation}/output").stat().st_size == len(first.output)


def test_unread_output_does_not_block(running):
    run = running.run("upgrade", "v1", "v2", pre="yes | head -c 3000000")
    first = running.start(run, unread=True)
    # An attach that comes before it holds the lock for a moment, and the start would be told that the host is busy.
    wait_until((running.folder / f".deployer/runs/{run.operation}/journal").exists)
    while not running.attach(run, raised=0).over().events:
        time.sleep(0.1)
    call = running.attach(run, output_from=2_999_990).over()
    assert call.end.result is Result.DONE
    assert call.output == b"y\n" * 5
    first.process.kill()


def test_cancel_works_without_watchdog(running):
    run = running.run("upgrade", "v1", "v2", **gated(running, pre=WAIT))
    first = running.start(run)
    wait_at(running)
    kill_watchdog(running, first.process.pid)
    assert running.attach(run, cancel=True).over().end.result is Result.CANCELLED
    assert first.over().end.result is Result.CANCELLED


def kill_watchdog(host: Host, pid: int) -> None:
    for each in host.processes(pid):
        command = Path(f"/proc/{each}/cmdline").read_bytes()
        if command.startswith(b"sleep\x001\x00"):
            parent = int(Path(f"/proc/{each}/stat").read_text().rpartition(") ")[2].split()[1])
            if parent != pid:
                os.kill(parent, signal.SIGKILL)
                return
    raise AssertionError("no watchdog found")
