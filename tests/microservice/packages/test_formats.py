"""Archives as pipelines make them: accepted and stored in one format, or rejected."""

import bz2
import gzip
import hashlib
import io
import lzma
import os
import random
import shutil
import stat
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from microservice.packages import archives, formats
from microservice.packages import zips as reader
from tests.api.archives import (
    END,
    entry,
    folder,
    link,
    packed,
    raw,
    rewritten,
    tar,
)

from . import zips

pytestmark = pytest.mark.found("packages")
PARTS = [
    folder("bin"),
    entry("bin/run", b"#!/bin/sh\n" * 300, mode=0o755),
    entry("data", os.urandom(300_000)),
    link("run", "bin/run"),
    entry("功能/été", b"x"),
]
ZIPPED = [
    zips.entry("bin/", mode=stat.S_IFDIR | 0o755),
    zips.entry("bin/run", b"#!/bin/sh\n" * 300, stat.S_IFREG | 0o755),
    zips.entry("data", PARTS[2][1], stat.S_IFREG | 0o644),
    zips.link("run", "bin/run"),
    zips.entry("功能/été", b"x", stat.S_IFREG | 0o644),
]


def manifest(data: bytes, piece: int = 65536) -> str:
    source = io.BytesIO(data)
    return archives.rewrite(lambda: source.read(piece), lambda _: None).manifest


TAKEN = {
    "tar": tar(*PARTS),
    "tar.bz2": bz2.compress(tar(*PARTS)),
    "tar.bz2 of pbzip2": bz2.compress(tar(*PARTS)[:99_000]) + bz2.compress(tar(*PARTS)[99_000:]),
    "tar.xz": lzma.compress(tar(*PARTS)),
    "tar.xz -9": lzma.compress(tar(*PARTS), preset=9 | lzma.PRESET_EXTREME),
    "tar.xz of blocks": lzma.compress(tar(*PARTS)[:99_000]) + lzma.compress(tar(*PARTS)[99_000:]),
    "zip": zips.made(*ZIPPED),
    "zip from a pipe": zips.made(*ZIPPED, streamed=True),
    "zip with a comment": zips.made(*ZIPPED, comment=b"build 7"),
    "zip of bzip2": zips.made(
        *[
            zips.entry(info.filename, data, info.external_attr >> 16, compress_type=zipfile.ZIP_BZIP2)
            for info, data in ZIPPED
        ]
    ),
}


@pytest.mark.parametrize("piece", [1 << 20, 4096, 7])
@pytest.mark.parametrize("what", TAKEN)
def test_formats_give_same_package(what, piece):
    assert manifest(TAKEN[what], piece) == manifest(packed(*PARTS))


def test_stores_one_format():
    for what, data in TAKEN.items():
        assert gzip.decompress(rewritten(data))[257:262] == b"ustar", what
        assert manifest(rewritten(data)) == manifest(data)


