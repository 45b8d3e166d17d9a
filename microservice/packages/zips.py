"""Reads a zip archive strictly: its central directory lists the members, and each local header must agree.

Readers of zip disagree where the two differ, where files overlap, or where data is between them. The output of
Info-ZIP, Python, Go, Java, .NET, bsdtar and git is accepted.
"""

import bz2
import calendar
import stat
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from .contents import MAX_MEMBERS, MAX_NAMES_BYTES
from .errors import BadArchive, quoted
from .headers import FILE, FOLDER, SYMLINK
from .members import CHUNK, MAX_MTIME, MAX_NAME_LENGTH, Member, check_kind, checked_name
from .streams import PIECE, refuse_bomb

_END, _END64, _LOCATOR = struct.Struct("<4s4H2LH"), struct.Struct("<4sQ2H2L4Q"), struct.Struct("<4sLQL")
_ENTRY, _LOCAL = struct.Struct("<4s6H3L5H2L"), struct.Struct("<4s5H3L2H")
_MAX_COMMENT = 65535
_ENCRYPTED, _DESCRIBED, _UTF8 = 1 | 1 << 6 | 1 << 13, 8, 0x800
_KNOWN_FLAGS = _DESCRIBED | _UTF8 | 6  # 6: the compression level
_MAX_VERSION = 63  # of the zip format, 6.3
_METHODS = (0, 8, 12)  # stored, deflated, bzip2
_AES = 99  # the method of members that WinZip encrypted
_OTHER_METHODS = {1: "shrinking", 6: "imploding", 9: "Deflate64", 14: "LZMA", 93: "Zstandard", 95: "xz"}
_UNIX = (3, 19)  # systems with Unix modes: Unix, macOS
_DESCRIPTORS = (12, 16, 20, 24)  # bytes that may follow a file's data where its sizes were not known before
_KIND_OF = {stat.S_IFCHR: b"3", stat.S_IFBLK: b"4", stat.S_IFIFO: b"6", stat.S_IFSOCK: b"s"}


@dataclass(frozen=True, slots=True)
class _Entry:
    raw: bytes  # the name
    flags: int
    method: int
    crc: int
    packed: int
    size: int
    offset: int
    made_by: int
    attributes: int
    date_and_time: tuple[int, int]
    extra: bytes


