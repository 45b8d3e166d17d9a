"""Reading and rewriting archives, without a store or rows."""

import gzip
import io
import os
import tarfile

import pytest

from microservice.packages import archives, contents, writer
from tests.api.archives import END, GOOD, HOSTILE, entry, folder, hard, link, packed, raw, rewritten, tar

pytestmark = pytest.mark.pure


def names(data: bytes) -> list[str]:
    return [member.name for member in members(data)]


def members(data: bytes) -> list[tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz") as archive:
        return archive.getmembers()


def test_rejects_every_cut_and_flipped_bit():
    """In a run of zeros, a copy from elsewhere in the run is the same run: such a flip changes nothing."""
    small = packed(entry("bin/run", os.urandom(300)))
    for at in range(len(small)):
        with pytest.raises(archives.BadArchive):
            rewritten(small[:at])
    refused = 0
    for at, bit in ((at, bit) for at in range(10, len(small)) for bit in range(8)):
        flipped = small[:at] + bytes([small[at] ^ 1 << bit]) + small[at + 1 :]
        try:
            rewritten(flipped)
        except archives.BadArchive:
            refused += 1
        else:
            assert gzip.decompress(flipped) == gzip.decompress(small)
    assert refused > 3000


@pytest.mark.parametrize("piece", [1, 7, 512, 1000])
def test_result_is_independent_of_pieces(piece):
    assert rewritten(GOOD, piece) == rewritten(GOOD)


def test_rewrite_is_idempotent():
    assert rewritten(rewritten(GOOD)) == rewritten(GOOD)


def test_stores_incompressible_chunks():
    """Both kinds of blocks in one stream, with repetitions across their borders."""
    noise = os.urandom(300_000)
    data = noise + b"text " * 200_000 + noise + noise[:70_000] + b"text " * 1000 + noise
    kept = rewritten(packed(entry("a", data), entry("b", noise), entry("c", b"text " * 1000)))
    with tarfile.open(fileobj=io.BytesIO(kept), mode="r:gz") as archive:
        assert archive.extractfile("a").read() == data and archive.extractfile("b").read() == noise
    assert len(kept) < 5 * len(noise) + 270_000  # of what follows noise in one chunk, nothing is packed


def test_normalises_owners_and_modes():
    source = packed(
        folder("d"),
        entry("suid", b"x", mode=0o6755, uid=5, gid=6, uname="eve", gname="eve", mtime=1_600_000_000),
        entry("secret", b"x", mode=0o600),
        entry("open", b"x", mode=0o777),
        entry("plain", b"x", mode=0o664),
        entry("late", b"x", mtime=10**11),
        entry("early", b"x", mtime=-5),
        entry("closed", kind=tarfile.DIRTYPE, mode=0o1555),
        entry("private", kind=tarfile.DIRTYPE, mode=0o2770),
    )
    found = {one.name: one for one in members(rewritten(source))}
    assert {(one.uid, one.gid, one.uname, one.gname) for one in found.values()} == {(0, 0, "", "")}
    assert {name: oct(one.mode) for name, one in found.items()} == {
        "d": "0o755",
        "suid": "0o755",
        "secret": "0o600",
        "open": "0o755",
        "plain": "0o644",
        "late": "0o644",
        "early": "0o644",
        "closed": "0o755",
        "private": "0o750",
    }
    assert found["suid"].mtime == 1_600_000_000
    assert (found["late"].mtime, found["early"].mtime) == (8**11 - 1, 0)


def test_gzip_header_has_no_name_or_time():
    assert rewritten(GOOD)[:10] == b"\x1f\x8b\x08\0\0\0\0\0\0\xff"


def test_writes_each_folder_once_before_its_members():
    kept = rewritten(packed(folder("./"), entry("a/b/c", b"x"), folder("a/b"), folder("a"), entry("./a//x", b"y")))
    assert names(kept) == ["a", "a/b", "a/b/c", "a/x"]


def test_drops_unchanged_repeated_members():
    """`tar -c bin bin/run`, and a file added again with `tar -r`."""
    kept = rewritten(
        packed(
            folder("bin"),
            entry("bin/run", b"old"),
            link("l", "bin"),
            folder("bin/"),
            link("l", "bin"),
            entry("f", b"f"),
            hard("h", "f"),
            hard("h", "h"),
            hard("h", "f"),
            entry("f", b"f"),
            entry("bin/run", b"new"),
        )
    )
    assert names(kept) == ["bin", "bin/run", "l", "f", "h", "bin/run"]


BROKEN = {
    "nothing but the root": packed(folder("./")),
    "nothing but folders": packed(folder("a"), folder("a/b")),
    "nothing but links": packed(link("a", "b")),
    "a file with something below it": packed(entry("a", b"x"), entry("a/b", b"x")),
    "a folder that becomes a file": packed(entry("a/b", b"x"), entry("a", b"x")),
    "a file with a hard link that changes": packed(entry("a", b"x"), hard("b", "a"), entry("a", b"y")),
    "a hard link that becomes a file": packed(entry("a", b"x"), hard("b", "a"), entry("b", b"y")),
    "a file that becomes a hard link": packed(entry("a", b"x"), entry("b", b"y"), hard("b", "a")),
    "zeros and more behind the gzip": packed(entry("a", b"x")) + bytes(600) + b"\x1f",
    "a link that changes": packed(entry("f", b"x"), link("a", "f"), link("a", "g")),
    "a folder with data": gzip.compress(raw(b"d/", 512, b"5") + raw(b"smug", 0, b"2") + END),
    "a file that ends with a slash": gzip.compress(raw(b"d/", 512, b"0") + raw(b"smug", 0, b"2") + END),
    "an empty file that ends with a slash": gzip.compress(raw(b"f", 0) + raw(b"d/", 0, b"0") + END),
    "a link with data": gzip.compress(raw(b"f", 0) + raw(b"l", 512, b"2", link=b"f") + bytes(512) + END),
    "a hard link with data": gzip.compress(raw(b"f", 0) + raw(b"l", 512, b"1", link=b"f") + bytes(512) + END),
    "a contiguous file": gzip.compress(raw(b"f", 0, b"7") + END),
    "a contiguous file that ends with a slash": gzip.compress(raw(b"f/", 0, b"7") + END),
    "an empty long name": gzip.compress(raw(b"././@LongLink", 0, b"L") + raw(b"f") + END),
    "a long name of NULs": gzip.compress(raw(b"././@LongLink", 9, b"L") + bytes(512) + raw(b"f") + END),
    "two long names": gzip.compress((raw(b"L", 2, b"L") + b"a".ljust(512, b"\0")) * 2 + raw(b"f") + END),
    "two long links": gzip.compress((raw(b"K", 2, b"K") + b"a".ljust(512, b"\0")) * 2 + raw(b"f") + END),
    "a long name and a pax header": gzip.compress(
        raw(b"L", 2, b"L") + b"a".ljust(512, b"\0") + raw(b"x", 0, b"x") + raw(b"f") + END
    ),
    "a long name of nothing": gzip.compress(raw(b"f") + raw(b"L", 2, b"L") + b"a".ljust(512, b"\0") + END),
    "a long name with something behind it": gzip.compress(
        raw(b"L", 9, b"L") + b"a\0../../b".ljust(512, b"\0") + raw(b"f") + END
    ),
    "a pax header that ends early": gzip.compress(
        raw(b"x", 9, b"x") + b"20 path=a\n".ljust(512, b"\0") + raw(b"f") + END
    ),
    "a pax path that comes twice": gzip.compress(
        raw(b"x", 20, b"x") + b"10 path=a\n10 path=b\n".ljust(512, b"\0") + raw(b"f") + END
    ),
    "a pax size of a folder": gzip.compress(
        raw(b"x", 12, b"x") + b"12 size=512\n".ljust(512, b"\0") + raw(b"d/", 0, b"5") + END
    ),
    "a global path": packed(entry("a", b"x"), pax={"path": "b"}),
    "a global size": packed(entry("a", b"x"), pax={"size": "512"}),
    "names in an unknown encoding": packed(entry("a", b"x", pax_headers={"hdrcharset": "KOI8-R"})),
    "a sparse file of GNU tar": gzip.compress(raw(b"f", 0, b"S") + END),
    "another magic": gzip.compress(raw(b"f").replace(b"ustar", b"USTAR") + END),
}


@pytest.mark.parametrize("what", BROKEN)
def test_rejects_ambiguous_tar(what):
    with pytest.raises(archives.BadArchive):
        rewritten(BROKEN[what])


@pytest.mark.parametrize("what", HOSTILE)
def test_rejects_hostile_archive(what):
    with pytest.raises(archives.BadArchive):
        rewritten(HOSTILE[what])


@pytest.mark.found("packages")
@pytest.mark.parametrize("what", ["nothing but the root", "nothing but folders"])
def test_rejects_archive_without_files(what):
    for data in (BROKEN[what], tar(folder("./")), gzip.compress(END)):
        with pytest.raises(archives.BadArchive, match="contains no files"):
            rewritten(data)


def test_rejection_names_kind():
    for data, words in (
        (BROKEN["a sparse file of GNU tar"], "sparse file"),
        (HOSTILE["a sparse file"], "sparse file"),
        (HOSTILE["a pipe"], "named pipe"),
        (BROKEN["nothing but folders"], "contains no files"),
    ):
        with pytest.raises(archives.BadArchive, match=words):
            rewritten(data)


def test_rejects_too_many_members(monkeypatch):
    monkeypatch.setattr(contents, "MAX_MEMBERS", 10)
    rewritten(packed(*[entry(f"f{number}") for number in range(10)]))
    for refused in ([entry(f"f{number}") for number in range(11)], [entry("a/" * 10 + "f")]):
        with pytest.raises(archives.BadArchive, match="more than 10"):
            rewritten(packed(*refused))


def test_size_over_8_gib_is_binary():
    block = writer._block(b"f", b"0", 0o644, 9 << 30, 0, b"")
    assert tarfile.TarInfo.frombuf(block, "utf-8", "strict").size == 9 << 30


def test_manifest_ignores_times_and_order():
    def manifest(*entries):
        source = io.BytesIO(packed(*entries))
        return archives.rewrite(lambda: source.read(99), lambda _: None).manifest

    some = [entry("a", b"x"), folder("d"), link("l", "a")]
    assert manifest(*some) == manifest(*some[::-1]) == manifest(entry("a", b"x", mtime=7, uid=9, mode=0o664), *some[1:])
    others = [
        [entry("a", b"y"), *some[1:]],
        [entry("b", b"x"), *some[1:]],
        [entry("a", b"x", mode=0o755), *some[1:]],
        [*some[:2], link("l", "d")],
        [some[0], some[2]],
        [*some, entry("e")],
        [some[0], entry("d"), some[2]],
    ]
    assert len({manifest(*other) for other in others} | {manifest(*some)}) == len(others) + 1


def test_keeps_names_that_are_not_utf8():
    source = gzip.compress(tar(entry("caf\udce9", b"x"), form=tarfile.GNU_FORMAT))
    assert b"caf\xe9" in gzip.decompress(rewritten(source))
