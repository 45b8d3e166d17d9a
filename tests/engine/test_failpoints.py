"""Failpoints: each stands once in the code, does nothing in production, and kills the process where it is armed."""

import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from deployer.engine import failpoints, program
from deployer.engine.journal import Kind, Result
from tests.lab.busy import within

from .engine_stand_in import StandIn, reference

ROOT = Path(failpoints.__file__).resolve().parents[2]


@pytest.fixture
def armed(monkeypatch):
    """Programs are built with calls of their crash points."""
    monkeypatch.setattr(failpoints, "ARMED", True)
    program.body.cache_clear()
    yield
    program.body.cache_clear()


def test_failpoints_match_code():
    apps = ("deployer", "microservice", "runtime", "worker")
    code = "".join(path.read_text() for app in apps for path in (ROOT / app).rglob("*.py"))
    used = Counter(re.findall(r"\bFailpoint\.([A-Z_]+)", code))
    assert used == {point.name: 1 for point in failpoints.Failpoint}


def test_host_failpoints_match_runner():
    parts = "".join(path.read_text() for path in (ROOT / "deployer/engine/runner").glob("*.sh"))
    assert Counter(re.findall(r"# crash: (\w+)", parts)) == {str(point): 1 for point in failpoints.HostFailpoint}


def test_unarmed_failpoints_do_nothing():
    assert failpoints.failpoint.__name__ == "_pass"
    assert "crash" not in program.body()


@pytest.mark.parametrize(("word", "status"), [("die", -signal.SIGKILL), ("", -signal.SIGKILL)])
def test_armed_process_dies_at_its_failpoint(tmp_path, word, status):
    code = """from deployer.engine.failpoints import Failpoint, failpoint
failpoint(Failpoint.SENT)
print("on")
failpoint(Failpoint.CLAIMED)
"""
    (tmp_path / "claimed").write_text(word)
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, "CRASH_POINTS": str(tmp_path)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert done.returncode == status
    assert not (tmp_path / "claimed").exists()


@pytest.mark.parametrize(
    ("point", "result"),
    [("done stop", Result.UNDONE), ("swap", Result.UNDONE), ("effect unpack", Result.CUT), ("ending", Result.DONE)],
)
def test_run_that_died_at_failpoint_is_recovered(armed, running, point, result):
    (running.folder / ".deployer" / "crash").write_text(point + "\n")
    run = running.run("upgrade", "v1", "v2")
    died = running.start(run).over()
    assert "end" not in died.said and not (running.folder / ".deployer" / "crash").exists()
    assert running.attach(run).over().end.result is result
    assert running.running == ("v2" if result is Result.DONE else "v1")


@pytest.mark.parametrize("next_operation", [False, True])
@pytest.mark.parametrize(
    "point", ["before pull", "started pull", "signed_in", "effect pull", "done pull", "before stop"]
)
def test_run_that_died_around_a_pull_is_started_again(armed, host, point, next_operation):
    """By its own operation or by the next one, and without a sign-in that stays."""
    engine = StandIn(host)
    for digit in (1, 2):
        host.image(f"v{digit}", reference(digit))
    spec = {name: f"echo {name} $VERSION >>{host.log}" for name in ("start", "stop")} | {"check": ""}
    assert host.carry_out("install", None, "v1", sign_in=engine.sign_in, **spec).end.result is Result.DONE
    host.log.unlink()
    (host.folder / ".deployer" / "crash").write_text(point + "\n")
    run = host.run("upgrade", "v1", "v2", sign_in=engine.sign_in, **spec)
    assert "end" not in host.start(run).over().said
    assert bool(engine.sign_in_folders()) == (point == "signed_in")
    if next_operation:
        again = host.run("upgrade", "v1", "v2", sign_in=engine.sign_in, **spec)
    else:
        assert host.attach(run).over().end.result is Result.CUT
        assert not engine.sign_in_folders() and not host.logged
        again = program.Run(run.operation, host.fence, run.atom, "again", sign_in=engine.sign_in)
    assert host.start(again).over().end.result is Result.DONE
    assert not engine.sign_in_folders()
    assert host.logged == ["stop v1", "start v2"]


def test_next_run_removes_stage_of_dead_run(running):
    left = running.folder / "releases" / ".stage-999"
    left.mkdir()
    (left / "half").write_text("of a package")
    assert running.carry_out("upgrade", "v1", "v2").end.result is Result.DONE
    assert not left.exists()


@pytest.mark.found("removal")
def test_cancelled_delete_is_undone_after_crashes(armed, running):
    """Its last step was done, and has nothing to undo; by the journal alone it looks like one that ended well."""
    (running.folder / ".deployer" / "crash").write_text("undone stop\n")
    gate = running.root / "gate"
    run = running.run("delete", "v1", None, post=f"trap 'exit 0' TERM; : >{gate}; while :; do sleep 0.05; done")
    call = running.start(run)
    deadline = time.monotonic() + within(10)
    while not gate.exists():
        assert time.monotonic() < deadline, "the hook never began"
        time.sleep(0.01)
    pressed = running.attach(run, cancel=True)
    call.over()
    ended = pressed.over()
    kinds = [(event.kind, event.step) for event in ended.events]
    assert (Kind.DONE, "post") in kinds and (Kind.UNDONE, "stop") in kinds
    assert ended.end.result is Result.CANCELLED
    assert (running.current, running.running) == ("releases/v1", "v1")
    assert (running.folder / "releases" / "v1" / "version").exists()