@pytest.mark.parametrize("program", ["zip", "bsdtar", "git", "python", "jar-like"])
def test_accepts_zips_of_real_programs(tmp_path, program):
    there = tmp_path / "there"
    (there / "bin").mkdir(parents=True)
    (there / "bin" / "run").write_text("#!/bin/sh\n" * 500)
    (there / "bin" / "run").chmod(0o755)
    (there / "empty").write_text("")
    (there / "été").write_text("x")
    (there / "up").symlink_to("bin/run")
    out = tmp_path / "out.zip"
    run = lambda *words: subprocess.run(words, cwd=there, check=True, capture_output=True)
    if program == "zip":
        run("zip", "-qry", str(out), ".")
    elif program == "bsdtar":
        run("bsdtar", "-caf", str(out), "bin", "empty", "été", "up")
    elif program == "git":
        run("git", "init", "-q")
        run("git", "add", ".")
        run("git", "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "x")
        run("git", "archive", "--format=zip", "-o", str(out), "HEAD")
        shutil.rmtree(there / ".git")
    else:
        shutil.make_archive(str(out.with_suffix("")), "zip", there) if program == "python" else run(
            "zip", "-qryX", "-fz", str(out), "."
        )
    kept = archives.entries(io.BytesIO(rewritten(out.read_bytes())).read)
    assert kept["bin/run"].startswith(b"file 755 5000 ") and kept["été"].startswith(b"file 644 1 ")
    assert kept["empty"].startswith(b"file 644 0 ")
    if program != "python":  # which follows links
        assert kept["up"] == b"link bin/run"


def test_zip_without_modes_and_zip64():
    plain = zips.made(zips.entry("a", b"x", create_system=0), zips.entry("d/", create_system=0))
    assert archives.entries(io.BytesIO(plain).read) == {
        "a": b"file 644 1 2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881",
        "d": b"folder 755",
    }
    assert manifest(zips.zip64(b"a", b"x" * 50)) == manifest(packed(entry("a", b"x" * 50)))


ONE = zips.made(zips.entry("a", b"some data" * 100, stat.S_IFREG | 0o644))
TWO = zips.made(zips.entry("a", b"1", compress_type=0), zips.entry("b", b"2", compress_type=0))


def moved_directory(data: bytes) -> bytes:
    """Both entries of its directory lead to the first file."""
    at = data.rindex(b"PK\x01\x02")
    return data[: at + 42] + bytes(4) + data[at + 46 :]


BAD_ZIPS = {
    "encrypted": (zips.flagged(ONE, 1), "is encrypted"),
    "of another method": (zips.method(ONE, 14), "compression method: LZMA"),
    "with a wrong checksum": (zips.changed(TWO, b"a1PK", b"a9PK"), "corrupt"),
    "cut": (ONE[:-30], "ends unexpectedly"),
    "cut in its data": (ONE[:60], "ends unexpectedly"),
    "with something behind it": (ONE + b"more", "trailing data"),
    "with something in front": (b"PK\x03\x04" + ONE, "in front of"),
    "with two files of one name": (zips.changed(TWO, b"b", b"a"), "twice"),
    "with files that overlap": (moved_directory(TWO), "overlap|different things"),
    "with another name in its directory": (zips.changed(TWO, b"b2", b"c2"), "different things"),
    "with a path up": (zips.made(zips.entry("../a", b"x")), "not a valid path inside"),
    "with an absolute path": (zips.made(zips.entry("/etc/x", b"x")), "not a valid path inside"),
    "with backslashes": (zips.made(zips.entry("bin\\run", b"x")), "backslashes"),
    "with a link up": (zips.made(zips.entry("f", b"x"), zips.link("a", "../x")), "symbolic link that leads outside"),
    "with an absolute link": (zips.made(zips.entry("f", b"x"), zips.link("a", "/etc/passwd")), "absolute path '/etc"),
    "with a long link": (zips.made(zips.entry("f", b"x"), zips.link("a", "x" * 2000)), "invalid target"),
    "with a file below a link": (zips.made(zips.link("d", "e"), zips.entry("d/x", b"x")), "not a folder"),
    "with a device": (zips.made(zips.entry("a", b"", stat.S_IFBLK)), "block device"),
    "with a pipe": (zips.made(zips.entry("a", b"", stat.S_IFIFO)), "named pipe"),
    "without a file": (zips.made(zips.entry("d/", mode=stat.S_IFDIR | 0o755)), "contains no files"),
    "without anything": (zips.made(), "zip archive without any file"),
    "that is a jar": (zips.made(zips.entry("META-INF/MANIFEST.MF", b"x")), "Java archive"),
    "with names in another encoding": (zips.changed(TWO, b"b", b"\xe9"), "unknown encoding"),
    "of which one part is there": (zips.changed(ONE, b"PK\x05\x06\0\0", b"PK\x05\x06\1\0"), "split"),
}


@pytest.mark.parametrize("what", BAD_ZIPS)
def test_rejects_bad_zip(what):
    data, words = BAD_ZIPS[what]
    with pytest.raises(archives.BadArchive, match=words):
        rewritten(data)


def bombs():
    million = bytes(1 << 20)
    big = io.BytesIO()
    with zipfile.ZipFile(big, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("zeros", "w") as one:
        for _ in range(256):
            one.write(million)
    header = raw(b"zeros", 256 << 20)
    yield "zip", big.getvalue()
    yield "bz2", bz2.compress(header + million * 256 + END)
    yield "xz", lzma.compress(header + million * 256 + END)


@pytest.mark.slow
def test_rejects_bombs_in_flat_memory():
    """In a process of its own, so that nothing else counts."""
    script = """
import io, resource, sys, time
from microservice.packages import archives
data = sys.stdin.buffer.read()
source = io.BytesIO(data)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    archives.rewrite(lambda: source.read(65536), lambda _: None)
    print("taken")
except archives.BadArchive as error:
    print(error, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "deployer.settings", "DEBUG": "1"}
    setup = "import django; django.setup()\n"
    for what, data in bombs():
        done = subprocess.run(
            [sys.executable, "-c", setup + script],
            input=data,
            env=environment,
            capture_output=True,
            cwd=Path(__file__).parents[3],
            timeout=120,
        )
        words, _, grown = done.stdout.decode().strip().rpartition(" ")
        assert words == "The unpacked size exceeds the limit of 16 GiB or of 250 times the packed size.", (
            what,
            done.stdout,
            done.stderr[-500:],
        )
        assert int(grown) < 40 * 1024, (what, grown)  # KiB


def test_rejects_xz_that_needs_much_memory():
    filters = [{"id": lzma.FILTER_LZMA2, "dict_size": 256 << 20}]
    with pytest.raises(archives.BadArchive, match="72 MiB of memory") as refused:
        rewritten(lzma.compress(tar(*PARTS), filters=filters))
    assert "xz -9" in refused.value.hint


def test_rejects_large_zip_directory(monkeypatch):
    monkeypatch.setattr(reader, "MAX_MEMBERS", 10)
    rewritten(zips.made(*[zips.entry(f"f{number}") for number in range(10)]))
    with pytest.raises(archives.BadArchive, match="more than 10 members"):
        rewritten(zips.made(*[zips.entry(f"f{number}") for number in range(11)]))


@pytest.mark.parametrize("make", [bz2.compress, lzma.compress, lambda data: data], ids=["bz2", "xz", "tar"])
def test_rejects_every_cut_of_other_formats(make):
    """tar alone has a checksum of its headers only: there a flip in the data is other data."""
    small = make(tar(entry("bin/run", os.urandom(300))))
    whole = 512 + 512 + 512 if small[257:262] == b"ustar" else len(small)  # what is behind a tar's end is padding
    for at in range(0, whole - 1, 3):
        with pytest.raises(archives.BadArchive):
            rewritten(small[:at])
    chance = random.Random(5)
    for _ in range(400):
        at = chance.randrange(len(small))
        flipped = small[:at] + bytes([small[at] ^ 1 << chance.randrange(8)]) + small[at + 1 :]
        try:
            kept = rewritten(flipped)
        except archives.BadArchive:
            continue
        assert kept == rewritten(small) or small[257:262] == b"ustar"


def test_reads_changed_zip_as_python_or_rejects_it(tmp_path):
    """20 changes at once at most; what is accepted means the same to Python, and bsdtar lists some of it."""
    count = int(os.environ.get("FUZZ_ZIPS", "3000"))
    chance = random.Random(int(os.environ.get("FUZZ_FIRST", "0")))
    accepted = listed = 0
    bases = [
        zips.made(*ZIPPED[:2], *ZIPPED[3:]),
        TWO,
        ONE,
        zips.made(*ZIPPED[:2], streamed=True),
        zips.zip64(b"a", b"x" * 50),
    ]
    for _ in range(count):
        data = bytearray(chance.choice(bases))
        for _ in range(chance.choice((1, 1, 2, 5, 20))):
            at = chance.randrange(len(data))
            change = chance.randrange(4)
            if change == 0:
                data[at] ^= 1 << chance.randrange(8)
            elif change == 1:
                data[at] = chance.choice((0, 1, 0xFF, 0x50, data[at - 1]))
            elif change == 2:
                del data[at : at + chance.choice((1, 1, 4, 30))]
            else:
                data[at:at] = bytes(data[at - 8 : at]) or b"PK"
            if not data:
                break
        source = io.BytesIO(bytes(data))
        if not data.startswith(formats.ZIP):
            continue
        try:
            kept = archives.entries(source.read)
        except archives.BadArchive:
            continue
        accepted += 1
        with zipfile.ZipFile(io.BytesIO(bytes(data))) as archive:
            theirs = {info.filename.strip("/"): archive.read(info) for info in archive.infolist() if not info.is_dir()}
        ours = {name: what for name, what in kept.items() if what.startswith(b"file")}
        for name, what in ours.items():
            match = [body for other, body in theirs.items() if os.path.normpath(_utf8(other)) == os.path.normpath(name)]
            assert match and what.split()[3].decode() == hashlib.sha256(match[0]).hexdigest(), (name, theirs.keys())
        if accepted % 20 == 0:
            out = tmp_path / f"{accepted}.zip"
            out.write_bytes(data)
            done = subprocess.run(["bsdtar", "-tf", str(out)], capture_output=True)
            listed += done.returncode == 0
    assert accepted > 30 and listed > 0


def _utf8(name: str) -> str:
    try:
        return name.encode("cp437").decode()
    except (UnicodeEncodeError, UnicodeDecodeError):
        return name
