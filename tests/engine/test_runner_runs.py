"""How runs start, how they are followed, and what they leave on the host."""

import os
import signal
import threading
import time

import pytest

from deployer.engine.journal import Kind, Result
from deployer.engine.program import Answer, Run
from tests.storm.places import SmallDisk

from .gate import WAIT, gated, open_gate, wait_at
from .host import Host


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
    (any_host.base / ".deployer-host").write_text("")  # cut short by a full disk: no host's
    again = replace(any_host.run("upgrade", "v2", "v3"), mark="8-100 web2")
    assert any_host.start(again).over().end.result == "done"
