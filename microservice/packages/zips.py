"""A zip archive, read strictly: its central directory says what is in it, and each local header must agree.

Zip's readers disagree where the two differ, where files overlap, or where something lies between them. What Info-ZIP,
Python, Go, Java, .NET, bsdtar and git write is accepted.
"""

import bz2
import calendar
import stat
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from .contents import ALL_NAMES_BYTES, MEMBERS
from .errors import BadArchive, shown
from .headers import FILE, FOLDER, SYMLINK
from .members import CHUNK, LAST_SECOND, NAME_BYTES, Member, check_kind, checked_name
from .streams import PIECE, refuse_bomb

_END, _END64, _LOCATOR = struct.Struct("<4s4H2LH"), struct.Struct("<4sQ2H2L4Q"), struct.Struct("<4sLQL")
_ENTRY, _LOCAL = struct.Struct("<4s6H3L5H2L"), struct.Struct("<4s5H3L2H")
_COMMENT = 65535
_ENCRYPTED, _DESCRIBED, _UTF8 = 1 | 1 << 6 | 1 << 13, 8, 0x800
_KNOWN_FLAGS = _DESCRIBED | _UTF8 | 6  # 6: how hard it was packed
_NEWEST = 63  # the version of the format that says how the newest members are read, 6.3
_METHODS = (0, 8, 12)  # stored, deflated, bzip2
_OTHER_METHODS = {1: "shrinking", 6: "imploding", 9: "Deflate64", 14: "LZMA", 93: "Zstandard", 95: "xz"}
_UNIX = (3, 19)  # who made it: Unix, macOS
_DESCRIPTORS = (12, 16, 20, 24)  # bytes that may follow a file's data where its sizes were not known before it
_KIND_OF = {stat.S_IFCHR: b"3", stat.S_IFBLK: b"4", stat.S_IFIFO: b"6", stat.S_IFSOCK: b"s"}
_AGAIN = "Make it with zip -r package.zip . or with tar -czf package.tar.gz -C FOLDER ."


@dataclass(frozen=True, slots=True)
class _Entry:
    raw: bytes  # the name, as it stands there
    flags: int
    method: int
    crc: int
    packed: int
    size: int
    offset: int
    made_by: int
    attributes: int
    moment: tuple[int, int]
    extra: bytes


