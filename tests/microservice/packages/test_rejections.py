"""A rejection names what was found and gives the command that makes a good package."""

import bz2
import gzip
import lzma
import subprocess

import pytest

from microservice.packages import archives
from tests.api.archives import (
    END,
    GOOD,
    entry,
    hard,
    link,
    packed,
    raw,
    rewritten,
    tar,
)

from .test_formats import PARTS, TWO, manifest

pytestmark = pytest.mark.found("packages")
FOUND = {
    "zstd": (b"\x28\xb5\x2f\xfd" + bytes(50), "Zstandard", "zstd -dc package.tar.zst | gzip"),
    "7z": (b"7z\xbc\xaf\x27\x1c" + bytes(50), "7-Zip", "7z x"),
    "rar": (b"Rar!\x1a\x07\1\0" + bytes(50), "RAR", "unrar x"),
    "deb": (b"!<arch>\ndebian-binary   " + bytes(50), "Debian package", "dpkg-deb --fsys-tarfile"),
    "html": (b"\n<!DOCTYPE html><title>404</title>", "web page", "tar -czf"),
    "html with a mark": (b"\xef\xbb\xbf<html>", "web page", "tar -czf"),
    "json": (b'{"message": "404 Project Not Found"}', "JSON document", "tar -czf"),
    "elf": (b"\x7fELF\2\1\1" + bytes(600), "executable", "tar -czf package.tar.gz PROGRAM"),
    "script": (b"#!/bin/sh\nid\n", "script", "tar -czf"),
    "png": (b"\x89PNG\r\n\x1a\n" + bytes(600), "PNG", "tar -czf"),
    "pointer": (
        b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n",
        "Git LFS pointer",
        "git lfs pull",
    ),
    "empty": (b"", "empty", "tar -czf"),
    "zeros": (bytes(4096), "contains no files", "folder that you packed"),
    "text": ("hello, 世界\n".encode(), "a text file", "tar -czf"),
    "noise": (bytes(range(7, 250)), "unknown format", "tar -czf"),
    "lz4": (b"\x04\x22\x4d\x18" + bytes(50), "LZ4", "lz4 -dc"),
    "gzip of a program": (
        gzip.compress(b"\x7fELF" + bytes(600)),
        "gzip data does not contain a tar archive, but an executable",
        "PROGRAM",
    ),
    "gzip of gzip": (gzip.compress(GOOD), "but gzip data", "gzip -dc"),
    "xz of a page": (lzma.compress(b"<html>" + b" " * 600), "xz data does not.*web page", "tar"),
    "bzip2 of nothing": (bz2.compress(b""), "bzip2 data does not.*empty", "tar"),
    "gzip of a zip": (gzip.compress(TWO), "gzip data does not.*a zip archive", "unzip"),
}


@pytest.mark.parametrize("what", FOUND)
def test_names_other_formats(what):
    data, words, command = FOUND[what]
    with pytest.raises(archives.BadArchive, match=words) as refused:
        rewritten(data)
    assert command in refused.value.hint


def test_command_for_zstandard_works(tmp_path):
    there = tmp_path / "package.tar"
    there.write_bytes(tar(*PARTS))
    subprocess.run(["zstd", "-q", str(there)], check=True)
    with pytest.raises(archives.BadArchive, match="Zstandard") as refused:
        rewritten((tmp_path / "package.tar.zst").read_bytes())
    subprocess.run(["sh", "-c", refused.value.hint.partition(": ")[2]], cwd=tmp_path, check=True)
    assert manifest((tmp_path / "package.tar.gz").read_bytes()) == manifest(packed(*PARTS))


NAMED = {
    "a sparse file of GNU tar": (gzip.compress(raw(b"big", 0, b"S") + END), "'big' is a sparse file"),
    "a character device": (packed(entry("x", kind=b"3")), "'x' is a character device"),
    "a block device": (packed(entry("x", kind=b"4")), "'x' is a block device"),
    "an absolute link": (packed(entry("f"), link("x", "/etc/passwd")), "'x' is a symbolic link to the absolute path"),
    "a link outside": (
        packed(entry("f"), link("x", "../y")),
        "'x' is a symbolic link that leads outside the package, to '../y'",
    ),
    "a hard link to nothing": (
        packed(entry("f"), hard("x", "y")),
        "'x' is a hard link to 'y', which is not an earlier file",
    ),
}


@pytest.mark.parametrize("what", NAMED)
def test_rejection_names_member(what):
    data, words = NAMED[what]
    with pytest.raises(archives.BadArchive, match=words):
        rewritten(data)


def test_names_sparse_file_of_real_tar(tmp_path):
    with (tmp_path / "disk.img").open("wb") as file:
        file.truncate(10 << 20)
        file.seek(5 << 20)
        file.write(b"x")
    for form in ("gnu", "pax", "oldgnu"):
        made = subprocess.run(
            ["tar", "-czf", "-", "--sparse", f"--format={form}", "disk.img"],
            cwd=tmp_path,
            capture_output=True,
            check=True,
        ).stdout
        with pytest.raises(archives.BadArchive, match=r"'disk.img' is a sparse file") as refused:
            rewritten(made)
        assert "without --sparse" in refused.value.hint
