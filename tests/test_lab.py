"""The lab itself: its servers do what the tests rely on."""

import contextlib
import os
import re
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path

import pytest
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.lab import docker, processes, surroundings
from tests.lab.network import wait_for_port, wait_until
from tests.lab.prepared_database import KEPT, Prepared
from tests.lab.worker import ROOT


def run(host, command: str, **options) -> subprocess.CompletedProcess:
    known = host.folder / "known_hosts"
    known.write_text(f"[{host.address}]:{host.port} {host.host_key}\n")
    ssh = ["ssh", "-F", "none", "-i", host.client_key_path, "-p", str(host.port), "-o", f"UserKnownHostsFile={known}"]
    return subprocess.run([*ssh, f"{host.username}@{host.address}", command], capture_output=True, text=True, **options)


def test_host_is_a_real_openssh_server(sshd):
    done = run(sshd, "echo here", stdin=subprocess.DEVNULL)
    assert (done.returncode, done.stdout) == (0, "here\n"), done.stderr


def test_ends_commands_left_on_a_host(sshd):
    run(sshd, f"cd {sshd.root}; sleep 60 >/dev/null 2>&1 &", stdin=subprocess.DEVNULL)
    assert processes.using(sshd.root)
    processes.end_using(sshd.root)
    assert not processes.using(sshd.root)


def test_uses_the_chosen_database(db):
    assert connection.vendor == ("postgresql" if surroundings.ON_POSTGRESQL else "sqlite")


def test_hosts_have_their_own_addresses_and_keys(sshds):
    hosts = sshds(3)
    assert len({host.address for host in hosts}) == len({host.host_key for host in hosts}) == 3


@pytest.mark.django_db(transaction=True)
def test_worker_process_sees_the_rows(worker, environment):
    from django.contrib.auth import get_user_model

    get_user_model().objects.create_user("ann")
    code = "from django.contrib.auth import get_user_model as u; print(u().objects.get().username)"
    command = [sys.executable, "manage.py", "shell", "-v0", "-c", code]
    seen = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert seen.stdout.strip() == "ann", seen.stderr
    one = worker()
    assert one.running()
    one.kill()
    assert not one.running()


def test_tests_leave_no_files_in_the_project():
    """A start tried with odd settings, or a server that dumps where it stands, wrote files such as `$(id)` here."""
    odd = [path.name for path in ROOT.iterdir() if not re.fullmatch(r"[A-Za-z0-9._-]+", path.name)]
    dumped = [path.name for path in ROOT.iterdir() if path.is_file() and not path.stat().st_size]
    assert not odd and not dumped


def running(engine) -> tuple[str, int]:
    """Start a container that sleeps in the engine; return its id and its process on this machine."""
    spec = {"Image": "base:1", "Cmd": ["sleep", "600"], "StopSignal": "SIGKILL", "HostConfig": {"NetworkMode": "none"}}
    made = engine.asked("POST", "/containers/create", spec)["Id"]
    engine.asked("POST", f"/containers/{made}/start")
    return made, engine.asked("GET", f"/containers/{made}/json")["State"]["Pid"]


def mounts_below(folder) -> list[str]:
    return [line for line in Path("/proc/self/mounts").read_text().splitlines() if f" {folder}/" in line]


def test_engine_ends_with_what_it_runs(short_tmp):
    """Also after it was killed, when its shims and their containers live on."""
    needs_engine()
    with docker.Dockerd(short_tmp / "d") as engine:
        engine.add_base("base:1", {"etc/here": "yes"})
        _, first = running(engine)
        engine.kill()
        assert processes.alive(first) and mounts_below(engine.folder)
        engine.stop()
        assert not processes.alive(first) and not processes.using(engine.folder) and not mounts_below(engine.folder)
        engine.start()
        assert [each["State"] for each in engine.containers()] == ["exited"]
        _, second = running(engine)
        engine.kill()
        engine.start()  # over what is left
        assert not processes.alive(second)
        _, third = running(engine)
        said = engine.command_line("run", "--rm", "--network", "host", "base:1", "cat", "/etc/here")
        assert (said.stdout, said.returncode) == ("yes", 0), said.stderr
    assert not processes.alive(third) and not engine.folder.exists() and not mounts_below(engine.folder)


def test_engine_with_the_usual_network(short_tmp):
    needs_engine()
    with docker.Dockerd(short_tmp / "d", bridge=True) as engine:
        engine.add_base("base:1")
        ran = engine.command_line("run", "-d", "-p", "8090:80", "base:1", "sh", "-c", "echo hello | nc -l -p 80")
        assert ran.returncode == 0, ran.stderr
        wait_for_port(engine.address, engine.port)  # over this machine's cable
        with socket.create_connection((engine.address, 8090), 10) as opened:
            assert opened.recv(99) == b"hello\n"
        with socket.create_server((engine.here, 0)) as server:
            port = str(server.getsockname()[1])
            threading.Thread(target=lambda: server.accept()[0].close()).start()
            out = engine.command_line("run", "--rm", "base:1", "nc", engine.here, port)
            assert out.returncode == 0, out.stderr


