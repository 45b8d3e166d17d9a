"""What would make a step after the stop fail is told before it: the old version goes on, as if nobody had asked."""

import os
import socket
import subprocess

import pytest

from deployer.engine.codes import Code
from deployer.engine.journal import Kind
from tests.lab import users
from tests.lab.network import wait_until

from .host import SHELLS, Host, package
from .words import said

pytestmark = pytest.mark.found("ssh")
needs_root = pytest.mark.skipif(bool(users.why_not()), reason=users.why_not() or "-")


@pytest.fixture(params=SHELLS)
def running(tmp_path, request):
    """A host of each shell, on which v1 runs."""
    host = Host(tmp_path, request.param)
    host.packages["v1"] = package("v1", serve="#!/bin/sh\necho served\n")
    assert host.carry_out("install", None, "v1").end.result == "done"
    host.log.unlink()
    yield host
    host.end()


def refused(host, action="upgrade", old="v1", new="v2", **spec) -> str:
    """Carries it out: it must fail before the stop. What it said, with the step's name in front."""
    before = host.tree("releases/v2", "v2")
    call = host.carry_out(action, old, new, **spec)
    assert call.end.result in ("undone", "failed"), call.said
    failed = next(event for event in call.events if event.kind is Kind.FAILED)
    assert not {"done stop", "done unlink"} & set(call.said), call.said
    assert (host.running, host.logged) == ("v1", []), "the old version was stopped"
    assert host.tree("releases/v2", "v2") == before
    # No command of the service said so: it is no `step_failed`.
    assert failed.code in (Code.NOT_READY, Code.NOT_WRITABLE, Code.DISK), failed
    return f"{failed.step}: {said(failed)}"


# --- the commands -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "command"),
    [
        ("start", "if true; then echo"),
        ("check", "curl 'http://x"),
        ("post", "case x in"),
        ("start", "echo $(("),
        ("post_undo", "for x in; do"),
        ("pre", "while"),
    ],
)
def test_unreadable_command_fails_prepare(running, field, command):
    spec = {field: command} | ({"post": "true"} if field == "post_undo" else {})
    said = refused(running, **spec)
    assert said.startswith("unpack: ") and field.removesuffix("_undo") in said and "the shell cannot read" in said, said


def test_custom_steps_are_parsed(running):
    for key in ("run", "undo", "check"):
        step = {"name": "migrate", "before": "start", "run": "true"} | {key: "if"}
        assert "the shell cannot read migrate" in refused(running, steps=[step])
        running.packages.pop("v2")
        subprocess.run(["rm", "-rf", running.folder / "releases" / "v2"], check=True)


@pytest.mark.parametrize(
    ("field", "command", "missing"),
    [
        ("start", "no-such-program --port 80", "start needs no-such-program, which this host does not have"),
        ("check", "curll -fsS http://127.0.0.1/", "check needs curll"),
        ("post", "/opt/no/such/thing", "post needs /opt/no/such/thing, and /opt/no/such/thing does not exist"),
        ("start", "./server", "shop/releases/v2/server does not exist"),
        ("start", "bin/server --daemon", "start needs bin/server"),
        ("start", '"$RELEASE/server" --port "$PORT"', "shop/releases/v2/server does not exist"),
        ("start", '"$RELEASE"/server', "start needs server"),
        ("start", "${CURRENT}/server", "start needs server"),
        ("start", '  "$CURRENT/server"', "start needs server"),
    ],
)
def test_missing_program_is_reported(running, field, command, missing):
    assert missing in refused(running, **{field: command})


@pytest.mark.parametrize(
    "command",
    [
        "no-such-program || true",
        "false || no-such-program; true",
        "no-such-program\ntrue",
        "no-such-program & true",
        "X=1 true",
        "$NOTHING true",
        ": no-such-program",
        "true # no-such",
        "{ true; }",
        "! false",
        "(true)",
        "exec true",
        "[ -d . ]",
        "test -d .",
        "true 'x; y'",
        "cd . && true",
        "if true; then true; fi",
        "f() { true; }; f",
        "'true'",
        "true<version",
        "cat <<END\n$(date)\nEND",
        "true }",
        "echo \\",
    ],
)
def test_working_command_passes_prepare(running, command):
    assert running.carry_out("upgrade", "v1", "v2", post=command, pre=command).end.result == "done"


def test_program_made_by_hook_passes_prepare(running):
    """`npm ci`, a virtual environment: what a command of the service makes is not known before it has run."""
    spec = {"pre": "mkdir bin && cp version bin/made && chmod +x bin/made; printf '#!/bin/sh\\n' >bin/made"}
    assert running.carry_out("upgrade", "v1", "v2", post="bin/made", **spec).end.result == "done"
    (running.root / "log").unlink()
    running.packages["v3"] = package("v3")
    call = running.carry_out("upgrade", "v2", "v3", post="bin/made", pre="true")
    assert [(event.step, event.code) for event in call.events if event.kind is Kind.FAILED] == [("stop", "not_ready")]
    assert "post needs bin/made" in next(said(event) for event in call.events if event.kind is Kind.FAILED)
    assert (running.running, running.logged) == ("v2", [])


