"""Reads the members of a tar archive in order: each header combined with the extended headers in front of it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from . import headers
from .errors import BadArchive, quoted
from .headers import BLOCK, FILE, FOLDER, HARD_LINK, SYMLINK, ZEROS, Header
from .streams import Stream

MAX_NAME_LENGTH = 1024
MAX_PART_BYTES = 255
MAX_DEPTH = 64
CHUNK = 256 * 1024  # bytes of a file's data at once: always the same, so that equal archives are written equally
MAX_MTIME = 8**11 - 1  # the largest number in a header's octal field
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_KINDS = (FILE, HARD_LINK, SYMLINK, FOLDER)
_REJECTED_KINDS = {
    b"3": "bad_package.character_device",
    b"4": "bad_package.block_device",
    b"6": "bad_package.named_pipe",
    b"7": "bad_package.contiguous",
    headers.SPARSE: "bad_package.sparse",
    b"s": "bad_package.socket",
    b"D": "bad_package.folder_list",
    b"M": "bad_package.volume_part",
    b"V": "bad_package.volume_label",
}


@dataclass(frozen=True, slots=True)
class Member:
    """One member. `name`: normalised, "" for the root. `link`: of a symlink its text, of a hard link its target."""

    name: str
    kind: bytes
    mode: int
    mtime: int
    size: int = 0
    link: str = ""


class Members:
    """Iterates over an archive's members. Read the data of each with `data` before the next one."""

    def __init__(self, stream: Stream):
        self._stream = stream
        self._left = 0  # bytes of the member's data that are not read yet

    def __iter__(self) -> Iterator[Member]:
        extra = _Extra()
        while (block := self._stream.exactly(BLOCK)) != ZEROS:
            header = headers.parse(block)
            if header.kind in headers.EXTENDED:
                checked_name(_decoded(header.name))
                extra.add(header.kind, self._extended(header))
                continue
            member = _member(header, extra)
            extra = _Extra()
            self._left = member.size
            yield member
            if self._left:
                raise RuntimeError("the data of a member was not read")
        if extra.kinds:
            raise BadArchive("bad_package.truncated")
        self._stream.expect_end()

    def data(self) -> Iterator[bytes]:
        """Yield the data of the latest member in chunks of CHUNK bytes."""
        size, self._left = self._left, 0
        yield from self._stream.chunks(size, CHUNK)
        self._skip_padding(size)

    def _extended(self, header: Header) -> bytes:
        if header.size > headers.MAX_EXTENDED_BYTES:
            raise BadArchive("bad_package.extended_header_size", max_kib=headers.MAX_EXTENDED_BYTES // 1024)
        data = self._stream.exactly(header.size)
        self._skip_padding(header.size)
        return data

    def _skip_padding(self, size: int) -> None:
        self._stream.exactly(-size % BLOCK)


class _Extra:
    """The extended headers of the member that follows. Two that could contradict each other are rejected."""

    def __init__(self) -> None:
        self.kinds: list[bytes] = []
        self.name = self.link = b""
        self.records: dict[bytes, bytes] = {}

    def add(self, kind: bytes, data: bytes) -> None:
        if kind == headers.GLOBAL and not self.kinds:
            headers.pax_records(data, is_global=True)
            return
        pax_and_other = self.kinds and headers.PAX in (kind, *self.kinds)
        if kind in self.kinds or pax_and_other or kind == headers.GLOBAL:
            raise BadArchive("bad_package.two_extended_headers")
        self.kinds.append(kind)
        if kind == headers.LONG_NAME:
            self.name = headers.long_text(data)
        elif kind == headers.LONG_LINK:
            self.link = headers.long_text(data)
        else:
            self.records = headers.pax_records(data)
            self.name, self.link = self.records.get(b"path", b""), self.records.get(b"linkpath", b"")


def _member(header: Header, extra: _Extra) -> Member:
    # The plain name is checked too: programs without extended headers use it.
    checked_name(_decoded(header.name))
    name = _decoded(extra.name or header.name)
    size = headers.decimal(extra.records[b"size"]) if b"size" in extra.records else header.size
    kind = header.kind
    if name.endswith("/") and kind == FILE and not header.has_magic and size == 0:
        kind = FOLDER  # the oldest format writes folders like this
    check_kind(name, kind, size)
    if not name.strip("/"):
        raise BadArchive("bad_package.no_name")
    link = _decoded(extra.link or header.link) if kind in (SYMLINK, HARD_LINK) else ""
    mtime = headers.seconds(extra.records[b"mtime"]) if b"mtime" in extra.records else header.mtime
    return Member(
        name="/".join(checked_name(name)),
        kind=kind,
        mode=header.mode,
        mtime=max(0, min(mtime, MAX_MTIME)),
        size=size,
        link="/".join(checked_name(link)) if kind == HARD_LINK else link,
    )


def check_kind(name: str, kind: bytes, size: int) -> None:
    """Raise BadArchive, which names the kind, unless the member is a file, a folder or a link."""
    if kind not in _KINDS:
        raise BadArchive(_REJECTED_KINDS.get(kind, "bad_package.unknown_kind"), name=quoted(name))
    if kind != FILE and size:
        raise BadArchive("bad_package.data", name=quoted(name))
    if kind != FOLDER and name.endswith("/"):
        raise BadArchive("bad_package.slash", name=quoted(name))


def checked_name(name: str) -> list[str]:
    """Return the parts of a member's name, [] for the root. Raise BadArchive for a name that leads elsewhere."""
    if name.startswith("/") or len(name) > MAX_NAME_LENGTH or _CONTROL.search(name):
        raise BadArchive("bad_package.path", name=quoted(name))
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if ".." in parts or len(parts) > MAX_DEPTH or any(_size(part) > MAX_PART_BYTES for part in parts):
        raise BadArchive("bad_package.path", name=quoted(name))
    return parts


def check_link_text(name: str, target: str) -> None:
    """Check a symlink's text. Where it leads is decided once all links are known (Contents.check)."""
    if not target or _CONTROL.search(target) or len(target) > MAX_NAME_LENGTH:
        raise BadArchive("bad_package.link_target", name=quoted(name))
    if target.startswith("/"):
        raise BadArchive("bad_package.link_absolute", name=quoted(name), target=quoted(target))


def _size(part: str) -> int:
    return len(part.encode(errors="surrogateescape"))


def _decoded(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")
