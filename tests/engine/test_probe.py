"""The host check against a real OpenSSH server: what it finds, and how it describes problems."""

import re
import socket
import subprocess
import threading
import time

import pytest

from deployer.engine import probe as probing
from deployer.engine import program
from deployer.engine.probe import Finding, judge, probe
from tests.lab import users
from tests.lab.busy import within
from tests.lab.relay import Relay

from .ssh_client import check, endpoint_of
from .words import next_step, said, warnings


def test_ready_host_is_unchanged(sshd):
    found = check(endpoint_of(sshd), sshd.root / "not" / "there yet")
    assert (found.ready, said(found), found.tools_missing) == (True, "", [])
    assert found.reachable and found.trusted and found.authenticated and found.base_path_writable
    assert (found.user, found.offered_key) == (sshd.username, sshd.host_key)
    assert found.free_bytes > 0
    assert not list(sshd.root.iterdir())
    assert found.facts()["ready"] is True


def test_names_unwritable_base_path(sshd):
    (sshd.root / "file").write_text("in the way")
    found = check(endpoint_of(sshd), sshd.root / "file" / "below")
    assert (found.ready, found.base_path_writable) == (False, False)
    assert "cannot be created or written" in said(found)


def test_base_path_is_quoted(sshd):
    canary = sshd.root / "canary"
    found = check(endpoint_of(sshd), f"{sshd.root}/$(touch {canary})'; touch {canary}; '`touch {canary}`")
    assert found.ready
    assert not canary.exists()


def test_untrusted_host_shows_its_key(sshd):
    found = check(endpoint_of(sshd, host_key=""), sshd.root)
    assert (found.reachable, found.trusted, found.authenticated, found.ready) == (True, False, False, False)
    assert found.offered_key == sshd.host_key
    assert "not trusted" in said(found)


@pytest.mark.parametrize("kind", ["ed25519", "rsa"])
def test_changed_key_shows_both_fingerprints(sshd, tmp_path, kind):
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-f", tmp_path / "other"], check=True)
    found = check(endpoint_of(sshd, host_key=(tmp_path / "other.pub").read_text()), sshd.root)
    assert (found.reachable, found.trusted, found.offered_key) == (True, False, sshd.host_key)
    assert "another host key" in said(found)


def test_distinguishes_refused_login_from_unreachable(sshd, tmp_path):
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "other"], check=True)
    found = check(endpoint_of(sshd, key=(tmp_path / "other").read_text()), sshd.root)
    assert (found.reachable, found.trusted, found.authenticated) == (True, True, False)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        closed = listener.getsockname()[1]
    found = check(endpoint_of(sshd, address="127.0.0.1", port=closed), sshd.root)
    assert (found.reachable, "refused" in said(found), bool(next_step(found))) == (False, True, True)


@pytest.mark.parametrize("frozen_after", [0.0, 0.6])
def test_silent_host_is_found_within_deadline(sshd, frozen_after):
    with Relay(sshd.address, sshd.port, latency=0.1) as relay:
        if frozen_after:
            threading.Timer(frozen_after, relay.frozen.set).start()
        else:
            relay.frozen.set()
        start = time.monotonic()
        found = probe(endpoint_of(sshd, address=relay.address, port=relay.port), str(sshd.root), False, deadline=3)
        assert time.monotonic() - start < within(3.3)
        assert not found.ready and said(found)
        relay.frozen.clear()


def test_host_check_tries_sudo(sshd, tmp_path):
    """A `sudo` of the test's own stands in the way of the real one: what is shown is how its answers are read."""
    for status, works in ((0, True), (1, False)):
        fake = tmp_path / str(status) / "sudo"
        fake.parent.mkdir()
        fake.write_text(f'#!/bin/sh\n[ "$1" = -n ] && shift\n[ {status} = 0 ] || exit 1\nexec "$@"\n')
        fake.chmod(0o755)
        text = probing.script(str(sshd.root), True, "n0")
        done = subprocess.run(["sh"], input=text, capture_output=True, env={"PATH": f"{fake.parent}:/usr/bin:/bin"})
        lines = [tuple(line.split(" ", 2)[1:]) for line in done.stdout.decode().splitlines()]
        found = judge(Finding(True), lines, str(sshd.root), True)
        assert (found.sudo_works, found.ready, found.base_path_writable) == (works, works, True if works else None)


def test_finding_describes_problems():
    lines = [
        ("uid", "1000"),
        ("user", "deploy"),
        ("missing", "flock"),
        ("missing", "<script>"),
        ("place", "yes"),
        ("free", "1024"),
        ("kills", "yes"),
        ("over", "yes"),
    ]
    found = judge(Finding(True), lines, "/srv", False)
    assert found.tools_missing == ["flock"]
    assert "flock" in said(found)
    assert any("linger" in each for each in warnings(found)) and any("1 MiB" in each for each in warnings(found))


def test_host_check_covers_runner_tools():
    needed = re.search(r"_need_tools\(\) \{\nfor _each in ([^;]*);", program.body()).group(1).split()
    assert set(needed) <= set(probing.TOOLS)


def test_host_check_tries_run_as_user(sshd):
    """A warning, not a problem: other services may be installed there."""
    found = check(endpoint_of(sshd), sshd.root, users=["no-such-user", "$(touch canary)"])
    assert found.ready
    assert [warning.split(" does not")[0] for warning in warnings(found) if "sudo" in warning] == [
        "sudo -n -u no-such-user",
        "sudo -n -u $(touch canary)",
    ]


@pytest.mark.skipif(bool(users.why_not()), reason=users.why_not() or "-")
def test_usable_run_as_user_is_no_warning(sshd):
    with users.made(("runs",)) as (name,):
        found = check(endpoint_of(sshd), sshd.root, users=[name])
        assert not [warning for warning in warnings(found) if "sudo" in warning]


@pytest.mark.parametrize(
    ("client", "state", "engine"),
    [
        ("case $1 in version) echo 20.10.24+dfsg1 ;; esac", "ready", "docker 20.10.24+dfsg1"),
        ("[ $1 != version ] || { echo 'permission denied while trying to connect' >&2; exit 1; }", "denied", "docker"),
        ("[ $1 != version ] || { echo 'Cannot connect to the Docker daemon' >&2; exit 1; }", "away", "docker"),
        ("[ $1 != version ] || sleep 60", "away", "docker"),
        ("case $1 in version) exit 125 ;; *) echo podman version 4.3.1 ;; esac", "ready", "podman 4.3.1"),
        ("[ $1 != version ] || echo '<script>'", None, ""),
        ("", "none", ""),
    ],
)
def test_finds_the_engine(tmp_path, client, state, engine):
    """Last, so that one which hangs prevents nothing."""
    bin = tmp_path / "bin"
    bin.mkdir()
    for name in ("id", "sh", "df", "sleep", "timeout", "grep", "true"):
        (bin / name).symlink_to(f"/usr/bin/{name}")
    for name in ("docker", *(["podman"] if "podman" in client else [])) if client else ():
        (bin / name).write_text(f"#!/bin/sh\n{client}\n")
        (bin / name).chmod(0o755)
    text = probing.script(str(tmp_path), False, "n0").decode()
    ran = subprocess.run(["sh", "-c", text], capture_output=True, text=True, env={"PATH": str(bin)}, timeout=within(20))
    lines = [line.split(" ", 2) for line in ran.stdout.splitlines()]
    found = judge(Finding(True), [(line[1], line[2].strip()) for line in lines if len(line) == 3], "/srv", False)
    assert (found.engine_state, found.engine) == (state, engine), ran
    assert [line[1] for line in lines].index("over") < len(lines) - bool(state)