class ZipMembers:
    """As `Members`, of a file that can be read anywhere."""

    def __init__(self, file: BinaryIO):
        self._file = file
        self._size = file.seek(0, 2)
        self._entry: _Entry | None = None
        self._unpacked = 0

    def __iter__(self) -> Iterator[Member]:
        entries = sorted(self._directory(), key=lambda entry: entry.offset)
        names: set[str] = set()
        for number, entry in enumerate(entries):
            start = self._data_of(entry)
            behind = entries[number + 1].offset if number + 1 < len(entries) else self._end_of_files
            gap = behind - start - entry.packed
            if gap and not (entry.flags & _DESCRIBED and gap in _DESCRIPTORS):
                raise BadArchive("it has files that overlap, or something between them", _AGAIN)
            member = _member(entry)
            if member.name in names:
                raise BadArchive(f"{shown(member.name)} is there twice", _AGAIN)
            names.add(member.name)
            if member.name == "META-INF/MANIFEST.MF":
                raise BadArchive("it is a Java archive, which would be unpacked", "tar -czf package.tar.gz app.jar")
            self._entry, self._start = entry, start
            if member.kind == SYMLINK:
                member = self._with_target(member)
            yield member
            if self._entry is not None and entry.size:
                raise RuntimeError("the data of a member was not read")

    def data(self) -> Iterator[bytes]:
        """The data of the member that was yielded last, in chunks of CHUNK."""
        entry, self._entry = self._entry, None
        assert entry is not None
        kept = bytearray()
        size = crc = 0
        for piece in self._unpack(entry):
            size += len(piece)
            crc = zlib.crc32(piece, crc)
            if size > entry.size:
                break
            kept += piece
            while len(kept) >= CHUNK:
                yield bytes(kept[:CHUNK])
                del kept[:CHUNK]
        if size != entry.size or crc != entry.crc:
            raise BadArchive(f"{_name(entry)} is corrupt: its size or checksum is not what the archive says")
        if kept:
            yield bytes(kept)

    def _with_target(self, member: Member) -> Member:
        """A symlink's target is its data."""
        if member.size > NAME_BYTES:
            raise BadArchive(f"{shown(member.name)} is a symbolic link with an empty or impossible target")
        target = b"".join(self.data()).decode("utf-8", "surrogateescape")
        return Member(member.name, SYMLINK, 0o777, member.mtime, 0, target)

    def _unpack(self, entry: _Entry) -> Iterator[bytes]:
        """Pieces of PIECE bytes at most. Packed data must end exactly where the archive says."""
        coder = {0: None, 8: zlib.decompressobj(-zlib.MAX_WBITS), 12: bz2.BZ2Decompressor()}[entry.method]
        at, left = self._start, entry.packed
        rest = b""
        try:
            while coder is None or not coder.eof:
                if not rest and left and (coder is None or getattr(coder, "needs_input", True)):
                    self._file.seek(at)
                    rest = self._file.read(min(PIECE, left))
                    at, left = at + len(rest), left - len(rest)
                given = len(rest)
                piece = rest if coder is None else coder.decompress(rest, PIECE)
                rest = getattr(coder, "unconsumed_tail", b"")
                if not piece and not given and (coder is None or not coder.eof):
                    break
                self._unpacked += len(piece)
                refuse_bomb(at, self._unpacked)
                yield piece
        except (zlib.error, OSError) as error:
            raise BadArchive(f"{_name(entry)} is corrupt") from error
        if left or rest or (coder is not None and (not coder.eof or coder.unused_data)):
            raise BadArchive(f"{_name(entry)} is corrupt: its data ends elsewhere than the archive says")

    def _data_of(self, entry: _Entry) -> int:
        """Where its data begins. Its local header must say what the directory says."""
        raw = self._read(entry.offset, _LOCAL.size)
        mark, _, flags, method, _, _, crc, packed, size, name_size, extra_size = _LOCAL.unpack(raw)
        name = self._read(entry.offset + _LOCAL.size, name_size)
        extra = self._read(entry.offset + _LOCAL.size + name_size, extra_size)
        if (
            mark != b"PK\x03\x04"
            or name != entry.raw
            or (flags ^ entry.flags) & (_ENCRYPTED | _DESCRIBED | _UTF8)
            or (method != entry.method)
        ):
            raise BadArchive("its directory and its files say different things", _AGAIN)
        size, packed = _with_zip64(extra, size, packed)
        # Where the sizes stand behind the data, what stands here is nothing, or the same.
        free = {0, 0xFFFFFFFF} if flags & _DESCRIBED else set()
        if any(
            here != there and here not in free
            for here, there in zip((crc, packed, size), (entry.crc, entry.packed, entry.size), strict=True)
        ):
            raise BadArchive("its directory and its files say different things", _AGAIN)
        return entry.offset + _LOCAL.size + name_size + extra_size

    def _directory(self) -> list[_Entry]:
        count, size, start = self._end()
        if count > MEMBERS or size > ALL_NAMES_BYTES + MEMBERS * _ENTRY.size:
            raise BadArchive(f"it holds more than {MEMBERS} members, or too many long names")
        self._end_of_files = start
        entries: list[_Entry] = []
        at = start
        while len(entries) < count:
            fields = _ENTRY.unpack(self._read(at, _ENTRY.size))
            if fields[0] != b"PK\x01\x02":
                raise BadArchive("its directory is corrupt")
            lengths = fields[10:13]
            text = self._read(at + _ENTRY.size, sum(lengths))
            at += _ENTRY.size + len(text)
            entries.append(_entry(fields, text[: lengths[0]], text[lengths[0] : lengths[0] + lengths[1]]))
        if at != start + size or (entries and min(entry.offset for entry in entries)):
            raise BadArchive("it has something in front of its files, or behind its directory", _AGAIN)
        return entries

    def _end(self) -> tuple[int, int, int]:
        """(how many, bytes of the directory, where it begins)"""
        tail_at = max(0, self._size - _END.size - _COMMENT)
        tail = self._read(tail_at, self._size - tail_at)
        at = tail.rfind(b"PK\x05\x06")
        if at < 0 or len(tail) - at < _END.size:
            raise BadArchive("it ends too early")
        _, disk, first, here, count, size, start, comment = _END.unpack_from(tail, at)
        if at + _END.size + comment != len(tail):
            raise BadArchive("there is data behind its end")
        end = tail_at + at
        if 0xFFFF in (count, here) or 0xFFFFFFFF in (size, start):
            mark, on_disk, where, disks = _LOCATOR.unpack(self._read(end - _LOCATOR.size, _LOCATOR.size))
            if mark != b"PK\x06\x07" or on_disk or disks > 1 or where + _END64.size != end - _LOCATOR.size:
                raise BadArchive("its directory is corrupt")
            mark, _, _, _, disk, first, here, count, size, start = _END64.unpack(self._read(where, _END64.size))
            end = where
            if mark != b"PK\x06\x06":
                raise BadArchive("its directory is corrupt")
        if disk or first or here != count:
            raise BadArchive("it is one part of a zip archive that was split")
        if start + size != end:
            raise BadArchive("it has something in front of its files, or behind its directory", _AGAIN)
        return count, size, start

    def _read(self, at: int, size: int) -> bytes:
        if at < 0:
            raise BadArchive("it ends too early")
        self._file.seek(at)
        data = self._file.read(size)
        if len(data) != size:
            raise BadArchive("it ends too early")
        return data


