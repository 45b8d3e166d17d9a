"""Archives written by common programs: accepted, and unpacked to the same files."""

import gzip
import io
import os
import re
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from microservice.packages import archives
from tests.api.archives import END, entry, folder, packed, raw, rewritten

from .test_fuzz import TARS, on_disk

TIMES = {"TZ": "UTC"}
PYTHON = """python3 -c 'import sys, tarfile
with tarfile.open(fileobj=sys.stdout.buffer, mode="w|", format=tarfile.{}_FORMAT) as archive: archive.add(".")'"""
PROGRAMS = {
    "GNU tar": "tar -cf - .",
    "GNU tar, gnu": "tar --format=gnu -cf - .",
    "GNU tar, oldgnu": "tar --format=oldgnu -cf - .",
    "GNU tar, pax": "tar --format=pax -cf - .",
    "GNU tar, pax with attributes": "tar --format=pax --xattrs --acls --selinux -cf - .",
    "GNU tar, reproducible": "tar --sort=name --owner=0 --group=0 --numeric-owner --mtime=@0 -cf - .",
    "GNU tar, each file twice": "tar -cf - . ./bin ./bin/run link",
    "GNU tar, names": "tar -cf - * ..a",
    "GNU tar, children first": "find . -depth -print0 | tar --null --no-recursion -cf - -T -",
    "GNU tar, appended": "tar -cf ../a.tar bin; tar -rf ../a.tar .; cat ../a.tar; rm ../a.tar",
    "busybox tar": "busybox tar -cf - .",
    "bsdtar": "bsdtar -cf - .",
    "bsdtar, pax": "bsdtar --format=pax -cf - .",
    "bsdtar, gnutar": "bsdtar --format=gnutar -cf - .",
    "git": "git init -q . && git add -A && git -c user.name=a -c user.email=a@b.c commit -qm a && git archive HEAD"
    " && rm -rf .git",
    "Python, gnu": PYTHON.format("GNU"),
    "Python, pax": PYTHON.format("PAX"),
}
SHORT = {  # formats that have no long names
    "GNU tar, v7": "tar --format=v7 -cf - .",
    "GNU tar, ustar": "tar --format=ustar -cf - .",
    "bsdtar, ustar": "bsdtar --format=ustar -cf - .",
    "bsdtar, v7": "bsdtar --format=v7tar -cf - .",
    "Python, ustar": PYTHON.format("USTAR"),
}


@pytest.fixture
def tree(tmp_path) -> Path:
    """Create a release: modes, links, empty folders, names that need quoting."""
    tree = tmp_path / "tree"
    for name, content, mode in (
        ("bin/run", b"#!/bin/sh\nexit 0\n" * 100, 0o755),
        ("conf/secret", b"s", 0o600),
        ("empty", b"", 0o644),
        ("a file with spaces", b"x", 0o644),
        ("größe/übung.txt", b"u", 0o644),
        ("..a/b..", b"dots", 0o640),
    ):
        path = tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        path.chmod(mode)
    (tree / "noise").write_bytes(os.urandom(70_000))
    (tree / "link").symlink_to("bin/run")
    (tree / "bin/back").symlink_to("../conf")
    os.link(tree / "bin/run", tree / "bin/same")
    return tree


def long_names(tree: Path) -> None:
    name = tree / ("long " * 20) / ("x" * 200)
    name.parent.mkdir()
    name.write_bytes(b"long")
    (tree / "to long").symlink_to(name.relative_to(tree))
    (tree / "nowhere").symlink_to("y" * 150)


@pytest.mark.parametrize("program", [*PROGRAMS, *SHORT])
def test_accepts_tars_of_real_programs(tree, tmp_path, program):
    if program in PROGRAMS:
        long_names(tree)
    command = {**PROGRAMS, **SHORT}[program]
    if program != "git":  # which keeps no empty folder
        (tree / "no files/below").mkdir(parents=True)
    before = on_disk(tree)
    if program == "git":  # and of rights whether a file can be run
        before = {name: re.sub(b"^file 6[04]0", b"file 644", entry) for name, entry in before.items()}
    made = subprocess.run(["sh", "-c", command], cwd=tree, capture_output=True, env={**os.environ, **TIMES})
    assert made.returncode == 0 and made.stdout, made.stderr
    package = tmp_path / "package.tar.gz"
    package.write_bytes(rewritten(gzip.compress(made.stdout, 1)))
    for title, tar in TARS.items():
        out = tmp_path / title.replace(" ", "-")
        out.mkdir()
        done = subprocess.run(
            ["sh", "-c", f"umask 022; gzip -dc {package} | {tar} -xof - -C {out}"], capture_output=True
        )
        assert done.returncode == 0, (title, done.stderr)
        assert on_disk(out) == before, title
        assert os.path.samefile(out / "bin/run", out / "bin/same") or program == "git"
        shutil.rmtree(out)


@pytest.mark.parametrize(
    "packer", ["gzip -9", "gzip --rsyncable", "busybox gzip", "bsdtar --options gzip:compression-level=9 -czf - @-"]
)
def test_accepts_real_packers(tree, packer):
    plain = subprocess.run(["tar", "-cf", "-", "."], cwd=tree, capture_output=True, check=True).stdout
    made = subprocess.run(packer.split(), input=plain, capture_output=True, check=True).stdout
    assert rewritten(made)


def test_accepts_tar_of_macos():
    """Extended attributes in PAX records, and a file of its own for each."""
    records = {
        "LIBARCHIVE.creationtime": "1700000000.5",
        "LIBARCHIVE.xattr.com.apple.quarantine": "MDA4MQ",
        "SCHILY.xattr.com.apple.quarantine": "0081",
        "SCHILY.fflags": "nodump",
        "atime": "1700000000.123",
    }
    data = packed(folder("./"), entry("./._run", b"\0\5\x16\7"), entry("./run", b"x", mode=0o755, pax_headers=records))
    with tarfile.open(fileobj=io.BytesIO(rewritten(data)), mode="r:gz") as archive:
        assert [(one.name, one.pax_headers) for one in archive] == [("._run", {}), ("run", {})]


def test_rejects_sparse_file(tmp_path):
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(10 << 20)
        file.write(b"x")
    for form in ("gnu", "pax"):
        made = subprocess.run(
            ["tar", f"--format={form}", "--sparse", "-czf", "-", "sparse"],
            cwd=tmp_path,
            capture_output=True,
            check=True,
        ).stdout
        with pytest.raises(archives.BadArchive, match="sparse file"):
            rewritten(made)
    assert rewritten(subprocess.run(["tar", "-czf", "-", "sparse"], cwd=tmp_path, capture_output=True).stdout)


def test_accepts_signed_checksums():
    block = bytearray(raw("é".encode()))
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % (sum(block) - 256 * 2)
    assert rewritten(gzip.compress(bytes(block) + END))