def test_non_executable_program_is_reported(running):
    (running.folder / "releases" / "v1" / "serve").chmod(0o644)
    assert running.carry_out("upgrade", "v1", "v2").end.result == "done"
    running.log.unlink()
    call = running.carry_out("revert", "v2", "v1", start="./serve")
    failed = next(event for event in call.events if event.kind is Kind.FAILED)
    assert (failed.step, running.running, running.logged) == ("prepare", "v2", [])
    assert "is not executable" in said(failed) and "chmod +x" in said(failed)


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("#!/opt/none/python3\nprint()\n", "a script for /opt/none/python3, which this host does not have"),
        ("#! /usr/bin/env none-such\n", "a script for none-such"),
        ("#!/bin/sh\r\necho\r\n", "its lines end in CR LF"),
    ],
)
def test_missing_interpreter_is_reported(running, script, said):
    running.packages["v2"] = package("v2", serve=script)
    assert said in refused(running, start="./serve")


def test_valid_script_and_binary_are_accepted(running):
    running.packages["v2"] = package("v2", serve="#!/usr/bin/env -S sh -e\necho\n", other="#!/bin/sh -e\necho\n")
    assert running.carry_out("upgrade", "v1", "v2", post="./other --x", pre="./serve").end.result == "done"


# --- the folders ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("action", ["upgrade", "delete"])
def test_current_folder_fails_prepare(running, action):
    (running.folder / "current").unlink()
    (running.folder / "current").mkdir()
    (running.folder / "current" / "mine").write_text("precious")
    said = refused(running, action, "v1", "v2" if action == "upgrade" else None)
    assert said.startswith("prepare: ") and "not a link to a release" in said


def test_install_beside_foreign_current_fails_prepare(tmp_path):
    host = Host(tmp_path)
    (host.folder / "current").mkdir(parents=True)
    call = host.carry_out("install", None, "v1")
    assert call.end.result == "undone" and "not a link to a release" in said(call.events[-2])
    assert host.logged == []


def test_emptied_release_is_sent_again(running):
    assert running.carry_out("upgrade", "v1", "v2").end.result == "done"
    subprocess.run(["find", running.folder / "releases" / "v1", "-mindepth", "1", "-delete"], check=True)
    call = running.carry_out("revert", "v2", "v1")
    assert call.end.result == "done" and "need upload" in call.said
    assert running.running == "v1" and (running.folder / "releases" / "v1" / "serve").exists()
    assert not list((running.folder / "releases" / "v1").glob(".stage*"))


def test_missing_old_release_is_a_remark(running):
    subprocess.run(["rm", "-rf", running.folder / "releases" / "v1"], check=True)
    call = running.carry_out("upgrade", "v1", "v2")
    assert call.end.result == "done"
    assert "releases/v1 is gone" in said(call.until(Kind.DONE, "prepare"))


