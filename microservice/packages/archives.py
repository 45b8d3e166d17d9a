"""Rewrites an archive as a stream: the result contains only what was understood.

Hosts unpack with their own tar, and two readers of one archive may see different members in it. So an archive is not
checked and then kept. It is recognised (formats), unpacked within limits (streams) and parsed strictly (headers,
members, zips), its members are checked (contents), and a new .tar.gz is written of them (writer). Memory stays flat:
a file's data passes through in chunks. A zip archive has its directory at the end, so it is buffered on the disk.
"""

import hashlib
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from . import formats
from .contents import Contents
from .errors import BadArchive
from .headers import FILE
from .members import Members
from .writer import PackageWriter
from .zips import ZipMembers

__all__ = ["BadArchive", "Rewritten", "entries", "rewrite"]


@dataclass(frozen=True, slots=True)
class Rewritten:
    """The package that was written: hash and size of its bytes, size of its files, hash of its contents, and the
    contents as Contents.entries returns them."""

    sha256: str
    size: int
    unpacked_size: int
    manifest: str
    entries: Mapping[str, bytes] = field(repr=False, compare=False)


def rewrite(read: Callable[[], bytes], write: Callable[[bytes], object], folder: Path | None = None) -> Rewritten:
    """Read an archive to its end through `read` (a piece of packed bytes, b"" at the end) and write it anew.

    `folder`: where a zip archive is buffered. Raise BadArchive; discard everything that was written until then.
    `read` is called until it returns b"" only where the archive is accepted.
    """
    contents, writer = Contents(), PackageWriter(write)
    with _members(read, folder) as members:
        for member in members:
            kept = contents.add(member)
            for each in kept:
                writer.add(each)
            if member.kind == FILE:
                is_written = bool(kept) and kept[-1].kind == FILE
                contents.describe(member, _copy(members, writer if is_written else None))
    contents.check()
    writer.close()
    return Rewritten(writer.sha256, writer.size, contents.size, contents.manifest(), contents.entries())


def entries(read: Callable[[], bytes]) -> Mapping[str, bytes]:
    """Return the contents of an archive as Contents.entries does. Raise BadArchive."""
    contents = Contents()
    with _members(read, None) as members:
        for member in members:
            contents.add(member)
            if member.kind == FILE:
                contents.describe(member, _copy(members, None))
    return contents.entries()


@contextmanager
def _members(read: Callable[[], bytes], folder: Path | None) -> Iterator[Members | ZipMembers]:
    begin = b""
    while len(begin) < formats.MAGIC_BYTES and (piece := read()):
        begin += piece
    pending = [begin]

    def read_from_begin() -> bytes:
        return pending.pop() if pending else read()

    if not begin.startswith(formats.ZIP):
        yield Members(formats.open_tar(begin[: formats.MAGIC_BYTES], read_from_begin))
        return
    with tempfile.TemporaryFile(dir=folder) as file:
        while piece := read_from_begin():
            file.write(piece)
        yield ZipMembers(file)


def _copy(members: Members | ZipMembers, writer: PackageWriter | None) -> bytes:
    """Return the hash of a file's data, and write the data where there is a writer."""
    digest = hashlib.sha256()
    for chunk in members.data():
        digest.update(chunk)
        if writer is not None:
            writer.data(chunk)
    if writer is not None:
        writer.end_of_data()
    return digest.digest()
