"""Packages of other teams, and packages with content that the check misses: entries 2 and 5."""

import gzip
import stat
import subprocess
import tarfile

import pytest

from tests.api.archives import END, entry, packed, raw
from tests.lab.fleet import package

from .caller import Meant
from .instance import RED_SECRET


@pytest.mark.entry(2)
def test_package_of_other_team(instance, tried):
    bob, path = instance.people["bob"], "redsvc/1.0.tar.gz"
    stored = instance.people["alice"].get(f"/services/redsvc/versions/{instance.red_version}").json["file_path"]
    bob.made("/services/", {"name": "thief", "team": "blue", "start_command": "cat $RELEASE/app/config.txt"})
    for name in (path, stored, ".incoming/x", "redsvc", "common/1.tar.gz"):
        answer = bob.post("/services/thief/versions/", {"version": "x", "status": "success", "file_path": name})
        tried(f"a version is made of the stored object {name}", answer.said, answer.status == 422)
    version = instance.publish(bob, "thief", "1", package({"mine": "mine"}))
    answer = bob.api("PATCH", f"/services/thief/versions/{version}", {"file_path": stored})
    tried("a version is turned into another team's package", answer.said, answer.status == 422)
    log = instance.installed(bob, "thief", version, "blue")["log"]
    tried("… and its files are printed on a host", Meant("they are not there"), RED_SECRET not in log)
    answer = bob.post("/services/", {"name": "redsvc/..", "team": "blue"})
    tried("a service is named so that its folder is another's", answer.said, answer.status == 422)
    bob.made("/services/", {"name": "destroyer", "team": "blue"})
    bob.post("/services/destroyer/versions/", {"version": "x", "file_path": stored})
    assert bob.api("DELETE", "/services/destroyer").status == 204
    there = (instance.folder / "packages" / stored).is_file()
    tried("a service is deleted together with another team's package", Meant("the package is there"), there)


SMUGGLED = {
    "a link to /etc in a file whose name is a folder's": gzip.compress(
        raw(b"d/", 512) + raw(b"smug", kind=b"2", link=b"/etc") + END
    ),
    "a device in a folder that has data": gzip.compress(raw(b"d/", 512, b"5") + raw(b"smug", kind=b"3") + END),
    "a link in a contiguous file with a slash": gzip.compress(
        raw(b"d/", 512, b"7") + raw(b"smug", kind=b"2", link=b"/etc") + END
    ),
    "a link behind an empty long name": gzip.compress(
        raw(b"././@LongLink", 0, b"L") + raw(b"d/", 512) + raw(b"smug", kind=b"2", link=b"/etc") + END
    ),
    "a link behind a global header of unknown keys": gzip.compress(
        raw(b"g", 512, b"g")
        + b"9 a=bcd\n\n".ljust(512, b"\0")
        + raw(b"d/", 512)
        + raw(b"smug", kind=b"2", link=b"/etc")
        + END
    ),
}


@pytest.mark.entry(5)
def test_smuggled_members(instance, tried):
    carol, alice = instance.people["carol"], instance.people["alice"]
    alice.made("/services/", {"name": "smuggler", "team": "red"})
    for number, (what, data) in enumerate(SMUGGLED.items(), 1):
        version = carol.made("/services/smuggler/versions/", {"version": f"{number}"})["id"]
        answer = carol.ask(
            "PUT", f"/api/v1/services/smuggler/versions/{version}/package", data, Content_Type="application/gzip"
        )
        if answer.status == 200:  # then a host must get what is harmless
            assert instance.installed(alice, "smuggler", version, "red")["status"] == "succeeded"
            bad = _strange(instance.hosts["red"].root / "smuggler" / "releases" / str(number))
            tried(f"a package smuggles {what}", f"not on the host: {bad}", not bad)
        else:
            tried(f"a package smuggles {what}", answer.said, answer.status == 422)


@pytest.mark.entry(5)
def test_set_uid_files(instance, tried):
    carol, alice = instance.people["carol"], instance.people["alice"]
    alice.made("/services/", {"name": "setuid", "team": "red"})
    data = packed(entry("bin/suid", b"#!/bin/sh\n", mode=0o6777), entry("f", b"x", uid=4711, uname="nobody"))
    version = instance.publish(carol, "setuid", "1", data)
    assert instance.installed(alice, "setuid", version, "red")["status"] == "succeeded"
    release = instance.hosts["red"].root / "setuid" / "releases" / "1"
    mode = stat.S_IMODE((release / "bin" / "suid").stat().st_mode)
    tried(
        "an honest archive brings a set-uid file that all may write", f"on the host it is {mode:04o}", not mode & 0o6022
    )
    stored = carol.get(f"/services/setuid/versions/{version}").json["file_path"]
    with tarfile.open(instance.folder / "packages" / stored) as archive:
        owners = {member.uid for member in archive}
    tried("… and one of another owner", f"owners in the store: {owners}", owners == {0})


@pytest.mark.entry(5)
def test_archive_bomb(instance, tried):
    carol = instance.people["carol"]
    instance.people["alice"].made("/services/", {"name": "bomb", "team": "red"})
    version = carol.made("/services/bomb/versions/", {"version": "1"})["id"]
    data = gzip.compress(raw(b"x", 300 << 20) + bytes(300 << 20) + bytes(1024), 9)
    answer = carol.ask(
        "PUT", f"/api/v1/services/bomb/versions/{version}/package", data, Content_Type="application/gzip"
    )
    tried(f"a package of {len(data) >> 10} KiB unpacks to 300 MiB", answer.said, answer.status == 422)
    left = [path for path in (instance.folder / "packages").rglob("*") if path.is_file() and "bomb" in str(path)]
    tried("… and something of it stays in the store", f"{len(left)} files", not left)


def _strange(folder) -> list[str]:
    """Return the names of what is no file, folder or link that stays inside; and of set-uid files."""
    found = []
    for path in folder.rglob("*"):
        mode = path.lstat().st_mode
        if stat.S_ISLNK(mode):
            outside = not path.resolve().is_relative_to(folder.resolve())
        else:
            outside = not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)) or mode & 0o6000
        found += [path.name] if outside else []
    return found


def test_gnu_tar_unpacks_smuggled_members(tmp_path):
    """The control: GNU tar unpacks the first of them."""
    archive = tmp_path / "a.tar.gz"
    archive.write_bytes(next(iter(SMUGGLED.values())))
    (tmp_path / "out").mkdir()
    subprocess.run(["tar", "-xzof", archive, "-C", tmp_path / "out"], check=True, capture_output=True)
    assert _strange(tmp_path / "out") == ["smug"]
