"""What keeps the demo's processes running, and ends them. Each test has a supervisor process of its own."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from demo.supervise import MAX_RESTART_DELAY, restart_delay
from tests.lab import processes
from tests.lab.busy import within
from tests.lab.network import wait_until

ROOT = Path(__file__).resolve().parents[2]

PROGRAM = """
import json, os, signal, sys, threading
from pathlib import Path
from demo.supervise import Part, Supervisor
folder = Path(sys.argv[1])
supervisor = Supervisor(say=lambda line: print(line, flush=True))
signal.signal(signal.SIGTERM, lambda *_: supervisor.stopping.set())
for name, script in json.loads(sys.argv[2]).items():
    supervisor.start(Part(name, ["sh", "-c", script], dict(os.environ), folder / "log", folder))
def job():
    (folder / "job").write_text(str(supervisor.job(["sh", "-c", "exit 7"], dict(os.environ), folder, folder / "log")))
threading.Thread(target=job, daemon=True).start()
supervisor.watch()
supervisor.end(2)
"""


class Supervised:
    def __init__(self, folder: Path, **scripts: str):
        self.folder = folder
        command = [sys.executable, "-c", PROGRAM, str(folder), json.dumps(scripts)]
        self.process = subprocess.Popen(command, cwd=ROOT)

    def pid(self, name: str) -> int:
        return int(wait_until(lambda: self.text(name).strip(), 10, f"{name}'s id"))

    def text(self, name: str) -> str:
        path = self.folder / name
        return path.read_text() if path.exists() else ""

    def another_pid(self, name: str, before: int, seconds: float) -> int:
        return wait_until(lambda: self.pid(name) != before and self.pid(name), seconds, f"another {name}")


@pytest.fixture
def supervised(tmp_path):
    started = []

    def start(**scripts) -> Supervised:
        started.append(Supervised(tmp_path, **scripts))
        return started[-1]

    yield start
    for one in started:
        processes.end(one.process)
    processes.end_using(tmp_path)


def test_restart_delay_grows_to_limit():
    assert restart_delay([100.0], 100.0) == 0
    waits = [restart_delay([100.0] * deaths, 100.0) for deaths in range(1, 30)]
    assert waits == sorted(waits)
    assert waits[-1] == MAX_RESTART_DELAY < 2 - 0.2
    assert restart_delay([1.0, 2.0, 3.0, 100.0], 100.0) == 0, "deaths of long ago do not count"


def test_restarts_after_sigkill(supervised):
    one = supervised(part="echo $$ > part; exec sleep 60")
    for _ in range(3):
        before = one.pid("part")
        os.kill(before, signal.SIGKILL)
        one.another_pid("part", before, 2)


def test_keeps_restarting(supervised):
    one = supervised(part="echo $$ >> starts; exit 3")
    wait_until(lambda: len(one.text("starts").split()) >= 4, 10, "the fourth start")


def test_job_returns_exit_status(supervised):
    one = supervised(part="exec sleep 60")
    assert one.pid("job") == 7


def test_end_kills_all_descendants(supervised):
    one = supervised(
        part="echo $$ > part; exec sleep 60",
        deaf="trap '' TERM; echo $$ > deaf; while :; do sleep 1; done",
        parent="(setsid sh -c 'echo $$ > orphan; exec sleep 60' &) ; echo $$ > parent; exec sleep 60",
    )
    pids = [one.pid(name) for name in ("part", "deaf", "parent", "orphan")]
    one.process.terminate()
    assert one.process.wait(60) == 0
    assert not [pid for pid in pids if processes.alive(pid)]


def test_killed_supervisor_ends_processes(supervised):
    one = supervised(part="echo $$ > part; exec sleep 60")
    pid = one.pid("part")
    one.process.kill()
    one.process.wait()
    wait_until(lambda: not processes.alive(pid), 5, "the part's end")


def test_restart_ends_left_processes(supervised):
    one = supervised(part="sleep 60 & echo $! > child; echo $$ > part; wait")
    before, child = one.pid("part"), one.pid("child")
    os.kill(before, signal.SIGKILL)
    one.another_pid("part", before, 2)
    deadline = time.monotonic() + within(2)
    while processes.alive(child) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not processes.alive(child)
