"""The host's part of fetching a package, without SSH, under each shell and with each tool."""

import contextlib
import hashlib
import shutil
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from deployer.engine import failpoints, program
from deployer.engine.journal import Kind, Result
from deployer.engine.jump_cache import protocol
from tests.engine.host import EVERY_SHELL, Host, package
from tests.lab.network import free_port

from .words import said

# What the program and these tests' commands call, besides the shell itself.
TOOLS = (
    "flock",
    "dd",
    "mkdir",
    "mkfifo",
    "mv",
    "ln",
    "rm",
    "cat",
    "tail",
    "wc",
    "sleep",
    "tar",
    "gzip",
    "sha256sum",
    "tee",
    "find",
    "ls",
    "chmod",
    "cmp",
    "df",
    "readlink",
    "sed",
    "setsid",
    "kill",
)


@contextlib.contextmanager
def serving(folder: Path, *packages: bytes):
    """Start the jump host's server as a process of our own; yield the line that a host is sent."""
    port = free_port()
    source = protocol.server()
    process = subprocess.Popen(
        [sys.executable, "-I", "-c", f"import sys; exec(sys.stdin.buffer.read({len(source)}))"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={"XDG_CACHE_HOME": str(folder)},
    )
    with process:
        process.stdin.write(source + f"nonce\n{port}\n127.0.0.1\n".encode())
        process.stdin.flush()
        assert process.stdout.readline() == b"@nonce output\n"
        token = process.stdout.readline().split()[1].decode()
        for data in packages:
            process.stdin.write(f"have {hashlib.sha256(data).hexdigest()} {len(data)}\n".encode())
            process.stdin.write(b"part %d\n%spart 0\n" % (len(data), data))
            process.stdin.flush()
            assert (process.stdout.readline(), process.stdout.readline()) == (b"send\n", b"there\n")
        yield f"fetch 127.0.0.1 {port} {token}\n".encode()


def only(host: Host, *programs: str) -> str:
    """Return a PATH with what the program needs, these tools, and no other way to fetch anything."""
    for path in (*map(shutil.which, TOOLS), *programs):
        (host.tools / Path(path).name).symlink_to(path)
    return str(host.tools)


def start(host: Host, line: bytes, data: bytes = b"", **options):
    run = host.run("install", None, "v1")
    return host.send(program.start(run, fetching=3), run.nonce, line + data, **options).over()


@pytest.fixture
def served(tmp_path):
    data = package("v1")
    with serving(tmp_path / "cache", data) as line:
        yield line, data


@pytest.mark.parametrize("shell", EVERY_SHELL)
@pytest.mark.parametrize("tool", ["curl", "wget", "nc"])
def test_fetches_package_with_available_tool(tmp_path, served, shell, tool):
    host = Host(tmp_path, shell)
    host.packages["v1"] = served[1]
    path = only(host, shutil.which(tool)) if tool != "nc" else only(host)
    if tool == "nc":  # and a wget that takes addresses as arguments only
        for applet in ("wget", "nc"):
            (host.tools / applet).symlink_to("/usr/bin/busybox")
    call = start(host, served[0], PATH=path)
    host.end()
    assert (call.end.result, host.running) == (Result.DONE, "v1"), call.output
    assert said(upload_of(call)) == "fetched from the jump host"
    assert len([event for event in call.events if event.kind is Kind.NEED]) == 1
    assert sorted(file.name for file in host.folder.glob("releases/v1/*")) == ["noise", "version"]
    assert not list(host.folder.glob("releases/v1/.*"))


def upload_of(call):
    return next(event for event in call.events if event.kind in (Kind.DONE, Kind.FAILED) and event.step == "upload")


def falls_back(host: Host, line: bytes, data: bytes, **options) -> str:
    """Return the host's reason to ask once more, for the bytes."""
    host.packages["v1"] = data
    call = start(host, line, data, **options)
    host.end()
    assert (call.end.result, host.running) == (Result.DONE, "v1"), call.output
    assert [said(event) for event in call.events if event.kind is Kind.NEED] == ["", said(upload_of(call))]
    return said(upload_of(call))


def test_host_without_tool_asks_for_package(host, served):
    assert "neither curl nor GNU wget nor nc" in falls_back(host, *served, PATH=only(host))


def test_silent_jump_host_makes_host_ask_for_package(any_host, served):
    line = f"fetch 127.0.0.1 {free_port()} {'0' * 64}\n".encode()
    assert "curl ended with exit status 7" in falls_back(any_host, line, served[1])


def test_missing_copy_makes_host_ask_for_package(any_host, served):
    assert "curl ended with exit status 22" in falls_back(any_host, served[0], package("v1", files="another"))


def test_waits_through_keepalives_and_keeps_refusal(any_host, served):
    any_host.packages["v1"] = served[1]
    call = start(any_host, b"wait\nwait\nbytes no room\n", served[1])
    assert (call.end.result, any_host.running) == (Result.DONE, "v1")
    assert said(upload_of(call)) == "the jump host did not serve it: no room"


@pytest.mark.parametrize("line", [b"", b"fetch", b"wait\n", b"bytes gone\n"])
def test_lost_worker_while_host_waits_cuts_run(any_host, served, line):
    any_host.packages["v1"] = served[1]
    assert start(any_host, line).end.result is Result.CUT
    assert start(any_host, *served).end.result is Result.DONE


def test_endless_answer_is_cut_off(host):
    data = package("v1")
    with socket.create_server(("127.0.0.1", 0)) as endless:

        def pour():
            with endless.accept()[0] as guest, contextlib.suppress(OSError):
                guest.recv(4096)
                guest.sendall(b"HTTP/1.0 200 OK\r\n\r\n")
                while True:
                    guest.sendall(b"x" * 65536)

        threading.Thread(target=pour, daemon=True).start()
        line = f"fetch 127.0.0.1 {endless.getsockname()[1]} {'0' * 64}\n".encode()
        assert "curl ended with exit status" in falls_back(host, line, data)


@pytest.fixture
def armed(monkeypatch):
    """Programs are built with calls of their crash points."""
    monkeypatch.setattr(failpoints, "ARMED", True)
    program.body.cache_clear()
    yield
    program.body.cache_clear()


def test_run_that_dies_after_fetch_is_cut(armed, running, served):
    running.packages["v2"] = served[1]
    (running.folder / ".deployer" / "crash").write_text("fetched\n")
    run = running.run("upgrade", "v1", "v2")
    died = running.send(program.start(run, fetching=3), run.nonce, served[0]).over()
    assert "end" not in died.said and list(running.folder.glob("releases/.stage-*/.package"))
    assert running.attach(run).over().end.result is Result.CUT
    assert not list(running.folder.glob("releases/.stage-*"))


def test_program_without_jump_cache_omits_fetch(host):
    run = host.run("install", None, "v1")
    usual = program.start(run, now=1.0)
    assert b"curl" not in usual and b"_FETCHING=" not in usual
    assert b"curl" in program.start(run, now=1.0, fetching=3)
