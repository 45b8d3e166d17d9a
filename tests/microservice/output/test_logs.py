"""Output by bytes and by search: any range and every match, wherever the pieces were cut."""

import random
import re
import time
import tracemalloc
from contextlib import ExitStack

import pytest

from access.problems import Problem
from microservice.output import logs, searching
from tests import factories
from tests.lab.busy import within

pytestmark = pytest.mark.django_db


@pytest.fixture
def operation():
    return factories.running().operations.get()


def cut(data: bytes, *, seed: int, longest: int = 7) -> list[bytes]:
    chance, pieces, at = random.Random(seed), [], 0
    while at < len(data):
        length = chance.randint(1, longest)
        pieces.append(data[at : at + length])
        at += length
    return pieces


def test_reads_every_range(operation):
    whole = factories.output(operation, *cut(bytes(range(256)) * 2, seed=1))
    assert logs.size(operation.pk) == len(whole) == 512
    for start, end in [(0, 512), (0, 1), (511, 512), (5, 5), (100, 300), (3, 4), (17, 511)]:
        assert b"".join(logs.read(operation.pk, start, end)) == whole[start:end]


def test_empty_output(operation):
    assert logs.size(operation.pk) == 0
    assert list(logs.read(operation.pk, 0, 0)) == []
    assert logs.search(operation.pk, "x", 0, 0) == logs.SearchResult()


def test_reads_only_its_operation(operation):
    other = factories.running(name="other").operations.get()
    factories.output(other, b"secret of another")
    factories.output(operation, b"mine")
    assert b"".join(logs.read(operation.pk, 0, 4)) == b"mine"
    assert logs.search(operation.pk, "another", 0, 4).hits == 0


def test_missing_bytes_become_spaces(operation):
    factories.output(operation, b"head")
    factories.output(operation, b"tail", start=10)
    assert b"".join(logs.read(operation.pk, 0, 14)) == b"head      tail"
    assert b"".join(logs.read(operation.pk, 6, 12)) == b"    ta"


def test_search_finds_hits_across_rows(operation):
    text = b"An error here\nno\nERROR and Error again\nerr\nor\n" * 20
    for seed in range(5):
        operation.output.all().delete()
        factories.output(operation, *cut(text, seed=seed))
        found = logs.search(operation.pk, "error", 0, len(text))
        assert found.hits == len(re.findall(rb"error", text, re.I)) == 60
        assert [line for _, line in found.lines[:2]] == [b"An error here", b"ERROR and Error again"]
        assert all(text[offset:].startswith(line + b"\n") for offset, line in found.lines)
        assert len(found.lines) == 40


def test_search_is_literal(operation):
    whole = factories.output(operation, b"a.c abc (x|y)* [z] $HOME\\n %s\n")
    for text in (".", "(x|y)*", "[z]", "$HOME\\n", "%s"):
        assert logs.search(operation.pk, text, 0, len(whole)).hits == 1, text


def test_search_ignores_case_of_other_scripts(operation):
    whole = factories.output(operation, "Ärger ärger ÄRGER\nΔΈΛΤΑ δέλτα\n中文\n".encode())
    assert logs.search(operation.pk, "ärger", 0, len(whole)).hits == 3
    assert logs.search(operation.pk, "ΔΈΛΤΑ", 0, len(whole)).hits == 2
    assert logs.search(operation.pk, "中文", 0, len(whole)).hits == 1


def test_search_covers_long_line(operation):
    line = (b"." * 997 + b"needle") * 300
    whole = factories.output(operation, *cut(line, seed=3, longest=40_000))
    found = logs.search(operation.pk, "NEEDLE", 0, len(whole))
    assert found.hits == 300
    assert all(len(text) <= logs.MAX_LINE_BYTES for _, text in found.lines)


def test_hit_across_cut_counts_once(operation):
    for whole_first in range(len(b"needle") + 1):
        operation.output.all().delete()
        first, second = b"needle"[:whole_first], b"needle"[whole_first:]
        text = factories.output(operation, b"." * (logs.LINE_PIECE + 5) + first, second + b"." * 70_000 + b"needle")
        assert logs.search(operation.pk, "Needle", 0, len(text)).hits == 2, whole_first


def test_search_counts_hits_beyond_limit(operation):
    whole = factories.output(operation, b"hit\nmiss\nhit\nhit hit\n")
    found = logs.search(operation.pk, "hit", 0, len(whole), limit=2)
    assert (found.hits, len(found.lines), found.next_offset) == (4, 2, 13)
    rest = logs.search(operation.pk, "hit", found.next_offset, len(whole), limit=2)
    assert (rest.hits, rest.next_offset) == (2, None)


def test_long_log_is_read_in_pieces(operation):
    piece = b"x" * 128 * 1024 + b"y\n" + b"z" * 128 * 1024 + b"\n"
    for number in range(64):
        factories.output(operation, piece, start=number * len(piece))
    tracemalloc.start()
    total = sum(map(len, logs.read(operation.pk, 0, 64 * len(piece))))
    hits = logs.search(operation.pk, "XY", 0, 64 * len(piece)).hits
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert total == 64 * len(piece)
    assert hits == 64
    assert peak < 8 * 1024 * 1024


def test_many_hits_in_one_line_are_cheap(operation):
    whole = factories.output(operation, b"a" * 300_000 + b"\n")
    started = time.monotonic()
    assert logs.search(operation.pk, "a", 0, len(whole)).hits == 300_000
    assert time.monotonic() - started < within(3)


def test_interrupted_search_can_continue(operation):
    lines = [b"hit %d\n" % n if n % 7 == 0 else b"line %d\n" % n for n in range(3000)]
    whole = b"".join(lines)
    factories.output(operation, *[whole[n : n + 1000] for n in range(0, len(whole), 1000)])
    at, hits, parts = 0, 0, 0
    while at is not None:
        found = logs.search(operation.pk, "hit", at, len(whole), enough=lambda: True)
        assert found.cut is (found.next_offset is not None)
        at, hits, parts = found.next_offset, hits + found.hits, parts + 1
    assert hits == len([line for line in lines if line.startswith(b"hit")]) and parts > 10


def test_newer_search_ends_older_one():
    with searching.search_slot("vera") as first:
        assert not first()
        with searching.search_slot("alice") as other, searching.search_slot("vera") as second:
            assert first() and not second() and not other()
    with searching.search_slot("vera") as again:
        assert not again()


def test_search_times_out(monkeypatch):
    monkeypatch.setattr(searching, "SEARCH_TIMEOUT", 0.05)
    with searching.search_slot("vera") as enough:
        time.sleep(0.1)
        assert enough()


def test_rejects_search_without_slot():
    with ExitStack() as taken:
        for n in range(searching.slots.limit):
            taken.enter_context(searching.search_slot(f"user {n}"))
        with pytest.raises(Problem) as refused, searching.search_slot("one more"):
            pass
        assert (refused.value.status, refused.value.headers) == (503, {"Retry-After": "2"})
    with searching.search_slot("one more"):
        pass