def test_taken_port_is_a_remark(tmp_path):
    host = Host(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as other:
        host.port = other.getsockname()[1]
        call = host.carry_out("install", None, "v1")
    assert call.end.result == "done", "it may be meant so: a proxy, a socket that systemd holds"
    assert f"something already listens on port {host.port}" in said(call.until(Kind.DONE, "prepare"))
    assert not said(host.carry_out("upgrade", "v1", "v2").until(Kind.DONE, "prepare"))


@needs_root
@pytest.mark.parametrize("what", ["order", "trash"])
def test_files_of_other_user_fail_prepare(running, what):
    """As after the host's user was changed."""
    trash = running.folder / ".deployer" / "trash"
    trash.mkdir(exist_ok=True)
    with users.made(("other",)) as (user,):
        subprocess.run(["chown", "-R", f"{user}:{user}", running.root], check=True)
        subprocess.run(["chown", "root:root", running.folder / ".deployer" / what], check=True)
        (running.folder / ".deployer" / what).chmod(0o755 if what == "trash" else 0o644)
        for parent in list(running.root.parents)[:3]:
            os.chmod(parent, 0o755)
        running.user = user
        said = refused(running)
        assert said.startswith("prepare: ") and f".deployer/{what} cannot be written" in said
        running.end()


@needs_root
def test_foreign_link_in_sticky_folder_fails_prepare(running):
    with users.made(("other",)) as (user,):
        subprocess.run(["chown", "-R", f"{user}:{user}", running.root], check=True)
        subprocess.run(["chown", "-h", "root:root", running.folder / "current"], check=True)
        subprocess.run(["chown", "root:root", running.folder], check=True)
        running.folder.chmod(0o1777)
        for parent in list(running.root.parents)[:3]:
            os.chmod(parent, 0o755)
        running.user = user
        assert "sticky bit" in refused(running)
        running.end()


@needs_root
def test_unwritable_shared_folder_is_a_remark(running):
    """Somebody may have given it to the user that the service runs as."""
    with users.made(("other",)) as (user,):
        subprocess.run(["chown", "-R", f"{user}:{user}", running.root], check=True)
        subprocess.run(["chown", "root:root", running.folder / "shared"], check=True)
        for parent in list(running.root.parents)[:3]:
            os.chmod(parent, 0o755)
        running.user = user
        call = running.carry_out("upgrade", "v1", "v2")
        assert call.end.result == "done" and "shared cannot be written" in said(call.until(Kind.DONE, "prepare"))
        running.end()


# --- the disk ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def small(running):
    """The service of `running` on a disk of its own, of 4 MiB and 200 inodes, and not for executing."""
    kept = running.root / "kept"
    os.rename(running.base, kept)
    running.base.mkdir()
    options = "size=4m,nr_inodes=200,noexec,mode=755"
    mount = ["mount", "-t", "tmpfs", "-o", options, "none", running.base]
    mounted = subprocess.run(mount, capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"no disk can be mounted here: {mounted.stderr.strip()}")
    subprocess.run(["cp", "-a", f"{kept}/.", running.base], check=True)
    yield running
    running.end()
    subprocess.run(["umount", "-l", running.base], check=True)


@pytest.mark.parametrize("running", ["dash"], indirect=True)
@pytest.mark.parametrize("lacks", ["blocks", "inodes"])
def test_full_disk_fails_before_stop(small, lacks):
    """From nothing to what is enough, step by step: no amount lets the service stop and fail then."""
    assert small.carry_out("upgrade", "v1", "v2").end.result == "done"
    assert small.carry_out("revert", "v2", "v1").end.result == "done"
    told = []
    for free in range(16) if lacks == "inodes" else range(0, 40, 3):
        subprocess.run(["rm", "-rf", small.base / "rest", small.folder / ".deployer" / "runs"], check=True)
        _fill(small.base / "rest", lacks, free)
        small.log.unlink(missing_ok=True)
        call = small.carry_out("upgrade", "v1", "v2")
        ended = call.events[-1].result if call.events and call.events[-1].kind is Kind.END else None
        if ended == "done":
            subprocess.run(["rm", "-rf", small.base / "rest"], check=True)
            assert small.carry_out("revert", "v2", "v1").end.result == "done"
        else:
            assert not [line for line in small.logged if "check" not in line], (free, call.said, small.logged)
            assert small.running == "v1"
        told.append("done" if ended == "done" else "told")
    assert {"done", "told"} == set(told), told


def _fill(rest, lacks: str, free: int) -> None:
    """Leaves so many inodes, or so many blocks of 4 KiB."""
    rest.mkdir()
    room = os.statvfs(rest)
    if lacks == "blocks":
        (rest / "big").write_bytes(bytes((room.f_bavail - free) * room.f_bsize))
    for number in range(room.f_favail - free if lacks == "inodes" else 0):
        (rest / str(number)).touch()


def test_reserved_space_lasts_to_the_end(small):
    """Between prepare and the stop the disk fills up: by the service, by a log, by a neighbour."""
    files = f"i=0; while true >{small.base}/rest$i; do i=$((i + 1)); done 2>/dev/null"
    fill = f"{files}\ncat /dev/zero >{small.base}/rest0 2>/dev/null; true"
    call = small.carry_out("upgrade", "v1", "v2", pre=fill)
    assert call.end.result == "done", (call.said, call.output)
    assert (small.running, small.current) == ("v2", "releases/v2")
    assert not list((small.folder / ".deployer").glob("runs/*/reserve"))
    assert not list((small.folder / ".deployer").glob("current.*"))


def test_recovery_frees_reserved_space(running):
    """It died with the room still kept, and what undoes its steps finds a full disk otherwise."""
    kept = running.root / "kept"
    room = f"cat {running.folder}/.deployer/runs/*/reserve | wc -c >{kept}"
    run = running.run("upgrade", "v1", "v2", pre=f"{room}; sleep 100", pre_undo=room)
    call = running.start(run)
    call.until(Kind.STARTED, "pre")
    wait_until(lambda: kept.exists() and kept.read_text().strip(), what="the command before the stop")
    assert int(kept.read_text()) == 16384
    call.kill()
    assert running.attach(run).over(40).end.result == "undone"
    assert int(kept.read_text()) == 0


@pytest.mark.parametrize("running", ["dash", "bash"], indirect=True)  # busybox looks at the file's mode alone
def test_noexec_disk_fails_prepare(small):
    small.packages["v2"] = package("v2", serve="#!/bin/sh\necho\n")
    said = refused(small, start="./serve")
    assert "is not executable" in said and "noexec" in said
