"""The few messages of BuildKit's protocols, as they are on the wire. Pure.

A message is fields: a number and a kind, then a varint (0) or a length and bytes (2). Nothing else is in these messages
but what is skipped by its length: https://protobuf.dev/programming-guides/encoding/
"""

from collections.abc import Iterator

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_MAX_BITS = 64


class Malformed(ValueError):
    """Bytes that are no message."""


def text_field(number: int, value: bytes) -> bytes:
    """Return a field of text, bytes or another message."""
    return _varint(number << 3 | _BYTES) + _varint(len(value)) + value


def number_field(number: int, value: int) -> bytes:
    return _varint(number << 3 | _VARINT) + _varint(value)


def fields(raw: bytes) -> Iterator[tuple[int, bytes | int]]:
    """Yield each field's number and its value: bytes, or the number of a varint. Raise Malformed."""
    at = 0
    while at < len(raw):
        key, at = _read(raw, at)
        number, kind = key >> 3, key & 7
        if kind == _VARINT:
            value, at = _read(raw, at)
            yield number, value
            continue
        length = {_FIXED64: 8, _FIXED32: 4}.get(kind)
        if kind == _BYTES:
            length, at = _read(raw, at)
        if length is None or at + length > len(raw):
            raise Malformed
        yield number, raw[at : at + length]
        at += length


def first(raw: bytes, number: int) -> bytes:
    """Return the first field of text or bytes with this number; b"" where there is none. Raise Malformed."""
    return next((value for found, value in fields(raw) if found == number and isinstance(value, bytes)), b"")


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _read(raw: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(raw) and shift < _MAX_BITS:
        byte = raw[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
    raise Malformed
