"""Who may start a run, how it is followed, and how one that died or was cut short comes to its end."""

import os
import signal
import threading
import time

import pytest

from deployer.engine import program
from deployer.engine.journal import Kind, Result
from deployer.engine.program import Answer, Run
from tests.lab.busy import within
from tests.storm.places import SmallDisk

from .host import Host

WAIT = "touch $GATE.at; while [ ! -e $GATE ]; do sleep 0.05; done"


def gated(host: Host, **changes) -> dict:
    """A service whose steps can be held up: a command that waits for the file $GATE."""
    return {"environment": {"GATE": str(host.root / "gate")}, **changes}


def wait_at(host: Host, seconds: float = 10) -> None:
    deadline = time.monotonic() + within(seconds)
    while not (host.root / "gate.at").exists():
        assert time.monotonic() < deadline, "never came to the gate"
        time.sleep(0.005)


def open_gate(host: Host) -> None:
    (host.root / "gate").touch()


def test_lower_fence_is_refused(running):
    late = running.run("upgrade", "v1", "v2")
    assert running.carry_out("upgrade", "v1", "v2").end.result is Result.DONE
    call = running.start(late).over()
    assert (call.answer, call.events) == (Answer.LOWER_FENCE, [])
    assert call.about == "3", "the highest fence that the host has seen"
    assert running.attach(late, raised=-1).over().answer == Answer.LOWER_FENCE
    assert running.running == "v2"


def test_run_is_never_carried_out_twice(running):
    run = running.run("upgrade", "v1", "v2")
    assert running.start(run).over().end.result is Result.DONE
    log = running.logged
    assert running.start(run).over().answer == Answer.EXISTS
    assert running.logged == log


def test_attach_to_unknown_run_answers_no_run(running, host):
    run = running.run("upgrade", "v1", "v2")
    assert running.attach(run).over().answer == Answer.NO_RUN


def test_empty_host_answers_no_run(host):
    assert host.attach(host.run("install", None, "v1")).over().answer == Answer.NO_RUN
    assert not host.folder.exists()


def test_unwritable_folder_answers_cannot_write(host):
    host.base.write_text("a file where a folder should be")
    assert host.start(host.run("install", None, "v1")).over().answer == Answer.CANNOT_WRITE


def test_read_only_disk_answers_cannot_write(tmp_path):
    disk = SmallDisk(tmp_path / "disk")
    if not disk.made:
        pytest.skip("mounting a small file system needs root")
    host = Host(tmp_path / "disk" / "host")
    try:
        assert host.carry_out("install", None, "v1").end.result is Result.DONE
        upgrade = host.run("upgrade", "v1", "v2")
        disk.read_only()
        assert host.start(upgrade).over().answer == Answer.CANNOT_WRITE
        assert (host.running, host.current) == ("v1", "releases/v1")
        disk.read_only(False)
        assert host.carry_out("upgrade", "v1", "v2").end.result is Result.DONE
    finally:
        host.end()
        disk.end()


def test_missing_tool_is_named(host):
    for tool in ("dd", "setsid", "mkdir"):
        (host.tools / tool).symlink_to(f"/usr/bin/{tool}")
    call = host.start(host.run("install", None, "v1"), PATH=str(host.tools)).over()
    assert (call.answer, call.about) == (Answer.NO_TOOL, "flock")


def test_second_operation_answers_busy(running):
    first = running.start(running.run("upgrade", "v1", "v2", **gated(running, pre=WAIT)))
    wait_at(running)
    assert running.carry_out("upgrade", "v1", "v3").answer == Answer.BUSY
    open_gate(running)
    assert first.over().end.result is Result.DONE


def test_concurrent_starts_run_once(running):
    run = running.run("upgrade", "v1", "v2")
    calls = [running.start(Run(run.operation, run.fence, run.atom, f"n{n}")) for n in range(4)]
    answers = sorted(call.over().answer for call in calls)
    assert answers[0] == Answer.OVER and set(answers[1:]) <= {Answer.EXISTS, Answer.BUSY}
    assert running.logged.count("v2 start") == 1


def test_attach_shows_whole_run(any_host):
    host = any_host
    assert host.carry_out("install", None, "v1").end.result is Result.DONE
    noisy = {"stop": f"echo one; {WAIT}; echo two; rm {host.root}/running"}
    run = host.run("upgrade", "v1", "v2", **gated(host, **noisy))
    first = host.start(run)
    wait_at(host)
    second, third = host.attach(run), host.attach(run, journal_from=3, output_from=2, raised=0)
    second.until(Kind.STARTED, "stop")
    time.sleep(0.3)
    open_gate(host)
    for call in (first, second, third):
        assert call.over().end.result is Result.DONE
    assert second.events == first.events
    assert third.events == first.events[3:]
    assert first.output == second.output == b"one\ntwo\n"
    assert third.output == b"e\ntwo\n"
    assert first.end.output_size == 8
    after = host.attach(run, journal_from=0, output_from=4).over()
    assert (after.events, after.output) == (first.events, b"two\n")


