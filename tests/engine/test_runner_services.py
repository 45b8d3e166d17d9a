"""Output of a service that a start command left running: shown during the run, and stored nowhere after it."""

import os
import re
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest

from deployer import engine
from deployer.engine.journal import Kind, Result
from tests.lab.network import wait_until

from .words import said

pytestmark = pytest.mark.found("output")

# Prints for as long as it lives, and says in a file how far it got.
SERVE = """n=0; while :; do n=$((n + 1)); printf '%s %01000d\\n' tick $n; echo $n >{count}; sleep 0.01; done"""


class Chatty:
    """A service that writes to what it inherited, for ever."""

    def __init__(self, host):
        self.host, self.count, self.pid = host, host.root / "count", host.root / "pid"

    @property
    def start(self) -> str:
        body = SERVE.format(count=self.count).replace("'", "'\\''")
        return f"echo starting; setsid sh -c 'echo $$ >{self.pid}; {body}' & printf $VERSION >{self.host.root}/running"

    def said(self) -> int:
        with suppress(OSError, ValueError):
            return int(self.count.read_text())
        return 0

    def goes_on(self) -> None:
        """More than any pipe holds."""
        before = self.said()
        wait_until(lambda: self.said() > before + 150, 30, "a service that is not held up")

    def end(self) -> None:
        with suppress(OSError, ValueError):
            os.kill(int(self.pid.read_text()), signal.SIGKILL)


@pytest.fixture
def chatty(any_host):
    found = Chatty(any_host)
    yield found
    found.end()
    wait_until(lambda: not readers(any_host), 10, "no reader that is left")


def readers(host) -> list[int]:
    """Return the processes that read a pipe of a run, also where its name is gone."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with suppress(OSError):
            if f"{host.folder}/.deployer/relay" in os.readlink(f"/proc/{pid}/fd/0"):
                found.append(int(pid))
    return found


def output(host, call):
    return host.folder / ".deployer" / "runs" / str(call) / "output"


def test_background_service_output_does_not_grow(any_host, chatty):
    run = any_host.run("install", None, "v1", start=chatty.start)
    call = any_host.start(run).over()
    assert call.end.result is Result.DONE
    assert call.output.startswith(b"starting\n")
    assert len(call.output) == call.end.output_size, "nothing was added behind the end"
    path, size = output(any_host, run.operation), call.end.output_size
    chatty.goes_on()
    assert path.stat().st_size == size


def test_service_output_is_shown_during_run(any_host, chatty):
    call = any_host.carry_out("install", None, "v1", start=chatty.start, check=f"[ -s {chatty.count} ] && sleep 0.3")
    assert call.end.result is Result.DONE and call.output.count(b"tick") > 1


@pytest.mark.parametrize("program", ["cat", "sh"])
def test_service_survives_killed_readers(any_host, chatty, program):
    any_host.carry_out("install", None, "v1", start=chatty.start)
    kinds = lambda: {pid: "cat" if what(pid) == "cat" else "sh" for pid in readers(any_host)}
    found = wait_until(lambda: sorted((known := kinds()).values()) == ["cat", "sh"] and known, 10, "both readers")
    victim = next(pid for pid, kind in found.items() if kind == program)
    os.kill(victim, signal.SIGKILL)
    chatty.goes_on()
    assert readers(any_host) and victim not in readers(any_host)


def what(pid: int) -> str:
    """Return the name that a busybox was called by; of a process that has just begun, its shell's."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0].decode().rpartition("/")[2]
    return ""


@pytest.mark.parametrize("shell", ["dash", "bash --posix"])
def test_a_reader_that_begins_is_not_waited_for(tmp_path, shell):
    """Without descriptor 0 for good, as it is for the moment in which a shell gives one to a job in the background."""
    runner = Path(engine.__file__).parent / "runner"
    script = f"""
    . {runner}/processes.sh; . {runner}/relay.sh
    exec 6>{tmp_path}/output
    sleep 10 <&- &
    while [ -e /proc/$!/fd/0 ]; do :; done; sleep 0.1; while [ -e /proc/$!/fd/0 ]; do :; done
    _drained $!; echo "serves: $_serves"; kill $!
    """
    done = subprocess.run([*shell.split(), "-c", script], capture_output=True, text=True, timeout=20)
    assert done.stdout == "serves: yes\n", done.stderr


def test_start_without_service_leaves_no_reader(any_host):
    call = any_host.carry_out("install", None, "v1")
    assert call.end.result is Result.DONE and not readers(any_host)
    again = any_host.carry_out("upgrade", "v1", "v2", start=f"echo two; printf $VERSION >{any_host.root}/running")
    assert again.end.result is Result.DONE and again.output == b"two\n" and not readers(any_host)


def test_failed_start_keeps_its_last_output(any_host):
    call = any_host.carry_out("install", None, "v1", start="seq 1 40000; echo the cause >&2; exit 3")
    failed = next(event for event in call.events if event.kind is Kind.FAILED)
    assert (failed.exit_status, said(failed)) == (3, "exit status 3: the cause")
    assert call.output.startswith(b"".join(b"%d\n" % n for n in range(1, 40001)) + b"the cause\n")


def test_service_survives_killed_runner_and_recovery(any_host, chatty):
    run = any_host.run("install", None, "v1", start=chatty.start, check="sleep 100", check_timeout=200)
    call = any_host.start(run)
    call.until(Kind.STARTED, "check")
    wait_until(lambda: chatty.said() > 5, what="a service that prints")
    call.kill()
    again = any_host.attach(run).over(40)
    assert again.end.result is Result.UNDONE
    size = again.end.output_size
    chatty.goes_on()
    assert output(any_host, run.operation).stat().st_size == size


def test_abandoned_start_does_not_block_service(any_host, chatty):
    run = any_host.run(
        "install", None, "v1", start=chatty.start + "; sleep 100", limits={"step_timeout": 1}, check="", stop=""
    )
    call = any_host.start(run).over(60)
    assert call.end.result in (Result.UNDONE, Result.FAILED)
    chatty.goes_on()
    assert output(any_host, run.operation).stat().st_size == call.end.output_size


PAGE = Path(__file__).resolve().parents[2] / "docs/output.md"
LOGS = re.findall(r"^\| .* \| `(setsid .*|\{ .*)` \|$", PAGE.read_text(), re.MULTILINE)
assert len(LOGS) >= 3, LOGS


@pytest.mark.parametrize("start", LOGS)
def test_documented_log_commands_leave_no_reader(host, start, request):
    """With what stands in for programs that talk to the system: systemd-cat carries a command out, logger reads."""
    tell = host.root / "log-of-its-own"
    for name, text in {
        "serve": f"echo $$ >{host.root}/pid; exec sleep 60",
        "systemd-cat": f'shift 2; echo "$@" >{tell}; exec "$@" >/dev/null 2>&1',
        "logger": f"echo logger >{tell}; exec cat >/dev/null",
    }.items():
        (host.tools / name).write_text(f"#!/bin/sh\n{text}\n")
        (host.tools / name).chmod(0o755)
    command = start.replace("\\|", "|").replace("./serve", "serve")
    call = host.carry_out("install", None, "v1", start=f"{command}\nprintf $VERSION >{host.root}/running")
    request.addfinalizer(Chatty(host).end)
    assert call.end.result is Result.DONE
    wait_until((host.root / "pid").exists, what="the service")
    assert not readers(host)
