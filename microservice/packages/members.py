"""The members of a tar archive, in order: headers put together with the extended ones before them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from . import headers
from .errors import BadArchive, shown
from .headers import BLOCK, FILE, FOLDER, HARD_LINK, SYMLINK, ZEROS, Header
from .streams import Stream

NAME_BYTES = 1024
DEPTH = 64
CHUNK = 256 * 1024  # what a file's data comes in: always the same, so that the same archive is written the same way
LAST_SECOND = 8**11 - 1  # what a header's octal field holds
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_KINDS = (FILE, HARD_LINK, SYMLINK, FOLDER)
_CALLED = {
    b"3": "{name} is a character device",
    b"4": "{name} is a block device",
    b"6": "{name} is a named pipe",
    b"7": "{name} is a contiguous file",
    headers.SPARSE: "{name} is a sparse file",
    b"s": "{name} is a socket",
    b"D": "{name} is GNU tar's list of a folder",
    b"M": "{name} goes on from another volume",
    b"V": "{name} is the label of a volume",
}


@dataclass(frozen=True, slots=True)
class Member:
    """`name` is normalised ("" for the root); `link` is a symlink's text as it stands, or a hard link's target name."""

    name: str
    kind: bytes
    mode: int
    mtime: int
    size: int = 0
    link: str = ""


class Members:
    """Iterates over an archive's members. The data of each must be taken with `data` before the next one."""

    def __init__(self, stream: Stream):
        self._stream = stream
        self._left = 0  # bytes of the member's data that were not taken yet

    def __iter__(self) -> Iterator[Member]:
        extra = _Extra()
        while (block := self._stream.exactly(BLOCK)) != ZEROS:
            header = headers.parse(block)
            if header.kind in headers.EXTENDED:
                checked_name(_decoded(header.name))
                extra.take(header.kind, self._extended(header))
                continue
            member = _member(header, extra)
            extra = _Extra()
            self._left = member.size
            yield member
            if self._left:
                raise RuntimeError("the data of a member was not read")
        if extra.seen:
            raise BadArchive("it ends too early")
        self._stream.expect_end()

    def data(self) -> Iterator[bytes]:
        """The data of the member that was yielded last, in chunks of CHUNK."""
        size, self._left = self._left, 0
        yield from self._stream.chunks(size, CHUNK)
        self._skip_padding(size)

    def _extended(self, header: Header) -> bytes:
        if header.size > headers.EXTENDED_BYTES:
            raise BadArchive("it has an extended header that is far too large")
        data = self._stream.exactly(header.size)
        self._skip_padding(header.size)
        return data

    def _skip_padding(self, size: int) -> None:
        self._stream.exactly(-size % BLOCK)


class _Extra:
    """What extended headers say about the member that follows: one way only, and each thing once."""

    def __init__(self) -> None:
        self.seen: list[bytes] = []
        self.name = self.link = b""
        self.records: dict[bytes, bytes] = {}

    def take(self, kind: bytes, data: bytes) -> None:
        if kind == headers.GLOBAL and not self.seen:
            headers.pax_records(data, is_global=True)
            return
        pax_and_other = self.seen and headers.PAX in (kind, *self.seen)
        if kind in self.seen or pax_and_other or kind == headers.GLOBAL:
            raise BadArchive("it has two extended headers for one member")
        self.seen.append(kind)
        if kind == headers.LONG_NAME:
            self.name = headers.long_text(data)
        elif kind == headers.LONG_LINK:
            self.link = headers.long_text(data)
        else:
            self.records = headers.pax_records(data)
            self.name, self.link = self.records.get(b"path", b""), self.records.get(b"linkpath", b"")


def _member(header: Header, extra: _Extra) -> Member:
    # Its plain name is checked too: programs that know no extended headers use that one.
    checked_name(_decoded(header.name))
    name = _decoded(extra.name or header.name)
    size = headers.decimal(extra.records[b"size"]) if b"size" in extra.records else header.size
    kind = header.kind
    if name.endswith("/") and kind == FILE and not header.has_magic and size == 0:
        kind = FOLDER  # in the oldest format this is how a folder is written
    check_kind(name, kind, size)
    if not name.strip("/"):
        raise BadArchive("it holds a member without a name")
    link = _decoded(extra.link or header.link) if kind in (SYMLINK, HARD_LINK) else ""
    mtime = headers.seconds(extra.records[b"mtime"]) if b"mtime" in extra.records else header.mtime
    return Member(
        name="/".join(checked_name(name)),
        kind=kind,
        mode=header.mode,
        mtime=max(0, min(mtime, LAST_SECOND)),
        size=size,
        link="/".join(checked_name(link)) if kind == HARD_LINK else link,
    )


def check_kind(name: str, kind: bytes, size: int) -> None:
    """Raises BadArchive for what is neither a file, a folder nor a link, calling it by its name."""
    if kind not in _KINDS:
        called = _CALLED.get(kind, "{name} is neither a file, a folder nor a link")
        raise BadArchive(called.format(name=shown(name)), headers.AS_A_WHOLE if kind == headers.SPARSE else "")
    if kind != FILE and size:
        raise BadArchive(f"{shown(name)} has data, but it is not a file")
    if kind != FOLDER and name.endswith("/"):
        raise BadArchive(f"{shown(name)} ends with a slash, but it is not a folder")


def checked_name(name: str) -> list[str]:
    """The parts of a member's name; [] for the archive's root. Raises BadArchive for a name that leads elsewhere."""
    if name.startswith("/") or len(name) > NAME_BYTES or _CONTROL.search(name):
        raise BadArchive(f"{shown(name)} is not a path inside a package")
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if ".." in parts or len(parts) > DEPTH or any(len(part.encode(errors="surrogateescape")) > 255 for part in parts):
        raise BadArchive(f"{shown(name)} is not a path inside a package")
    return parts


def check_link_text(name: str, target: str) -> None:
    """What a symlink may say at all; where it leads is decided when all links are known."""
    if not target or _CONTROL.search(target) or len(target) > NAME_BYTES:
        raise BadArchive(f"{shown(name)} is a symbolic link with an empty or impossible target")
    if target.startswith("/"):
        raise BadArchive(
            f"{shown(name)} is a symbolic link to an absolute path, {shown(target)}",
            "Links must be relative and stay inside: ln -sr TARGET LINK.",
        )


def _decoded(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")
