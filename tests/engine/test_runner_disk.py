"""A disk that is full or not executable is found before the stop, and room is reserved for the rest."""

import os
import subprocess

import pytest

from deployer.engine.journal import Kind
from tests.lab.network import wait_until

from .host import package
from .refusals import refused

pytestmark = pytest.mark.found("ssh")


@pytest.fixture
def small(any_running):
    """Yield the service of `any_running` on a disk of its own, of 4 MiB and 200 inodes, mounted noexec."""
    kept = any_running.root / "kept"
    os.rename(any_running.base, kept)
    any_running.base.mkdir()
    options = "size=4m,nr_inodes=200,noexec,mode=755"
    mount = ["mount", "-t", "tmpfs", "-o", options, "none", any_running.base]
    mounted = subprocess.run(mount, capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"no disk can be mounted here: {mounted.stderr.strip()}")
    subprocess.run(["cp", "-a", f"{kept}/.", any_running.base], check=True)
    yield any_running
    any_running.end()
    subprocess.run(["umount", "-l", any_running.base], check=True)


@pytest.mark.parametrize("any_host", ["dash"], indirect=True)
@pytest.mark.parametrize("lacks", ["blocks", "inodes"])
def test_full_disk_fails_before_stop(small, lacks):
    """Free space from none to enough: with no amount does the service stop and the change then fail."""
    assert small.carry_out("upgrade", "v1", "v2").end.result == "done"
    assert small.carry_out("revert", "v2", "v1").end.result == "done"
    outcomes = []
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
        outcomes.append("done" if ended == "done" else "told")
    assert {"done", "told"} == set(outcomes), outcomes


def _fill(rest, lacks: str, free: int) -> None:
    """Leaves so many inodes, or so many blocks of 4 KiB."""
    rest.mkdir()
    room = os.statvfs(rest)
    if lacks == "blocks":
        (rest / "big").write_bytes(bytes((room.f_bavail - free) * room.f_bsize))
    for number in range(room.f_favail - free if lacks == "inodes" else 0):
        (rest / str(number)).touch()


def test_reserved_space_lasts_to_the_end(small):
    """The disk fills up between prepare and the stop: by the service, a log, or a neighbour."""
    files = f"i=0; while true >{small.base}/rest$i; do i=$((i + 1)); done 2>/dev/null"
    fill = f"{files}\ncat /dev/zero >{small.base}/rest0 2>/dev/null; true"
    call = small.carry_out("upgrade", "v1", "v2", pre=fill)
    assert call.end.result == "done", (call.said, call.output)
    assert (small.running, small.current) == ("v2", "releases/v2")
    assert not list((small.folder / ".deployer").glob("runs/*/reserve"))
    assert not list((small.folder / ".deployer").glob("current.*"))


def test_recovery_frees_reserved_space(any_running):
    """The run died with space still reserved; its undo needs that space on a full disk."""
    kept = any_running.root / "kept"
    room = f"cat {any_running.folder}/.deployer/runs/*/reserve | wc -c >{kept}"
    run = any_running.run("upgrade", "v1", "v2", pre=f"{room}; sleep 100", pre_undo=room)
    call = any_running.start(run)
    call.until(Kind.STARTED, "pre")
    wait_until(lambda: kept.exists() and kept.read_text().strip(), what="the command before the stop")
    assert int(kept.read_text()) == 16384
    call.kill()
    assert any_running.attach(run).over(40).end.result == "undone"
    assert int(kept.read_text()) == 0


@pytest.mark.parametrize("any_host", ["dash", "bash"], indirect=True)  # busybox looks at the file's mode alone
def test_noexec_disk_fails_prepare(small):
    small.packages["v2"] = package("v2", serve="#!/bin/sh\necho\n")
    reason = refused(small, start="./serve")
    assert "is not executable" in reason and "noexec" in reason
