"""Parses the headers of a tar archive strictly: each has one meaning, or raises BadArchive.

Tar is a family of formats, and readers disagree about everything that no writer produces. The output of GNU tar (v7,
oldgnu, gnu, ustar, pax), busybox, bsdtar, Python, Go and git is accepted; everything else is rejected.
"""

import re
from dataclasses import dataclass

from .errors import BadArchive, quoted

BLOCK = 512
ZEROS = bytes(BLOCK)
MAX_EXTENDED_BYTES = 256 * 1024  # an extended header is read as a whole
FILE, HARD_LINK, SYMLINK, FOLDER = b"0", b"1", b"2", b"5"
LONG_NAME, LONG_LINK, PAX, GLOBAL = b"L", b"K", b"x", b"g"
EXTENDED = (LONG_NAME, LONG_LINK, PAX, GLOBAL)
SPARSE = b"S"
_USTAR, _GNU, _NO_MAGIC = b"ustar\x0000", b"ustar  \0", bytes(8)
_OCTAL = re.compile(rb"[ \0]*+([0-7]*+)[ \0]*+\Z")
_LENGTH = re.compile(rb"([1-9][0-9]{0,5}) ")
_DECIMAL = re.compile(rb"[0-9]{1,19}\Z")
_TIME = re.compile(rb"(-?[0-9]{1,19})(?:\.[0-9]*)?\Z")
_CHARSETS = (b"BINARY", b"ISO-IR 10646 2000 UTF-8")
# Keys that change a member's meaning. All others but mtime are dropped.
_DECISIVE_KEYS = (b"path", b"linkpath", b"size", b"hdrcharset")
_SPARSE_NAME = re.compile(rb"[0-9]{1,9} (?:GNU\.sparse\.name|path)=(.{1,1024})")

_SPARSE_KEYS = (b"GNU.sparse.", b"SCHILY.realsize", b"SCHILY.holesdata")


@dataclass(frozen=True, slots=True)
class Header:
    """One header block. `mtime`: seconds. `has_magic`: false in the oldest format, which has no kind for folders."""

    name: bytes
    kind: bytes
    mode: int
    size: int
    mtime: int
    link: bytes
    has_magic: bool


def parse(block: bytes) -> Header:
    """Parse one block of 512 bytes that is not all zeros."""
    if len(block) < BLOCK:
        raise BadArchive("bad_package.truncated")
    _check_sum(block)
    magic = block[257:265]
    if magic not in (_USTAR, _GNU, _NO_MAGIC):
        raise BadArchive("bad_package.not_tar")
    name = _text(block[0:100])
    prefix = _text(block[345:500]) if magic == _USTAR else b""  # GNU tar stores other data there
    size = _number(block[124:136])
    if size < 0:
        raise BadArchive("bad_package.negative_size")
    return Header(
        name=prefix + b"/" + name if prefix else name,
        kind=FILE if block[156:157] == b"\0" else block[156:157],
        mode=_number(block[100:108]),
        size=size,
        mtime=_number(block[136:148]),
        link=_text(block[157:257]),
        has_magic=magic != _NO_MAGIC,
    )


def is_header(block: bytes) -> bool:
    """Return whether a block can begin a tar archive: its magic and its checksum are valid."""
    try:
        parse(block)
    except BadArchive:
        return False
    return len(block) == BLOCK


def long_text(data: bytes) -> bytes:
    """Return the name in a GNU `L` or `K` header: one text, with or without trailing NULs."""
    text = data.rstrip(b"\0")
    if not text or b"\0" in text:
        raise BadArchive("bad_package.long_name")
    return text


def pax_records(data: bytes, is_global: bool = False) -> dict[bytes, bytes]:
    """Return the records of an `x` or `g` header that describe a member: path, linkpath, size, mtime."""
    records: dict[bytes, bytes] = {}
    position = 0
    while position < len(data):
        match = _LENGTH.match(data, position)
        end = position + int(match[1]) if match else 0
        if match is None or end > len(data) or end <= match.end() or data[end - 1 : end] != b"\n":
            raise BadArchive("bad_package.extended_header")
        key, equals, value = data[match.end() : end - 1].partition(b"=")
        if not key or not equals:
            raise BadArchive("bad_package.extended_header")
        if key.startswith(_SPARSE_KEYS):
            raise _sparse(data)
        _add_record(records, key, value, is_global)
        position = end
    return records


def _add_record(records: dict[bytes, bytes], key: bytes, value: bytes, is_global: bool) -> None:
    if key == b"hdrcharset" and value not in _CHARSETS:
        raise BadArchive("bad_package.charset")
    if key not in _DECISIVE_KEYS and key != b"mtime":
        return
    # git writes a global header with a comment. No program writes one that renames members.
    if is_global and key in _DECISIVE_KEYS:
        raise BadArchive("bad_package.global_header")
    if key in records or (key in _DECISIVE_KEYS and not value):
        raise BadArchive("bad_package.extended_header_record")
    records[key] = value


def _sparse(data: bytes) -> BadArchive:
    """Return the rejection of an extended header with a map of holes, with its file's name where the header has it."""
    match = next(filter(None, map(_SPARSE_NAME.fullmatch, data.split(b"\n"))), None)
    if match is None:
        return BadArchive("bad_package.sparse_unnamed")
    return BadArchive("bad_package.sparse", name=quoted(match[1].decode("utf-8", "replace")))


def decimal(value: bytes) -> int:
    """Parse a size in an extended header."""
    if not _DECIMAL.match(value):
        raise BadArchive("bad_package.extended_header")
    return int(value)


def seconds(value: bytes) -> int:
    """Parse a time in an extended header, without its fraction."""
    match = _TIME.match(value)
    if match is None:
        raise BadArchive("bad_package.extended_header")
    return int(match[1])


def _text(field: bytes) -> bytes:
    return field.partition(b"\0")[0]


def _number(field: bytes) -> int:
    """Parse an octal number, or GNU's binary one, whose first bit is set and whose second bit is the sign."""
    if field[0] & 0x80:
        value = int.from_bytes(bytes([field[0] & 0x7F]) + field[1:], "big")
        return value - (1 << (8 * len(field) - 1)) if field[0] & 0x40 else value
    match = _OCTAL.match(field)
    if match is None:
        raise BadArchive("bad_package.not_tar")
    return int(match[1] or b"0", 8)


def _check_sum(block: bytes) -> None:
    expected = _number(block[148:156])
    rest = block[:148] + block[156:]
    unsigned = sum(rest) + 8 * 32
    # Some old programs summed signed bytes.
    if expected not in (unsigned, unsigned - 256 * sum(byte > 127 for byte in rest)):
        raise BadArchive("bad_package.not_tar")
