"""Output by lines: a line is found by reading few pieces, wherever they were cut."""

import random

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from console.queries import operations
from microservice.models import Output, Step
from microservice.output import error_lines, lines, logs
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def operation():
    return factories.running().operations.get()


def pieces(whole: bytes, longest: int, seed: int = 1) -> list[bytes]:
    chance, found, at = random.Random(seed), [], 0
    while at < len(whole):
        length = chance.randint(1, longest)
        found.append(whole[at : at + length])
        at += length
    return found


def texts(window: lines.Window) -> list[bytes]:
    return [line for _, line in window.lines]


def test_lines_match_offsets_for_every_cut(operation):
    expected = [b"line %d" % number * (number % 4) for number in range(1, 200)]
    whole = factories.output(operation, *pieces(b"\n".join(expected) + b"\n", 9))
    at = 0
    for number, line in enumerate(expected, 1):
        assert lines.start_of(operation.pk, number) == at
        assert lines.number_at(operation.pk, at) == number
        at += len(line) + 1
    assert lines.start_of(operation.pk, 500) is None and lines.count(operation.pk) == 199
    assert at == len(whole)


def test_windows_are_contiguous(operation):
    expected = [b"%d" % number for number in range(1, 1001)]
    factories.output(operation, *pieces(b"\n".join(expected), 40))
    seen, following = [], 1
    while following is not None:
        window = lines.window(operation.pk, following, whole=True)
        seen += texts(window)
        following = window.next
    assert seen == expected
    assert texts(lines.window(operation.pk, 999, whole=True)) == [b"999", b"1000"]
    growing = lines.window(operation.pk, 999, whole=False)
    assert texts(growing) == [b"999", b"1000"] and growing.unfinished, "the last line may still grow"
    assert texts(lines.window(operation.pk, 5000, whole=True)) == []


def test_long_line_hides_nothing(operation):
    factories.output(operation, b"first\n", *[b"x" * 65536] * 16, b"\nlast\n")
    first = lines.window(operation.pk, 1, whole=True)
    assert first.next == 2
    huge = lines.window(operation.pk, 2, whole=True)
    assert huge.lines[0][0] == 2 and len(huge.lines[0][1]) == lines.MAX_LINE_BYTES and huge.next == 3
    assert texts(lines.window(operation.pk, 3, whole=True)) == [b"last"]


def test_jump_reads_few_rows(operation):
    block = b"".join(b"line of a long log, number %06d of its block\n" % number for number in range(1300))
    factories.output(operation, *[block] * 770)  # 1,001,000 lines in 45 MB
    assert lines.count(operation.pk) == 1_001_000
    with CaptureQueriesContext(connection) as queries:
        window = lines.window(operation.pk, 700_001, whole=True)
    assert window.lines[0] == (700_001, b"line of a long log, number %06d of its block" % (700_000 % 1300))
    assert len(queries) <= 8
    read = [query["sql"] for query in queries if '"data"' in query["sql"]]
    assert all("LIMIT" in sql for sql in read), "never more than a few pieces"
    found = logs.search(operation.pk, "NUMBER 000777", 0, logs.size(operation.pk))
    assert found.hits == 770 and [end + 1 for end in found.ends[:2]] == [778, 2078]


def test_search_numbers_lines_after_long_lines(operation):
    factories.output(operation, *pieces(b"a\nb hit\n" + b"y" * 200_000 + b"hit\nc\nd Hit hit\n", 50_000))
    found = logs.search(operation.pk, "hit", 0, logs.size(operation.pk))
    assert found.hits == 4 and [end + 1 for end in found.ends] == [2, 3, 5]


def test_finds_error_words(operation):
    factories.output(operation, b"all well\nERROR: no room\nit Failed\npermission denied\nfine\n")
    assert [end + 1 for end in error_lines.search(operation).ends] == [2, 3, 4]


def test_finds_last_lines_of_failed_step(operation):
    before, own, undo = b"well\nrefused once\n", b"x\n" * 60 + b"half a ", b"line\nall is well again\n"
    factories.output(operation, before + own + undo)
    operation.error_step = "start"
    assert [end + 1 for end in error_lines.search(operation).ends] == [2], "where the steps do not know their places"
    for position, name, start, back in ((0, "stop", 0, 150), (1, "start", len(before), len(before + own))):
        Step.objects.create(operation=operation, position=position, name=name, output_start=start, undo_start=back)
    found = error_lines.search(operation)
    assert [end + 1 for end in found.ends] == [2, *range(14, 64)] and found.hits == 51
    assert found.lines[-1][1] == b"half a "
    assert operations.error_lines(operation, 2) == (63, "x\nhalf a ")
    operation.error = "start failed with exit status 7: half a"
    assert operations.error_lines(operation, 1) == (63, "half a ")
    operation.error = "start failed with exit status 7: all is well again"
    assert operations.error_lines(operation, 1) == (63, "half a "), "what the undo printed is not the error"
    operation.output_size = 20 << 20  # shortened on the host: what lies in its middle is not there
    Step.objects.filter(name="start").update(output_start=9 << 20)
    assert error_lines.of_failed_step(operation) is None


def test_live_output_has_line_numbers(operation):
    from worker.progress import Progress, write_progress

    progress = Progress(operation)
    for start, data in ((0, b"one\ntwo"), (7, b" and more\nthree\n"), (23, b"x\n" * 50_000)):
        progress.output(start, data)
        piece = progress.take()
        write_progress([(progress, piece)])
        progress.forget(piece)
    operation.refresh_from_db()
    rows = Output.objects.order_by("start")
    assert list(rows.values_list("line", flat=True)) == [0, 1, 3, 3 + 32768]
    assert operation.output_lines == 50_003
