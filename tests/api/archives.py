"""Archives for tests: good ones, and fifty that must be refused."""

import functools
import gzip
import io
import struct
import tarfile
import zlib

from microservice.packages import archives


def entry(name, data=b"", kind=tarfile.REGTYPE, link="", mode=0o644, **more):
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode, info.size = kind, link, mode, len(data)
    for field, value in more.items():
        setattr(info, field, value)
    return info, data


def link(name, target):
    return entry(name, kind=tarfile.SYMTYPE, link=target)


def hard(name, target):
    return entry(name, kind=tarfile.LNKTYPE, link=target)


def folder(name):
    return entry(name, kind=tarfile.DIRTYPE, mode=0o755)


def tar(*entries, form=tarfile.PAX_FORMAT, pax=None):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form, pax_headers=pax) as archive:
        for info, data in entries:
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def packed(*entries, **more):
    return gzip.compress(tar(*entries, **more), 6, mtime=0)


def rewritten(data: bytes, piece: int = 65536) -> bytes:
    """Return what the store keeps of an archive. Raises BadArchive."""
    source, out = io.BytesIO(data), io.BytesIO()
    archives.rewrite(lambda: source.read(piece), out.write)
    return out.getvalue()


GOOD = packed(
    folder("./"),
    folder("bin"),
    entry("bin/run", b"#!/bin/sh\n" * 200, mode=0o755),
    link("run", "bin/run"),
    link("bin/up", "../lib/x"),
    entry("lib/x", b"x"),
    hard("lib/y", "lib/x"),
    link("current", "lib"),
    entry("lib/" + "long" * 40 + ".txt", b"y" * 3000),
    entry("données/été.txt", b"z"),
    entry("a..b/..c", b"dots"),
)
OTHER = packed(entry("bin/run", b"another"))
SOME = entry("some", b"file")  # so that nothing is refused for having no file in it
FILE = entry("file", b"content " * 5000)


def raw(name: bytes, size: int = 0, kind: bytes = b"0", prefix: bytes = b"", link: bytes = b"") -> bytes:
    """Return a member with a header made by hand, for what tarfile would not write."""
    head = bytearray(512)
    head[0 : len(name)] = name
    head[100:108] = b"0000644\0"
    head[108:116] = head[116:124] = b"0000000\0"
    head[124:136] = b"%011o\0" % size
    head[136:148] = b"00000000000\0"
    head[148:156] = b" " * 8
    head[156:157] = kind
    head[157 : 157 + len(link)] = link
    head[257:265] = b"ustar\x0000"
    head[345 : 345 + len(prefix)] = prefix
    head[148:156] = b"%06o\0 " % sum(head)
    return bytes(head)


END = bytes(1024)
GOOD_TAR = tar(FILE)


def _flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 0x55]) + data[at + 1 :]


def _pax(**fields):
    info, data = entry("harmless", b"x")
    info.pax_headers = fields
    return info, data


def _bomb(head: bytes) -> bytes:
    """Return a gzip of `head`, 256 MiB of zeros, and an archive's end. One MiB is compressed for all of them."""
    count, zeros, packer = 256, bytes(1 << 20), zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    first = packer.compress(head) + packer.flush(zlib.Z_FULL_FLUSH)
    block = packer.compress(zeros) + packer.flush(zlib.Z_FULL_FLUSH)
    check = functools.reduce(lambda crc, _: zlib.crc32(zeros, crc), range(count), zlib.crc32(head))
    size = len(head) + count * len(zeros) + len(END)
    gzip_head = b"\x1f\x8b\x08\0\0\0\0\0\x02\xff"
    last = packer.compress(END) + packer.flush()
    return gzip_head + first + block * count + last + struct.pack("<II", zlib.crc32(END, check), size)


def _with_bad_second_header() -> bytes:
    first, second = tar(entry("a", b"1"))[:1024], tar(entry("b"))[:512]
    return gzip.compress(first + _flipped(second, 3) + END)


