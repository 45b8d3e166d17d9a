"""Archives for the fuzz: what honest programs write, bent in the places where two readers may disagree.

`archive(number)` is always the same bytes for the same number, so a finding is named by its number.
"""

import gzip
import random
import tarfile
from functools import cache

from tests.api.archives import entry, folder, hard, link, tar

from .fragments import BLOCK, KINDS, LINKS, MAGICS, NAMES, RECORDS, SIZES


def archive(number: int) -> bytes:
    """Return a .tar.gz, one to four changes away from an honest one."""
    chance = random.Random(number)
    blocks = list(chance.choice(honest()))
    for _ in range(chance.choice((1, 1, 1, 2, 2, 3, 4))):
        chance.choice(CHANGES)(chance, blocks)
    if chance.random() < 0.97:
        _mend(blocks)
    return gzip.compress(b"".join(blocks), 1, mtime=0)


@cache
def honest() -> list[tuple[bytes, ...]]:
    """Small archives in each format, as blocks."""
    long = "long/" + "n" * 110
    parts = [
        folder("d/"),
        entry("d/f", b"data " * 30),
        entry("run", b"#!/bin/sh\n" * 60, mode=0o755),
        link("l", "d"),
        hard("h", "d/f"),
        link("d/up", "../run"),
        entry("é", b"x"),
        folder("empty"),
    ]
    longer = [entry(long, b"y" * 600), link("to", long), folder("deep/" * 22)]
    forms = (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT, tarfile.USTAR_FORMAT)
    found = [tar(*parts, form=form) for form in forms] + [tar(*parts[:3], form=form) for form in forms]
    found += [tar(*parts[:2], *longer, form=form) for form in forms[:2]]
    found.append(tar(*parts[:2], form=tarfile.PAX_FORMAT, pax={"comment": "as git writes it"}))
    cut = [each.rstrip(b"\0") for each in found]
    whole = [each + bytes(-len(each) % BLOCK + 2 * BLOCK) for each in cut]
    return [tuple(each[at : at + BLOCK] for at in range(0, len(each), BLOCK)) for each in whole]


def _is_header(block: bytes) -> bool:
    return block[257:262] in (b"ustar", b"USTAR") or (
        block[148:156].strip(b"0123456 7\0") == b"" and block[100:101] == b"0"
    )


def _headers(blocks: list[bytes]) -> list[int]:
    return [at for at, block in enumerate(blocks) if any(block) and _is_header(block)] or [0]


def _mend(blocks: list[bytes]) -> None:
    """Correct the sums of all headers: an archive that only has a wrong sum tests nothing."""
    for at in _headers(blocks):
        head = bytearray(blocks[at].ljust(BLOCK, b"\0"))
        head[148:156] = b" " * 8
        head[148:156] = b"%06o\0 " % sum(head)
        blocks[at] = bytes(head)


def header(chance: random.Random, name: bytes, kind: bytes, size: int = 0, linked: bytes = b"") -> bytes:
    head = bytearray(BLOCK)
    _put(head, 0, 100, name)
    head[100:108] = b"%07o\0" % chance.choice((0o644, 0o755, 0o4755, 0o6777, 0o1777))
    head[108:116] = head[116:124] = b"0000000\0"
    head[124:136] = b"%011o\0" % size
    head[136:148] = b"14000000000\0"
    head[156:157] = kind
    _put(head, 157, 100, linked)
    head[257:265] = chance.choice(MAGICS[:2])
    head[329:345] = b"0000001\0" + b"0000003\0" if kind in (b"3", b"4") else bytes(16)
    return bytes(head)


def _put(head: bytearray, start: int, length: int, value: bytes) -> None:
    head[start : start + length] = value[:length].ljust(length, b"\0")


def _field(start: int, length: int, values):
    def change(chance: random.Random, blocks: list[bytes]) -> None:
        at = chance.choice(_headers(blocks))
        head = bytearray(blocks[at])
        _put(head, start, length, chance.choice(values))
        blocks[at] = bytes(head)

    return change


def _kind(chance: random.Random, blocks: list[bytes]) -> None:
    at = chance.choice(_headers(blocks))
    blocks[at] = blocks[at][:156] + bytes([chance.choice(KINDS)]) + blocks[at][157:]


def _number(chance: random.Random, size: int, length: int) -> bytes:
    shapes = (
        b"%0*o\0" % (length - 1, size),
        b"%*o " % (length - 1, size),
        b"%0*o" % (length, size),
        b"%o\0" % size,
        b"\x80" + size.to_bytes(length - 1, "big"),
        b"\xff" * length,
        b"%o\0junk" % size,
        b"-1\0",
        b"0x200\0",
        b"9\0",
        b"",
    )
    return chance.choice(shapes[:5] if chance.random() < 0.6 else shapes)


