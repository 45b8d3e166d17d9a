"""Rewrites a .tar.gz while it streams by: what comes out is made of nothing but what was understood.

Hosts unpack with their own tar, and two readers of one archive may see different members in it. So no archive is
judged and then kept: it is parsed strictly (headers, members), its members are judged (contents), and a new archive is
written of them (writer). Memory stays flat: a file's data passes through in chunks.
"""
import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from .contents import Contents
from .errors import BadArchive
from .gunzip import GzipStream
from .headers import FILE
from .members import Members
from .writer import PackageWriter

__all__ = ["BadArchive", "Rewritten", "rewrite"]


@dataclass(frozen=True, slots=True)
class Rewritten:
    """The package that was written: hash and size of its bytes, bytes of its files, and a hash of what is in it."""

    sha256: str
    size: int
    unpacked_size: int
    manifest: str


def rewrite(read: Callable[[], bytes], write: Callable[[bytes], object]) -> Rewritten:
    """Reads an archive to its end through `read` (a piece of packed bytes, b"" at the end) and writes it anew.

    Raises BadArchive; what was written until then is to be thrown away. `read` is called until it gives b"" only where
    the archive is good.
    """
    contents, writer = Contents(), PackageWriter(write)
    members = Members(GzipStream(read))
    for member in members:
        kept = contents.add(member)
        for each in kept:
            writer.add(each)
        if member.kind == FILE:
            is_written = bool(kept) and kept[-1].kind == FILE
            contents.describe(member, _copy(members, writer if is_written else None))
    contents.check()
    writer.close()
    return Rewritten(writer.sha256, writer.size, contents.size, contents.manifest())


def _copy(members: Members, writer: PackageWriter | None) -> bytes:
    """The hash of a file's data, which is written on the way where there is a writer."""
    digest = hashlib.sha256()
    for chunk in members.data():
        digest.update(chunk)
        if writer is not None:
            writer.data(chunk)
    if writer is not None:
        writer.end_of_data()
    return digest.digest()
