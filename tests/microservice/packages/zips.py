"""Zip archives for tests, including some that Python's zipfile does not write."""

import io
import stat
import struct
import zipfile


def entry(name: str, data: bytes | str = b"", mode: int = 0, **more) -> tuple[zipfile.ZipInfo, bytes]:
    """`mode` with its kind: stat.S_IFREG | 0o755. 0: what programs write that know none."""
    info = zipfile.ZipInfo(name, (2026, 1, 2, 3, 4, 6))
    info.external_attr = mode << 16
    info.compress_type = zipfile.ZIP_DEFLATED
    for field, value in more.items():
        setattr(info, field, value)
    return info, data.encode() if isinstance(data, str) else data


def link(name: str, target: str) -> tuple[zipfile.ZipInfo, bytes]:
    return entry(name, target, stat.S_IFLNK | 0o777)


class _Unseekable(io.RawIOBase):
    """As a pipe: zipfile then writes the sizes behind each file's data."""

    def __init__(self):
        self.data = bytearray()

    def writable(self):
        return True

    def write(self, piece):
        self.data += piece
        return len(piece)


def made(*entries, streamed: bool = False, comment: bytes = b"") -> bytes:
    out = _Unseekable() if streamed else io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.comment = comment
        for info, data in entries:
            archive.writestr(info, data)
    return bytes(out.data) if streamed else out.getvalue()


def changed(data: bytes, old: bytes, new: bytes, times: int = -1) -> bytes:
    assert old in data
    return data.replace(old, new, times)


def flagged(data: bytes, bit: int) -> bytes:
    """Return the archive with a bit of each member's flags set, in both of its headers."""
    out = bytearray(data)
    for mark, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = -1
        while (at := data.find(mark, at + 1)) >= 0:
            struct.pack_into("<H", out, at + place, struct.unpack_from("<H", data, at + place)[0] | bit)
    return bytes(out)


def method(data: bytes, number: int) -> bytes:
    out = bytearray(data)
    for mark, place in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        at = data.find(mark)
        struct.pack_into("<H", out, at + place, number)
    return bytes(out)


def zip64(name: bytes, data: bytes) -> bytes:
    """One stored file whose sizes, offset and directory stand in the fields of 64 bits, as streaming writers do it."""
    import zlib

    crc, full = zlib.crc32(data), 0xFFFFFFFF
    sizes = struct.pack("<2Q", len(data), len(data))
    local = struct.pack("<4s5H3L2H", b"PK\x03\x04", 45, 0, 0, 0, 33, crc, full, full, len(name), 20)
    body = local + name + struct.pack("<2H", 1, 16) + sizes + data
    entry_ = struct.pack(
        "<4s6H3L5H2L", b"PK\x01\x02", 45, 45, 0, 0, 0, 33, crc, full, full, len(name), 28, 0, 0, 0, 0, full
    )
    directory = entry_ + name + struct.pack("<2H", 1, 24) + sizes + struct.pack("<Q", 0)
    end64 = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, 1, 1, len(directory), len(body))
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, len(body) + len(directory), 1)
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, full, full, 0)
    return body + directory + end64 + locator + end