def _size(chance: random.Random, blocks: list[bytes]) -> None:
    """Another size, half of the time with as much data as it says."""
    at, size = chance.choice(_headers(blocks)), chance.choice(SIZES)
    head = bytearray(blocks[at])
    _put(head, 124, 12, _number(chance, size, 12))
    blocks[at] = bytes(head)
    if size <= 10240 and chance.random() < 0.5:
        blocks[at + 1 : at + 1] = [b"q" * BLOCK] * -(-size // BLOCK)


def _other_number(chance: random.Random, blocks: list[bytes]) -> None:
    at = chance.choice(_headers(blocks))
    start, length = chance.choice(((100, 8), (108, 8), (116, 8), (136, 12), (329, 8), (337, 8)))
    head = bytearray(blocks[at])
    _put(head, start, length, _number(chance, chance.choice((0, 1, 0o644, 0o4755, 0o7777, 0o777777)), length))
    blocks[at] = bytes(head)


def _smuggle(chance: random.Random, blocks: list[bytes]) -> None:
    """Insert a member whose data are headers: a reader that takes it for a kind without data reads them."""
    inner = [
        header(chance, b"smug", b"2", 0, chance.choice((b"/etc", b"../..", b"d"))),
        header(chance, b"smug", b"3"),
        header(chance, b"smug", b"4"),
        header(chance, b"smug", b"6"),
        header(chance, b"smug", b"0"),
        header(chance, b"smug", b"1", 0, b"d/f"),
        header(chance, b"smug/", b"5"),
        header(chance, b"d", b"2", 0, b"/etc"),
    ]
    hidden = [chance.choice(inner) for _ in range(chance.choice((1, 1, 2)))]
    kind = bytes([chance.choice(KINDS)])
    name = chance.choice((b"c/", b"c", b"d/", b"d", b"././@LongLink", b"c\0/"))
    outer = header(chance, name, kind, len(hidden) * BLOCK, chance.choice((b"", b"", b"d/f", b"run")))
    at = chance.choice(_headers(blocks))
    blocks[at:at] = [outer, *hidden]


def _extended(chance: random.Random, blocks: list[bytes]) -> None:
    """One or more extended headers before a member, well formed or not."""
    at = chance.choice(_headers(blocks))
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        kind = chance.choice((b"L", b"K", b"x", b"x", b"g", b"X"))
        if kind in b"LK":
            data = chance.choice((*NAMES, *LINKS, b"n/" * 70 + b"x", b"m" * 200)) + chance.choice(
                (b"\0", b"\0", b"", b"\0\0", b"\0junk")
            )
        else:
            data = b"".join(_record(chance) for _ in range(chance.choice((0, 1, 1, 2, 3))))
        size = len(data) if chance.random() < 0.9 else chance.choice(SIZES[:-1])
        head = header(chance, chance.choice((b"././@LongLink", b"./PaxHeaders/x", b"h/", b"../x")), kind, size)
        blocks[at:at] = [
            head,
            *[data[start : start + BLOCK].ljust(BLOCK, b"\0") for start in range(0, len(data), BLOCK)],
        ]


def _record(chance: random.Random) -> bytes:
    text = chance.choice(RECORDS)
    length = len(text) + 2
    length += len(str(length + len(str(length))))
    if chance.random() < 0.08:
        length = chance.choice((0, 1, length - 1, length + 1, 10**6))
    return b"%d %s\n" % (length, text)


def _shuffle(chance: random.Random, blocks: list[bytes]) -> None:
    at = chance.randrange(len(blocks))
    what = chance.randrange(7)
    if what == 0:
        del blocks[at]
    elif what == 1:
        blocks.insert(at, blocks[chance.randrange(len(blocks))])
    elif what == 2:
        other = chance.randrange(len(blocks))
        blocks[at], blocks[other] = blocks[other], blocks[at]
    elif what == 3:
        blocks.insert(at, bytes(BLOCK))
    elif what == 4:
        del blocks[at + 1 :]
    elif what == 5:
        blocks.extend(chance.choice(honest()))
    else:
        blocks[at] = blocks[at][: chance.randrange(BLOCK)]
    if not blocks:
        blocks.append(bytes(BLOCK))


def _flip(chance: random.Random, blocks: list[bytes]) -> None:
    at = chance.choice(_headers(blocks))
    head = bytearray(blocks[at].ljust(BLOCK, b"\0"))
    head[chance.randrange(BLOCK)] = chance.choice((0, 32, 47, 46, 48, 55, 128, 255, chance.randrange(256)))
    blocks[at] = bytes(head)


def _again(chance: random.Random, blocks: list[bytes]) -> None:
    """Insert a member that was there, once more, or of another kind."""
    at = chance.choice(_headers(blocks))
    name = chance.choice((b"d/f", b"d", b"l", b"h", b"run", b"new", b"d/new", b"new/x", b"l/new"))
    kind = chance.choice((b"0", b"1", b"2", b"5"))
    linked = chance.choice(LINKS) if kind == b"2" else chance.choice((b"d/f", b"h", b"run", b"l", b"new"))
    name += b"/" if kind == b"5" else b""
    blocks[at:at] = [header(chance, name, kind, 0, linked if kind in b"12" else b"")]


CHANGES = (
    _kind,
    _kind,
    _size,
    _size,
    _other_number,
    _smuggle,
    _smuggle,
    _extended,
    _extended,
    _extended,
    _shuffle,
    _flip,
    _again,
    _again,
    _field(0, 100, NAMES),
    _field(0, 100, NAMES),
    _field(157, 100, LINKS),
    _field(257, 8, MAGICS),
    _field(345, 155, (*NAMES[:12], b"p")),
    _field(265, 32, (b"root", b"eve\0root")),
    _field(482, 13, (b"\1" + b"\0" * 12, b"tar\0")),
)
