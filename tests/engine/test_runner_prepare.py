"""What would make a step after the stop fail is reported before it, and the old version goes on."""

import os
import socket
import subprocess

import pytest

from deployer.engine.journal import Kind
from tests.lab import users

from .host import Host, package
from .refusals import refused
from .words import said

pytestmark = pytest.mark.found("ssh")

needs_root = pytest.mark.skipif(bool(users.why_not()), reason=users.why_not() or "-")


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
def test_unreadable_command_fails_prepare(any_running, field, command):
    spec = {field: command} | ({"post": "true"} if field == "post_undo" else {})
    reason = refused(any_running, **spec)
    assert (
        reason.startswith("unpack: ") and field.removesuffix("_undo") in reason and "the shell cannot read" in reason
    ), reason


def test_custom_steps_are_parsed(any_running):
    for key in ("run", "undo", "check"):
        step = {"name": "migrate", "before": "start", "run": "true"} | {key: "if"}
        assert "the shell cannot read migrate" in refused(any_running, steps=[step])
        any_running.packages.pop("v2")
        subprocess.run(["rm", "-rf", any_running.folder / "releases" / "v2"], check=True)


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
def test_missing_program_is_reported(any_running, field, command, missing):
    assert missing in refused(any_running, **{field: command})


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
def test_working_command_passes_prepare(any_running, command):
    assert any_running.carry_out("upgrade", "v1", "v2", post=command, pre=command).end.result == "done"


def test_program_made_by_hook_passes_prepare(any_running):
    """`npm ci`, a virtual environment: what a command of the service makes is not known before it has run."""
    spec = {"pre": "mkdir bin && cp version bin/made && chmod +x bin/made; printf '#!/bin/sh\\n' >bin/made"}
    assert any_running.carry_out("upgrade", "v1", "v2", post="bin/made", **spec).end.result == "done"
    (any_running.root / "log").unlink()
    any_running.packages["v3"] = package("v3")
    call = any_running.carry_out("upgrade", "v2", "v3", post="bin/made", pre="true")
    assert [(event.step, event.code) for event in call.events if event.kind is Kind.FAILED] == [("stop", "not_ready")]
    assert "post needs bin/made" in next(said(event) for event in call.events if event.kind is Kind.FAILED)
    assert (any_running.running, any_running.logged) == ("v2", [])


def test_non_executable_program_is_reported(any_running):
    (any_running.folder / "releases" / "v1" / "serve").chmod(0o644)
    assert any_running.carry_out("upgrade", "v1", "v2").end.result == "done"
    any_running.log.unlink()
    call = any_running.carry_out("revert", "v2", "v1", start="./serve")
    failed = next(event for event in call.events if event.kind is Kind.FAILED)
    assert (failed.step, any_running.running, any_running.logged) == ("prepare", "v2", [])
    assert "is not executable" in said(failed) and "chmod +x" in said(failed)


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("#!/opt/none/python3\nprint()\n", "a script for /opt/none/python3, which this host does not have"),
        ("#! /usr/bin/env none-such\n", "a script for none-such"),
        ("#!/bin/sh\r\necho\r\n", "its lines end in CR LF"),
    ],
)
def test_missing_interpreter_is_reported(any_running, script, said):
    any_running.packages["v2"] = package("v2", serve=script)
    assert said in refused(any_running, start="./serve")


def test_valid_script_and_binary_are_accepted(any_running):
    any_running.packages["v2"] = package("v2", serve="#!/usr/bin/env -S sh -e\necho\n", other="#!/bin/sh -e\necho\n")
    assert any_running.carry_out("upgrade", "v1", "v2", post="./other --x", pre="./serve").end.result == "done"


# --- the folders ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("action", ["upgrade", "delete"])
def test_current_folder_fails_prepare(any_running, action):
    (any_running.folder / "current").unlink()
    (any_running.folder / "current").mkdir()
    (any_running.folder / "current" / "mine").write_text("precious")
    reason = refused(any_running, action, "v1", "v2" if action == "upgrade" else None)
    assert reason.startswith("prepare: ") and "not a link to a release" in reason


def test_install_beside_foreign_current_fails_prepare(tmp_path):
    host = Host(tmp_path)
    (host.folder / "current").mkdir(parents=True)
    call = host.carry_out("install", None, "v1")
    assert call.end.result == "undone" and "not a link to a release" in said(call.events[-2])
    assert host.logged == []


def test_emptied_release_is_sent_again(any_running):
    assert any_running.carry_out("upgrade", "v1", "v2").end.result == "done"
    subprocess.run(["find", any_running.folder / "releases" / "v1", "-mindepth", "1", "-delete"], check=True)
    call = any_running.carry_out("revert", "v2", "v1")
    assert call.end.result == "done" and "need upload" in call.said
    assert any_running.running == "v1" and (any_running.folder / "releases" / "v1" / "serve").exists()
    assert not list((any_running.folder / "releases" / "v1").glob(".stage*"))


def test_missing_old_release_is_a_remark(any_running):
    subprocess.run(["rm", "-rf", any_running.folder / "releases" / "v1"], check=True)
    call = any_running.carry_out("upgrade", "v1", "v2")
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
def test_files_of_other_user_fail_prepare(any_running, what):
    """As after the host's user was changed."""
    trash = any_running.folder / ".deployer" / "trash"
    trash.mkdir(exist_ok=True)
    with users.made(("other",)) as (user,):
        subprocess.run(["chown", "-R", f"{user}:{user}", any_running.root], check=True)
        subprocess.run(["chown", "root:root", any_running.folder / ".deployer" / what], check=True)
        (any_running.folder / ".deployer" / what).chmod(0o755 if what == "trash" else 0o644)
        for parent in list(any_running.root.parents)[:3]:
            os.chmod(parent, 0o755)
        any_running.user = user
        reason = refused(any_running)
        assert reason.startswith("prepare: ") and f".deployer/{what} cannot be written" in reason
        any_running.end()


@needs_root
def test_foreign_link_in_sticky_folder_fails_prepare(any_running):
    with users.made(("other",)) as (user,):
        subprocess.run(["chown", "-R", f"{user}:{user}", any_running.root], check=True)
        subprocess.run(["chown", "-h", "root:root", any_running.folder / "current"], check=True)
        subprocess.run(["chown", "root:root", any_running.folder], check=True)
        any_running.folder.chmod(0o1777)
        for parent in list(any_running.root.parents)[:3]:
            os.chmod(parent, 0o755)
        any_running.user = user
        assert "sticky bit" in refused(any_running)
        any_running.end()


@needs_root
def test_unwritable_shared_folder_is_a_remark(any_running):
    """It may belong to the user that the service runs as."""
    with users.made(("other",)) as (user,):
        subprocess.run(["chown", "-R", f"{user}:{user}", any_running.root], check=True)
        subprocess.run(["chown", "root:root", any_running.folder / "shared"], check=True)
        for parent in list(any_running.root.parents)[:3]:
            os.chmod(parent, 0o755)
        any_running.user = user
        call = any_running.carry_out("upgrade", "v1", "v2")
        assert call.end.result == "done" and "shared cannot be written" in said(call.until(Kind.DONE, "prepare"))
        any_running.end()