def test_cut_channel_is_harmless(running):
    run = running.run("upgrade", "v1", "v2", **gated(running, pre=f"echo before; {WAIT}; echo after"))
    running.start(run, deaf=True)
    wait_at(running)
    open_gate(running)
    call = running.attach(run).over()
    assert call.end.result is Result.DONE
    assert call.output == b"before\nafter\n"


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
    """The runner and its watchdog go, as when the memory is short; what they had started lives on."""
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
    assert running.attach(run).over().events[-1].result is Result.UNDONE, "and that is the end of it"


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
    told = host.attach(dead).over()
    assert told.end.result is Result.UNDONE
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


def test_only_newest_runs_are_kept(running):
    runs = running.folder / ".deployer/runs"
    for number in range(900, 935):
        (runs / str(number)).mkdir()
    run = running.run("upgrade", "v1", "v2", operation=1000)
    assert running.start(run).over().end.result is Result.DONE
    left = sorted(int(path.name) for path in runs.iterdir())
    assert len(left) == 20 and left[-1] == 1000 and left[0] == 916


def test_service_does_not_hold_lock(running):
    start = f"setsid sh -c 'sleep 30' & echo $! >{running.root}/pid; printf $VERSION >{running.root}/running"
    call = running.carry_out("upgrade", "v1", "v2", start=start)
    assert call.end.result is Result.DONE
    pid = int((running.root / "pid").read_text())
    try:
        os.kill(pid, 0)
        links = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
        assert not [link for link in links if "lock" in link or "alive" in link or "pipe" in link]
        assert running.carry_out("upgrade", "v2", "v3").end.result is Result.DONE
        os.kill(pid, 0)
    finally:
        os.kill(pid, signal.SIGKILL)


def test_current_link_is_never_missing(running):
    found, over = set(), threading.Event()

    def read() -> None:
        while not over.is_set():
            found.add((running.folder / "current/version").read_text())

    thread = threading.Thread(target=read)
    thread.start()
    try:
        for old, new in (("v1", "v2"), ("v2", "v1"), ("v1", "v2")):
            assert running.carry_out("upgrade", old, new).end.result is Result.DONE
    finally:
        over.set()
        thread.join()
    assert found == {"v1", "v2"}


def test_run_creates_session(running):
    run = running.run("upgrade", "v1", "v2", **gated(running, pre=WAIT))
    first = running.start(run, session=False)
    wait_at(running)
    runner = int((running.folder / f".deployer/runs/{run.operation}/alive").read_text().split()[0])
    assert os.getsid(runner) == runner != os.getsid(0)
    open_gate(running)
    assert first.over().end.result is Result.DONE


def test_fence_and_order_files_stay_short(running):
    fence, order = running.folder / ".deployer/fence", running.folder / ".deployer/order"
    fence.write_text("".join(f"{number % 5}\n" for number in range(600)) + "torn")
    order.write_text("v0\n" * 150 + "v1\n")
    running.fence = 7
    assert running.carry_out("upgrade", "v1", "v2").end.result is Result.DONE
    assert fence.read_text() == "8\n"
    assert order.read_text() == "v1\nv2\n"
    running.fence = 5
    assert running.carry_out("upgrade", "v2", "v3").answer == Answer.LOWER_FENCE


def test_folder_marked_by_other_host_is_refused(any_host):
    """One machine and folder under two names: the second one's instances would take the first one's for theirs."""
    from dataclasses import replace

    first = any_host.run("install", None, "v1")
    assert any_host.start(replace(first, mark="7-100 web 1")).over().end.result == "done"
    assert (any_host.base / ".deployer-host").read_text() == "7-100 web 1\n"
    second = replace(any_host.run("upgrade", "v1", "v2"), mark="8-100 web2")
    refused = any_host.start(second).over()
    assert (refused.answer, refused.about) == (Answer.OTHER_HOST, "web 1")
    assert not (any_host.folder / ".deployer" / "runs" / str(second.operation)).exists()
    renamed = replace(any_host.run("upgrade", "v1", "v2"), mark="7-100 renamed")
    assert any_host.start(renamed).over().end.result == "done"
    (any_host.base / ".deployer-host").write_text("")  # cut short by a full disk: nobody's
    again = replace(any_host.run("upgrade", "v2", "v3"), mark="8-100 web2")
    assert any_host.start(again).over().end.result == "done"
