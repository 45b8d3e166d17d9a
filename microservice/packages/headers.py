"""A tar archive's headers, read strictly: one meaning for each, or BadArchive.

Tar is a family of formats, and its readers disagree about whatever none of them would write. What GNU tar (v7, oldgnu,
gnu, ustar, pax), busybox, bsdtar, Python, Go and git write is accepted; what they would not write is refused.
"""

import re
from dataclasses import dataclass

from .errors import BadArchive, shown

BLOCK = 512
ZEROS = bytes(BLOCK)
EXTENDED_BYTES = 256 * 1024  # an extended header is read as a whole
FILE, HARD_LINK, SYMLINK, FOLDER = b"0", b"1", b"2", b"5"
LONG_NAME, LONG_LINK, PAX, GLOBAL = b"L", b"K", b"x", b"g"
EXTENDED = (LONG_NAME, LONG_LINK, PAX, GLOBAL)
SPARSE = b"S"
_USTAR, _GNU, _V7 = b"ustar\x0000", b"ustar  \0", bytes(8)
_OCTAL = re.compile(rb"[ \0]*+([0-7]*+)[ \0]*+\Z")
_LENGTH = re.compile(rb"([1-9][0-9]{0,5}) ")
_DECIMAL = re.compile(rb"[0-9]{1,19}\Z")
_TIME = re.compile(rb"(-?[0-9]{1,19})(?:\.[0-9]*)?\Z")
_CHARSETS = (b"BINARY", b"ISO-IR 10646 2000 UTF-8")
# What changes a member's meaning; every other key is dropped.
_MEANING = (b"path", b"linkpath", b"size", b"hdrcharset")
_SPARSE_NAME = re.compile(rb"[0-9]{1,9} (?:GNU\.sparse\.name|path)=(.{1,1024})")
AS_A_WHOLE = "Files are packed as a whole: tar -czf package.tar.gz -C FOLDER . without --sparse."
_SPARSE_KEYS = (b"GNU.sparse.", b"SCHILY.realsize", b"SCHILY.holesdata")


@dataclass(frozen=True, slots=True)
class Header:
    """One header block. `mtime` is in seconds; `has_magic` is false in the oldest format, which knows no folders."""

    name: bytes
    kind: bytes
    mode: int
    size: int
    mtime: int
    link: bytes
    has_magic: bool


def parse(block: bytes) -> Header:
    """Reads one block of 512 bytes that is not all zeros."""
    if len(block) < BLOCK:
        raise BadArchive("it ends too early")
    _check_sum(block)
    magic = block[257:265]
    if magic not in (_USTAR, _GNU, _V7):
        raise BadArchive("it is not a tar archive, or it is corrupt")
    name = _text(block[0:100])
    prefix = _text(block[345:500]) if magic == _USTAR else b""  # GNU tar keeps other things there
    size = _number(block[124:136])
    if size < 0:
        raise BadArchive("it has a member of negative size")
    return Header(
        name=prefix + b"/" + name if prefix else name,
        kind=FILE if block[156:157] == b"\0" else block[156:157],
        mode=_number(block[100:108]),
        size=size,
        mtime=_number(block[136:148]),
        link=_text(block[157:257]),
        has_magic=magic != _V7,
    )


def is_header(block: bytes) -> bool:
    """Whether a block can begin a tar archive: its magic is one of tar's, and its sum is right."""
    try:
        parse(block)
    except BadArchive:
        return False
    return len(block) == BLOCK


def long_text(data: bytes) -> bytes:
    """The name that a GNU `L` or `K` header holds: one text, with or without NULs behind it."""
    text = data.rstrip(b"\0")
    if not text or b"\0" in text:
        raise BadArchive("it has a long name that is empty or broken")
    return text


def pax_records(data: bytes, is_global: bool = False) -> dict[bytes, bytes]:
    """The records of an `x` or `g` header that say what a member is: path, linkpath, size, mtime."""
    found: dict[bytes, bytes] = {}
    position = 0
    while position < len(data):
        match = _LENGTH.match(data, position)
        end = position + int(match[1]) if match else 0
        if match is None or end > len(data) or end <= match.end() or data[end - 1 : end] != b"\n":
            raise BadArchive("it has a broken extended header")
        key, equals, value = data[match.end() : end - 1].partition(b"=")
        if not key or not equals:
            raise BadArchive("it has a broken extended header")
        if key.startswith(_SPARSE_KEYS):
            raise BadArchive(f"{_sparse_name(data)} is a sparse file", AS_A_WHOLE)
        _take_record(found, key, value, is_global)
        position = end
    return found


def _take_record(found: dict[bytes, bytes], key: bytes, value: bytes, is_global: bool) -> None:
    if key == b"hdrcharset" and value not in _CHARSETS:
        raise BadArchive("it has names in an unknown encoding")
    if key not in _MEANING and key != b"mtime":
        return
    # git writes a global header with a comment; one that renames members is not what anybody writes.
    if is_global and key in _MEANING:
        raise BadArchive("it has a global header that changes its members")
    if key in found or (key in _MEANING and not value):
        raise BadArchive("it has an extended header that says something twice, or nothing")
    found[key] = value


def _sparse_name(data: bytes) -> str:
    """Which file an extended header with a map of holes is about, as far as it says."""
    found = next(filter(None, map(_SPARSE_NAME.fullmatch, data.split(b"\n"))), None)
    return shown(found[1].decode("utf-8", "replace")) if found else "one of its members"


def decimal(value: bytes) -> int:
    """A size in an extended header."""
    if not _DECIMAL.match(value):
        raise BadArchive("it has a broken extended header")
    return int(value)


def seconds(value: bytes) -> int:
    """A time in an extended header, without its fraction."""
    match = _TIME.match(value)
    if match is None:
        raise BadArchive("it has a broken extended header")
    return int(match[1])


def _text(field: bytes) -> bytes:
    return field.partition(b"\0")[0]


def _number(field: bytes) -> int:
    """An octal number, or GNU's binary one: its first bit is set, its second one is the sign."""
    if field[0] & 0x80:
        value = int.from_bytes(bytes([field[0] & 0x7F]) + field[1:], "big")
        return value - (1 << (8 * len(field) - 1)) if field[0] & 0x40 else value
    match = _OCTAL.match(field)
    if match is None:
        raise BadArchive("it is not a tar archive, or it is corrupt")
    return int(match[1] or b"0", 8)


def _check_sum(block: bytes) -> None:
    expected = _number(block[148:156])
    rest = block[:148] + block[156:]
    unsigned = sum(rest) + 8 * 32
    # Some old programs took bytes for signed ones.
    if expected not in (unsigned, unsigned - 256 * sum(byte > 127 for byte in rest)):
        raise BadArchive("it is not a tar archive, or it is corrupt")
