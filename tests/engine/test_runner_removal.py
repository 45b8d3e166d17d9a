"""Releases that resist removal: folders without write permission are removed, and the rest is reported."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from deployer.engine import failpoints, program
from deployer.engine.journal import Kind, Result
from tests.lab import users

from .host import EVERY_SHELL, Host, package
from .words import said

pytestmark = [
    pytest.mark.found("packages"),
    pytest.mark.skipif(bool(users.why_not()), reason=users.why_not() or "-"),
]


@pytest.fixture(scope="module")
def who():
    with users.made(("rm",)) as (name,):
        yield name


@pytest.fixture(params=EVERY_SHELL)
def deployed(request, who):
    """Yield a host to which an ordinary user logs in: root may remove everything, so nothing would resist it."""
    folder = Path(tempfile.mkdtemp(prefix="rm-", dir="/tmp"))
    folder.chmod(0o755)
    host = Host(folder, request.param)
    host.base.mkdir()
    host.user = who
    for path in (folder, host.base):
        shutil.chown(path, who, who)
    yield host
    host.end()
    shutil.rmtree(folder)


def close(host: Host, version: str, itself: bool = False) -> None:
    """Remove write permission inside a release, as tools do that keep read-only caches; and from its own folder."""
    release = host.folder / "releases" / version
    for name in ("cache", "cache/deep"):
        (release / name).mkdir()
        (release / name / "file").write_text("kept")
        os.chown(release / name, *owner(host))
    (release / "link").symlink_to("/etc")
    for path in (release / "cache/deep", release / "cache", *([release] if itself else [])):
        path.chmod(0o555)


def owner(host: Host) -> tuple[int, int]:
    stat = host.base.stat()
    return stat.st_uid, stat.st_gid


def trash(host: Host) -> list[str]:
    return sorted(str(path) for path in (host.folder / ".deployer").glob("trash/**/*"))


def left(host: Host) -> list[str]:
    return sorted(path.name for path in (host.folder / "releases").iterdir()) + trash(host)


@pytest.mark.parametrize("itself", [False, True], ids=["inside", "itself"])
def test_prunes_release_with_read_only_folders(deployed, itself):
    for old, new in ((None, "v1"), ("v1", "v2")):
        assert deployed.carry_out("install" if old is None else "upgrade", old, new).end.result is Result.DONE
    close(deployed, "v1", itself)
    ended = deployed.carry_out("upgrade", "v2", "v3", keep_releases=1)
    assert ended.end.result is Result.DONE, (ended.said, ended.output)
    assert left(deployed) == ["v2", "v3"]


@pytest.mark.parametrize("itself", [False, True], ids=["inside", "itself"])
def test_deletes_release_with_read_only_folders(deployed, itself):
    assert deployed.carry_out("install", None, "v1").end.result is Result.DONE
    close(deployed, "v1", itself)
    ended = deployed.carry_out("delete", "v1", None)
    assert ended.end.result is Result.DONE, (ended.said, ended.output)
    assert left(deployed) == []


def test_delete_fails_prepare_where_files_resist(deployed):
    """A folder inside belongs to another user: the service's user cannot empty it."""
    assert deployed.carry_out("install", None, "v1").end.result is Result.DONE
    foreign = deployed.folder / "releases" / "v1" / "theirs"
    foreign.mkdir(mode=0o755)
    (foreign / "file").write_text("stays")  # root's, who runs the tests
    deployed.log.unlink()
    ended = deployed.carry_out("delete", "v1", None)
    assert ended.end.result is Result.UNDONE
    failed = next(event for event in ended.events if event.kind is Kind.FAILED)
    assert (failed.step, failed.code) == ("prepare", "not_writable") and "releases/v1/theirs" in said(failed)
    assert deployed.logged == []
    assert (deployed.current, deployed.running) == ("releases/v1", "v1")
    assert left(deployed) == ["v1"]


def test_delete_with_late_leftovers_fails(deployed):
    """The stop command creates what cannot be removed, after the check."""
    assert deployed.carry_out("install", None, "v1").end.result is Result.DONE
    sign = deployed.root / "go"
    helper = subprocess.Popen(
        [
            sys.executable,
            "-c",
            (
                "import os, sys, time\n"
                f"release = {str(deployed.folder / 'releases' / 'v1')!r}\n"
                f"while not os.path.exists({str(sign)!r}): time.sleep(0.01)\n"
                "os.mkdir(release + '/theirs'); open(release + '/theirs/file', 'w').close()\n"
                f"open({str(sign)!r} + '.made', 'w').close()\n"
            ),
        ]
    )
    try:
        stop = f"rm {deployed.root}/running; : >{sign}; until [ -e {sign}.made ]; do sleep 0.01; done"
        ended = deployed.carry_out("delete", "v1", None, stop=stop)
    finally:
        helper.kill()
        helper.wait()
    assert ended.end.result in (Result.FAILED, Result.UNDONE), ended.end
    sentences = " ".join(said(event) for event in ended.events)
    assert "theirs" in sentences
    assert list(deployed.folder.rglob("theirs")), "it stays, and was reported"


def test_pruning_reports_leftovers(deployed):
    for old, new in ((None, "v1"), ("v1", "v2")):
        assert deployed.carry_out("install" if old is None else "upgrade", old, new).end.result is Result.DONE
    foreign = deployed.folder / "releases" / "v1" / "theirs"
    foreign.mkdir()
    (foreign / "file").write_text("stays")
    ended = deployed.carry_out("upgrade", "v2", "v3", keep_releases=1)
    assert ended.end.result is Result.DONE
    pruned = next(event for event in ended.events if event.kind is Kind.DONE and event.step == "prune")
    assert "v1/theirs" in said(pruned)
    assert deployed.running == "v3"


def test_release_of_deleted_version_is_not_reused(any_host):
    """Instances are forgotten, versions deleted and their names given again: what a host still has may be another's."""
    any_host.carry_out("install", None, "v1")
    any_host.carry_out("upgrade", "v1", "v2")
    any_host.packages["v1"] = package("v1", another="file")
    ended = any_host.carry_out("revert", "v2", "v1")
    assert ended.end.result is Result.DONE, (ended.said, ended.output)
    release = any_host.folder / "releases" / "v1"
    assert (release / "another").read_text() == "file"
    any_host.carry_out("upgrade", "v1", "v2")
    back = any_host.carry_out("revert", "v2", "v1")
    assert "have" in [event.kind for event in back.events], "the same package is not sent again"
    any_host.carry_out("delete", "v1", None)
    assert not list((any_host.folder / ".deployer").glob("sum.*"))


def test_release_without_sum_is_used(host):
    host.carry_out("install", None, "v1")
    host.carry_out("upgrade", "v1", "v2")
    for sums in (host.folder / ".deployer").glob("sum.*"):
        sums.unlink()
    back = host.carry_out("revert", "v2", "v1")
    assert "have" in [event.kind for event in back.events] and back.end.result is Result.DONE


def test_interrupted_removal_is_finished(host, monkeypatch):
    monkeypatch.setattr(failpoints, "ARMED", True)
    program.body.cache_clear()
    try:
        host.carry_out("install", None, "v1")
        (host.folder / ".deployer" / "crash").write_text("removing\n")
        run = host.run("delete", "v1", None)
        died = host.start(run).over()
        assert "end" not in died.said
        (host.folder / ".deployer" / "runs" / str(run.operation) / "why").write_text("cancelled\n")
        assert host.attach(run).over().end.result is Result.DONE, "a removal cannot be undone"
        assert left(host) == []
    finally:
        program.body.cache_clear()