HOSTILE = {
    "an absolute path": packed(entry("/etc/cron.d/x", b"x")),
    "an absolute folder": packed(folder("/tmp/x")),
    "the root folder": packed(folder("/")),
    "a path up": packed(entry("../x", b"x")),
    "a path up in the middle": packed(entry("a/../../x", b"x")),
    "a path up that stays inside": packed(entry("a/../x", b"x")),
    "a path up at the end": packed(folder("a/..")),
    "a path up behind a dot": packed(entry("./../x", b"x")),
    "a folder up": packed(folder("..")),
    "a path up in the ustar prefix": gzip.compress(raw(b"x", prefix=b"../a") + END),
    "a path up under a harmless pax name": gzip.compress(
        tar(_pax(path="harmless2"))[:1024] + raw(b"../evil", 1) + b"x".ljust(512, b"\0") + END
    ),
    "a pax path up": packed(_pax(path="../evil")),
    "a pax path that is absolute": packed(_pax(path="/evil")),
    "a global pax path up": gzip.compress(tar(FILE, pax={"path": "../evil"})),
    "a gnu long name up": packed(entry("../" + "x" * 200, b"x"), form=tarfile.GNU_FORMAT),
    "a link to an absolute path": packed(SOME, link("x", "/etc/passwd")),
    "a link up": packed(SOME, link("x", "../outside")),
    "a link up from a folder": packed(SOME, folder("a"), link("a/x", "../../outside")),
    "a link to the folder above": packed(SOME, link("x", "..")),
    "a link through a link to here": packed(SOME, link("a", "."), link("b", "a/..")),
    "links that lead out together": packed(
        SOME, folder("d"), folder("d/e"), link("d/e/up", "../.."), link("out", "d/e/up/..")
    ),
    "a link that a later link turns outward": packed(SOME, link("b", "a/../x"), link("a", "d/e/../.."), folder("d")),
    "a link through a folder that is a link": packed(SOME, link("d", "."), entry("d/x", b"x")),
    "a file below a link that comes later": packed(SOME, entry("d/x", b"x"), link("d", "/tmp")),
    "a file below an inner link": packed(SOME, folder("real"), link("d", "real"), entry("d/x", b"x")),
    "a link and then a file of its name": packed(SOME, link("x", "y"), entry("x", b"x")),
    "a file and then a link of its name": packed(SOME, entry("x", b"x"), link("x", "y")),
    "a folder and then a link of its name": packed(SOME, folder("x"), link("x", "y")),
    "a loop of links": packed(SOME, link("a", "b/c"), link("b", "a/c")),
    "an empty link": packed(SOME, link("x", "")),
    "a link with a new line": packed(SOME, link("x", "a\nb")),
    "the root as a link": packed(SOME, link("./", "x")),
    "a hard link to an absolute path": packed(SOME, hard("x", "/etc/passwd")),
    "a hard link up": packed(SOME, hard("x", "../../etc/passwd")),
    "a hard link to nothing": packed(SOME, hard("x", "y")),
    "a hard link to a link": packed(SOME, link("y", "z"), hard("x", "y")),
    "a character device": packed(entry("x", kind=tarfile.CHRTYPE, devmajor=1, devminor=3)),
    "a block device": packed(entry("x", kind=tarfile.BLKTYPE)),
    "a pipe": packed(entry("x", kind=tarfile.FIFOTYPE)),
    "an unknown kind": gzip.compress(raw(b"x", kind=b"V") + END),
    "a sparse file": packed(
        _pax(
            **{
                "GNU.sparse.major": "0",
                "GNU.sparse.minor": "1",
                "GNU.sparse.size": "9999",
                "GNU.sparse.map": "0,1",
                "GNU.sparse.name": "x",
            }
        )
    ),
    "a name with a new line": packed(entry("a\nb", b"x")),
    "a name with an escape": packed(entry("a\x1b[2J", b"x")),
    "a name with NUL": packed(_pax(path="a\0b")),
    "a name that is too long": packed(entry("x/" * 20 + "y" * 1100, b"x")),
    "a part of a name that is too long": packed(entry("y" * 256, b"x")),
    "a name that is too deep": packed(entry("x/" * 65 + "y", b"x")),
    "an extended header of 8 MB": gzip.compress(raw(b"x", 8 << 20, b"x") + bytes(8 << 20) + END),
    "an extended header of 8 GB": gzip.compress(raw(b"x", 0o77777777777, b"L") + END),
    "a bomb": _bomb(raw(b"x", 256 << 20)),
    "a bomb behind the end": _bomb(GOOD_TAR),
    "cut in the middle": packed(FILE)[:100],
    "cut before the checksum": packed(FILE)[:-8],
    "cut by one byte": packed(FILE)[:-1],
    "a tar cut in the middle": gzip.compress(GOOD_TAR[:1000]),
    "a tar without its end": gzip.compress(GOOD_TAR[: 512 + 40448]),
    "a flipped byte in the data": _flipped(packed(FILE), 60),
    "a flipped byte in the checksum": _flipped(packed(FILE), -6),
    "a flipped byte in the length": _flipped(packed(FILE), -2),
    "a flipped byte in the gzip header": _flipped(packed(FILE), 1),
    "a flipped byte in the first header": gzip.compress(_flipped(GOOD_TAR, 5)),
    "a flipped byte in the second header": _with_bad_second_header(),
    "garbage behind the gzip": packed(FILE) + b"garbage",
    "a script behind the gzip": packed(FILE) + b"\n#!/bin/sh\nid\n",
    "a second archive behind the end": gzip.compress(GOOD_TAR + GOOD_TAR),
    "a header behind a lone block of zeros": gzip.compress(GOOD_TAR[: 512 + 40448] + bytes(512) + raw(b"../x") + END),
    "a second gzip with an archive": packed(FILE) + packed(FILE),
    "no tar in the gzip": gzip.compress(b"hello" * 1000),
    "no gzip": b"hello" * 1000,
    "a zip": b"PK\x03\x04" + bytes(100),
    "an empty file": b"",
    "an empty gzip": gzip.compress(b""),
    "an empty archive": gzip.compress(END),
    "only zeros": bytes(2048),
    "a web page": b"<html>404</html>",
    "a negative size": gzip.compress(raw(b"x")[:124] + b"\xff" * 12 + raw(b"x")[136:] + END),
}