def _entry(fields: tuple, raw: bytes, extra: bytes) -> _Entry:
    _, made, needed, flags, method, time, date, crc, packed, size = fields[:10]
    offset = fields[16]
    if needed & 0xFF > _NEWEST:
        raise BadArchive("its directory is corrupt")
    size, packed, offset = _with_zip64(extra, size, packed, offset)
    return _Entry(raw, flags, method, crc, packed, size, offset, made >> 8, fields[15], (date, time), extra)


def _fields(extra: bytes) -> dict[int, bytes]:
    """Extra fields by their number. Some programs pad with zeros behind the last one."""
    found: dict[int, bytes] = {}
    at = 0
    while at + 4 <= len(extra):
        number, size = struct.unpack_from("<2H", extra, at)
        if at + 4 + size > len(extra):
            raise BadArchive("one of its headers is corrupt")
        found.setdefault(number, extra[at + 4 : at + 4 + size])
        at += 4 + size
    return found


def _with_zip64(extra: bytes, *values: int) -> tuple[int, ...]:
    """Those that do not fit into 32 bits stand in a field of their own, in this order."""
    wide = _fields(extra).get(1, b"")
    found = []
    for value in values:
        if value == 0xFFFFFFFF and len(wide) >= 8:
            value, wide = int.from_bytes(wide[:8], "little"), wide[8:]
        found.append(value)
    return tuple(found)


def _name(entry: _Entry) -> str:
    return shown(entry.raw.decode("utf-8", "replace"))


def _member(entry: _Entry) -> Member:
    if entry.flags & _ENCRYPTED or entry.method == 99:
        raise BadArchive(f"{_name(entry)} is encrypted", _AGAIN)
    if entry.flags & ~_KNOWN_FLAGS:
        raise BadArchive(f"{_name(entry)} is packed in a way that is not read here", _AGAIN)
    if entry.method not in _METHODS:
        called = _OTHER_METHODS.get(entry.method, f"method {entry.method}")
        raise BadArchive(f"{_name(entry)} is packed by {called}, which is not read here", _AGAIN)
    name = _decoded(entry)
    if "\\" in name:
        raise BadArchive(f"{_name(entry)} has backslashes instead of slashes in its name", _AGAIN)
    mode = entry.attributes >> 16 if entry.made_by in _UNIX else 0
    kind = _kind(name, mode)
    check_kind(name, kind, entry.size or entry.crc if kind not in (FILE, SYMLINK) else 0)
    bits = stat.S_IMODE(mode) or (0o755 if kind == FOLDER else 0o644)  # who knows no rights wrote none
    return Member("/".join(checked_name(name)), kind, bits, _seconds(entry), entry.size)


def _kind(name: str, mode: int) -> bytes:
    form = stat.S_IFMT(mode)
    if form == stat.S_IFLNK:
        return SYMLINK
    if form == stat.S_IFDIR or (not form and name.endswith("/")):
        return FOLDER
    return _KIND_OF.get(form, FILE)


def _decoded(entry: _Entry) -> str:
    """UTF-8, said or not; any other encoding would be a guess."""
    try:
        name = entry.raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadArchive(f"{_name(entry)} is in an unknown encoding", "Names must be UTF-8.") from error
    if not name.strip("/"):
        raise BadArchive("it holds a member without a name")
    return name


def _seconds(entry: _Entry) -> int:
    """The time of its last change: UTC where the archive says so, else the clock of who made it, taken for UTC."""
    stamp = _fields(entry.extra).get(0x5455, b"")
    if len(stamp) >= 5 and stamp[0] & 1:
        return max(0, min(int.from_bytes(stamp[1:5], "little", signed=True), LAST_SECOND))
    date, time = entry.moment
    parts = ((date >> 9) + 1980, date >> 5 & 15, date & 31, time >> 11, time >> 5 & 63, (time & 31) * 2)
    try:
        return calendar.timegm((*parts, 0, 0, 0))
    except (ValueError, OverflowError):
        return 0