class ZipMembers:
    """Like `Members`, of a seekable file."""

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
            next_start = entries[number + 1].offset if number + 1 < len(entries) else self._end_of_files
            gap = next_start - start - entry.packed
            if gap and not (entry.flags & _DESCRIBED and gap in _DESCRIPTORS):
                raise BadArchive("bad_package.zip_overlap")
            member = _member(entry)
            if member.name in names:
                raise BadArchive("bad_package.duplicate_in_zip", name=quoted(member.name))
            names.add(member.name)
            if member.name == "META-INF/MANIFEST.MF":
                raise BadArchive("bad_package.jar")
            self._entry, self._start = entry, start
            if member.kind == SYMLINK:
                member = self._with_target(member)
            yield member
            if self._entry is not None and entry.size:
                raise RuntimeError("the data of a member was not read")

    def data(self) -> Iterator[bytes]:
        """Yield the data of the latest member in chunks of CHUNK bytes."""
        entry, self._entry = self._entry, None
        assert entry is not None
        pending = bytearray()
        size = crc = 0
        for piece in self._unpack(entry):
            size += len(piece)
            crc = zlib.crc32(piece, crc)
            if size > entry.size:
                break
            pending += piece
            while len(pending) >= CHUNK:
                yield bytes(pending[:CHUNK])
                del pending[:CHUNK]
        if size != entry.size or crc != entry.crc:
            raise BadArchive("bad_package.zip_checksum", name=_name(entry))
        if pending:
            yield bytes(pending)

    def _with_target(self, member: Member) -> Member:
        """Return a symlink with its target, which is its data."""
        if member.size > MAX_NAME_LENGTH:
            raise BadArchive("bad_package.link_target", name=quoted(member.name))
        target = b"".join(self.data()).decode("utf-8", "surrogateescape")
        return Member(member.name, SYMLINK, 0o777, member.mtime, 0, target)

    def _unpack(self, entry: _Entry) -> Iterator[bytes]:
        """Yield pieces of PIECE bytes at most. Packed data must end exactly where the archive says."""
        coder = {0: None, 8: zlib.decompressobj(-zlib.MAX_WBITS), 12: bz2.BZ2Decompressor()}[entry.method]
        at, left = self._start, entry.packed
        rest = b""
        try:
            while coder is None or not coder.eof:
                if not rest and left and (coder is None or getattr(coder, "needs_input", True)):
                    self._file.seek(at)
                    rest = self._file.read(min(PIECE, left))
                    at, left = at + len(rest), left - len(rest)
                had_input = bool(rest)
                piece = rest if coder is None else coder.decompress(rest, PIECE)
                rest = getattr(coder, "unconsumed_tail", b"")
                if not piece and not had_input and (coder is None or not coder.eof):
                    break
                self._unpacked += len(piece)
                refuse_bomb(at, self._unpacked)
                yield piece
        except (zlib.error, OSError) as error:
            raise BadArchive("bad_package.zip_data", name=_name(entry)) from error
        if left or rest or (coder is not None and (not coder.eof or coder.unused_data)):
            raise BadArchive("bad_package.zip_data_end", name=_name(entry))

    def _data_of(self, entry: _Entry) -> int:
        """Return the offset of its data. Its local header must agree with the directory."""
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
            raise BadArchive("bad_package.zip_mismatch")
        size, packed = _with_zip64(extra, size, packed)
        # Where the sizes follow the data, the ones here are empty, or equal.
        unset = {0, 0xFFFFFFFF} if flags & _DESCRIBED else set()
        if any(
            here != listed and here not in unset
            for here, listed in zip((crc, packed, size), (entry.crc, entry.packed, entry.size), strict=True)
        ):
            raise BadArchive("bad_package.zip_mismatch")
        return entry.offset + _LOCAL.size + name_size + extra_size

    def _directory(self) -> list[_Entry]:
        count, size, start = self._end()
        if count > MAX_MEMBERS or size > MAX_NAMES_BYTES + MAX_MEMBERS * _ENTRY.size:
            raise BadArchive("bad_package.too_many_members", max=MAX_MEMBERS)
        self._end_of_files = start
        entries: list[_Entry] = []
        at = start
        while len(entries) < count:
            fields = _ENTRY.unpack(self._read(at, _ENTRY.size))
            if fields[0] != b"PK\x01\x02":
                raise BadArchive("bad_package.zip_directory")
            lengths = fields[10:13]
            text = self._read(at + _ENTRY.size, sum(lengths))
            at += _ENTRY.size + len(text)
            entries.append(_entry(fields, text[: lengths[0]], text[lengths[0] : lengths[0] + lengths[1]]))
        if at != start + size or (entries and min(entry.offset for entry in entries)):
            raise BadArchive("bad_package.zip_surrounding")
        return entries

    def _end(self) -> tuple[int, int, int]:
        """Return (number of entries, bytes of the directory, its offset)."""
        tail_at = max(0, self._size - _END.size - _MAX_COMMENT)
        tail = self._read(tail_at, self._size - tail_at)
        at = tail.rfind(b"PK\x05\x06")
        if at < 0 or len(tail) - at < _END.size:
            raise BadArchive("bad_package.truncated")
        _, disk, first, here, count, size, start, comment = _END.unpack_from(tail, at)
        if at + _END.size + comment != len(tail):
            raise BadArchive("bad_package.trailing_data")
        end = tail_at + at
        if 0xFFFF in (count, here) or 0xFFFFFFFF in (size, start):
            mark, on_disk, where, disks = _LOCATOR.unpack(self._read(end - _LOCATOR.size, _LOCATOR.size))
            if mark != b"PK\x06\x07" or on_disk or disks > 1 or where + _END64.size != end - _LOCATOR.size:
                raise BadArchive("bad_package.zip_directory")
            mark, _, _, _, disk, first, here, count, size, start = _END64.unpack(self._read(where, _END64.size))
            end = where
            if mark != b"PK\x06\x06":
                raise BadArchive("bad_package.zip_directory")
        if disk or first or here != count:
            raise BadArchive("bad_package.zip_split")
        if start + size != end:
            raise BadArchive("bad_package.zip_surrounding")
        return count, size, start

    def _read(self, at: int, size: int) -> bytes:
        if at < 0:
            raise BadArchive("bad_package.truncated")
        self._file.seek(at)
        data = self._file.read(size)
        if len(data) != size:
            raise BadArchive("bad_package.truncated")
        return data


