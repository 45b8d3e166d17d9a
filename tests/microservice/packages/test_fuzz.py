"""What we write of an archive is what every tar reads: 20,000 archives, FUZZ_ARCHIVES of them on request (`make fuzz`).

Those that are accepted are written anew; GNU tar, busybox tar and bsdtar unpack what was written, and each must make
exactly the members that were understood. Archives that are written the same way are unpacked once.
"""

import hashlib
import io
import os
import shutil
import stat
import subprocess
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from microservice.packages import archives
from microservice.packages.contents import Contents
from microservice.packages.headers import FILE
from microservice.packages.members import Members
from microservice.packages.streams import Gzip

from . import mutations

COUNT = int(os.environ.get("FUZZ_ARCHIVES", "20000"))
FIRST = int(os.environ.get("FUZZ_FIRST", "0"))
AT_ONCE = 500
TARS = {"GNU tar": "tar", "busybox": "busybox tar", "bsdtar": "bsdtar"}


def understood(data: bytes) -> dict[str, bytes]:
    """Return the archive's members: Contents.entries."""
    stream = io.BytesIO(data)
    members, contents = Members(Gzip(lambda: stream.read(1 << 20))), Contents()
    for member in members:
        contents.add(member)
        if member.kind == FILE:
            contents.describe(member, hashlib.sha256(b"".join(members.data())).digest())
    return contents.entries()


def on_disk(folder: Path) -> dict[str, bytes]:
    """Return the same of a folder, without following any link."""
    found: dict[str, bytes] = {}
    todo = [(os.fspath(folder), "")]
    while todo:
        path, name = todo.pop()
        with os.scandir(path) as entries:
            for each in entries:
                below = f"{name}/{each.name}" if name else each.name
                status = each.stat(follow_symlinks=False)
                mode = stat.S_IMODE(status.st_mode)
                if stat.S_ISLNK(status.st_mode):
                    found[below] = b"link " + os.fsencode(os.readlink(each.path))
                elif stat.S_ISDIR(status.st_mode):
                    found[below] = b"folder %o" % mode
                    todo.append((each.path, below))
                elif stat.S_ISREG(status.st_mode):
                    with open(each.path, "rb") as file:
                        content = hashlib.sha256(file.read()).hexdigest().encode()
                    found[below] = b"file %o %d %s" % (mode, status.st_size, content)
                else:
                    found[below] = b"something else"
    return found


def unpacked(folder: Path, packages: dict[int, bytes]) -> Iterator[tuple[str, int, dict[str, bytes]]]:
    """Return what each tar unpacks from each package: one shell for a tar, one process for a package."""
    for number, package in packages.items():
        (folder / f"{number}.tar").write_bytes(zlib.decompress(package, 31))
    for title, command in TARS.items():
        out = folder / "out"
        for number in packages:
            (out / str(number)).mkdir(parents=True)
        one = f'{command} -xof "$each" -C "out/${{each%.tar}}" || echo "${{each%.tar}}"'
        loop = f"umask 022; for each in *.tar; do {one}; done"
        done = subprocess.run(["sh", "-c", loop], cwd=folder, capture_output=True, text=True, timeout=600)
        assert not done.stdout, f"{title} does not unpack {done.stdout.split()}: {done.stderr[-500:]}"
        assert sorted(path.name for path in out.iterdir()) == sorted(map(str, packages))
        for number in packages:
            yield title, number, on_disk(out / str(number))
        shutil.rmtree(out)


def compare(packages: dict[int, bytes]) -> None:
    with tempfile.TemporaryDirectory(prefix="fuzz-", dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as folder:
        for title, number, found in unpacked(Path(folder), packages):
            expected = understood(mutations.archive(number))
            assert found == expected, f"{title} makes something else of archive {number}"


@pytest.mark.slow
@pytest.mark.timeout(600 + COUNT / 20)
def test_every_tar_reads_the_result():
    accepted = refused = different = 0
    written: set[bytes] = set()
    batch: dict[int, bytes] = {}
    for number in range(FIRST, FIRST + COUNT):
        source, out = io.BytesIO(mutations.archive(number)), io.BytesIO()
        try:
            archives.rewrite(lambda source=source: source.read(1 << 20), out.write)
        except archives.BadArchive:
            refused += 1
            continue
        accepted += 1
        package = out.getvalue()
        if (digest := hashlib.sha256(package).digest()) in written:
            continue
        written.add(digest)
        different += 1
        batch[number] = package
        if len(batch) == AT_ONCE:
            compare(batch)
            batch = {}
    compare(batch)
    print(
        f"\n{COUNT} archives: {accepted} accepted, {different} different ones unpacked three times, {refused} refused"
    )
    assert accepted > COUNT / 10 and refused > COUNT / 10 and different > COUNT / 50