def test_engine_ends_where_the_test_run_is_killed(short_tmp):
    needs_engine()
    code = (
        "import sys; from pathlib import Path; from tests.lab.docker import Dockerd\n"
        "engine = Dockerd(Path(sys.argv[1])).__enter__(); print(engine.process.pid, flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, str(short_tmp / "d")]
    run_of_tests = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    pid = int(run_of_tests.stdout.readline())
    run_of_tests.kill()
    run_of_tests.wait()
    wait_until(lambda: not processes.alive(pid) and not processes.using(short_tmp / "d"), 20, "the engine's end")


@settings(max_examples=2, database=None)
@given(st.none())
def test_examples_may_take_as_long_as_a_busy_machine_needs(_):
    time.sleep(0.3)  # longer than the library lets an example take
    # Its limit for what generates them would have to be waited for, half a minute.
    assert HealthCheck.too_slow in settings.default.suppress_health_check


def needs_engine() -> None:
    if reason := docker.why_not():
        pytest.skip(reason)


def pytest_twice(folder: Path, *more: str) -> subprocess.CompletedProcess:
    """Run scripts/pytest on the tests in a folder, with nothing of this project's."""
    options = ["-c", str(folder / "pytest.ini"), "-p", "xdist.plugin", "--disable-plugin-autoload", "-q", "-n", "2"]
    command = [ROOT / "scripts" / "pytest", *options, *more, str(folder)]
    return subprocess.run(command, capture_output=True, text=True, timeout=100)


@pytest.mark.parametrize(("again", "status"), [("pass", 0), ("fail", 1)])
def test_what_failed_beside_others_runs_once_more_alone(tmp_path, again, status):
    """It fails the run if it fails alone too; if not, the run names it."""
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "test_some.py").write_text(
        f"""
from pathlib import Path

def test_well():
    with Path({str(tmp_path)!r}, "well").open("a") as file:
        file.write("x")

def test_at_first():
    seen = Path({str(tmp_path)!r}, "seen")
    begun = seen.exists()
    seen.touch()
    assert begun and {again!r} == "pass"
"""
    )
    done = pytest_twice(tmp_path)
    assert done.returncode == status, done.stdout + done.stderr
    assert ("passed alone:\ntest_some.py::test_at_first" in done.stdout) == (again == "pass")
    assert "1 failed, 1 passed" in done.stdout and (tmp_path / "well").read_text() == "x"


@pytest.mark.parametrize("reason", ["too many", "not known which"])
def test_nothing_runs_again_where_many_failed_or_it_is_not_known_which(tmp_path, reason):
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    count = 11 if reason == "too many" else 1
    (tmp_path / "test_some.py").write_text("".join(f"def test_{at}():\n    assert False\n" for at in range(count)))
    done = pytest_twice(tmp_path, *(["-p", "no:cacheprovider"] if reason == "not known which" else []))
    assert done.returncode == 1 and f"{count} failed" in done.stdout
    assert "Once more" not in done.stdout


def test_prepared_database_is_of_one_state_of_the_migrations(tmp_path):
    """Each state of the migrations has a file of its own, with what the first process made; the newest are kept."""
    root, folder = tmp_path / "project", tmp_path / "kept"
    migration = root / "access" / "migrations" / "0001_initial.py"
    migration.parent.mkdir(parents=True)
    (root / "requirements.txt").write_text("Django==5.2.19\n")
    made = tmp_path / "made.sqlite3"
    with contextlib.closing(sqlite3.connect(made)) as database:
        database.execute("CREATE TABLE rows_of_it (name)")
    files = []
    for number in range(KEPT + 2):
        migration.write_text(f"operations = [{number}]")
        prepared = Prepared(folder, root)
        prepared.copy(tmp_path / "copy.sqlite3", partial(prepared.keep, made))
        prepared.copy(tmp_path / "copy.sqlite3", partial(pytest.fail, "it is kept already"))
        os.utime(prepared.file, (number, number))
        files.append(prepared.file)
    assert len(set(files)) == KEPT + 2 and [each.exists() for each in files] == [False] * 2 + [True] * KEPT
    with contextlib.closing(sqlite3.connect(tmp_path / "copy.sqlite3")) as database:
        assert database.execute("SELECT name FROM sqlite_master").fetchall() == [("rows_of_it",)]