def _entry(fields: tuple, raw: bytes, extra: bytes) -> _Entry:
    _, made_by, needed, flags, method, time, date, crc, packed, size = fields[:10]
    offset = fields[16]
    if needed & 0xFF > _MAX_VERSION:
        raise BadArchive("bad_package.zip_directory")
    size, packed, offset = _with_zip64(extra, size, packed, offset)
    return _Entry(raw, flags, method, crc, packed, size, offset, made_by >> 8, fields[15], (date, time), extra)


def _fields(extra: bytes) -> dict[int, bytes]:
    """Return the extra fields by their number. Some programs pad with zeros behind the last one."""
    fields: dict[int, bytes] = {}
    at = 0
    while at + 4 <= len(extra):
        number, size = struct.unpack_from("<2H", extra, at)
        if at + 4 + size > len(extra):
            raise BadArchive("bad_package.zip_header")
        fields.setdefault(number, extra[at + 4 : at + 4 + size])
        at += 4 + size
    return fields


def _with_zip64(extra: bytes, *values: int) -> tuple[int, ...]:
    """Return the values, those of more than 32 bits replaced by the ones in a field of their own, in this order."""
    wide = _fields(extra).get(1, b"")
    replaced = []
    for value in values:
        if value == 0xFFFFFFFF and len(wide) >= 8:
            value, wide = int.from_bytes(wide[:8], "little"), wide[8:]
        replaced.append(value)
    return tuple(replaced)


def _name(entry: _Entry) -> str:
    return quoted(entry.raw.decode("utf-8", "replace"))


def _member(entry: _Entry) -> Member:
    if entry.flags & _ENCRYPTED or entry.method == _AES:
        raise BadArchive("bad_package.zip_encrypted", name=_name(entry))
    if entry.flags & ~_KNOWN_FLAGS:
        raise BadArchive("bad_package.zip_feature", name=_name(entry))
    if entry.method not in _METHODS:
        method = _OTHER_METHODS.get(entry.method, str(entry.method))
        raise BadArchive("bad_package.zip_method", name=_name(entry), method=method)
    name = _decoded(entry)
    if "\\" in name:
        raise BadArchive("bad_package.zip_backslashes", name=_name(entry))
    mode = entry.attributes >> 16 if entry.made_by in _UNIX else 0
    kind = _kind(name, mode)
    check_kind(name, kind, entry.size or entry.crc if kind not in (FILE, SYMLINK) else 0)
    bits = stat.S_IMODE(mode) or (0o755 if kind == FOLDER else 0o644)  # systems without modes write none
    return Member("/".join(checked_name(name)), kind, bits, _seconds(entry), entry.size)


def _kind(name: str, mode: int) -> bytes:
    file_type = stat.S_IFMT(mode)
    if file_type == stat.S_IFLNK:
        return SYMLINK
    if file_type == stat.S_IFDIR or (not file_type and name.endswith("/")):
        return FOLDER
    return _KIND_OF.get(file_type, FILE)


def _decoded(entry: _Entry) -> str:
    """Decode the name as UTF-8, declared or not; any other encoding would be a guess."""
    try:
        name = entry.raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadArchive("bad_package.zip_name", name=_name(entry)) from error
    if not name.strip("/"):
        raise BadArchive("bad_package.no_name")
    return name


def _seconds(entry: _Entry) -> int:
    """Return the modification time: UTC where the archive has it, else the writer's local time, taken as UTC."""
    stamp = _fields(entry.extra).get(0x5455, b"")
    if len(stamp) >= 5 and stamp[0] & 1:
        return max(0, min(int.from_bytes(stamp[1:5], "little", signed=True), MAX_MTIME))
    date, time = entry.date_and_time
    parts = ((date >> 9) + 1980, date >> 5 & 15, date & 31, time >> 11, time >> 5 & 63, (time & 31) * 2)
    try:
        return calendar.timegm((*parts, 0, 0, 0))
    except (ValueError, OverflowError):
        return 0
