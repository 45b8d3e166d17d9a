"""Reading the journal and answers of hosts, which are not trusted."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployer.engine.journal import MAX_LINE, JournalEvent, JournalReader, Kind, Result, parse

pytestmark = pytest.mark.pure

LINE = b"3 180000000012 failed 4 stop 7\tv1 runs\tsure\texit status 7"


def test_parses_line():
    assert parse(LINE) == JournalEvent(3, 1800000000.12, Kind.FAILED, 4, "stop", "v1 runs", "sure", 7, "exit status 7")
    end = parse(b"9 100 end - - -\tfailed\t12\tnot undone: pre")
    assert (end.result, end.output_size, end.detail, end.position) == (Result.FAILED, 12, "not undone: pre", None)


def test_parses_printed_bytes_of_started_event():
    begun = parse(b"3 100 started 4 stop -\tv1 runs\t\t1234")
    assert (begun.printed, begun.old_state, begun.detail) == (1234, "v1 runs", "")
    for detail in (b"", b"-1", b"1x", "١".encode(), b"9" * 40):
        assert parse(b"3 100 undoing 4 stop -\t\t\t" + detail).printed is None


def test_reader_joins_pieces_and_keeps_noise():
    reader = JournalReader("abc")
    data = b"Welcome!\n@abc " + LINE + b"\n@abd " + LINE + b"\n@abc nonsense\n"
    events = [event for byte in data for event in reader.feed(bytes([byte]))]
    assert events == [parse(LINE)]
    assert reader.noise == b"Welcome!\n@abd " + LINE + b"\n@abc nonsense\n"


def test_rejects_invalid_lines():
    for bad in (
        b"",
        b"x",
        LINE.replace(b"failed", b"flawed"),
        LINE.replace(b"3 ", b"-3 ", 1),
        LINE.replace(b"\t", b" "),
        LINE.replace(b" 7\t", b" 7 7\t"),
        LINE.replace(b"stop", b"a;b"),
        b"9 100 end - - -\tdone\t-1\t",
        b"9 100 end - - -\twonderful\t1\t",
        "٣ 100 begun - - -\t\t\t".encode(),
    ):
        assert parse(bad) is None, bad


def test_texts_are_clipped_and_cleaned():
    event = parse(b"1 1 done 0 a -\t\x1b[31mold\x00\xff\t" + b"n" * 5000 + b"\td")
    assert event.old_state == "[31mold \ufffd"
    assert len(event.new_state) == 500


def test_endless_line_is_skipped():
    reader = JournalReader("n")
    for _ in range(100):
        assert reader.feed(b"x" * 10_000) == []
        assert len(reader.noise) <= 2000 and len(reader._rest) <= MAX_LINE
    assert reader.feed(b"tail\n@n " + LINE + b"\n") == [parse(LINE)]


@given(st.lists(st.binary(max_size=300)))
def test_reader_accepts_any_bytes(pieces):
    reader = JournalReader("n")
    for piece in pieces:
        for event in reader.feed(piece):
            assert isinstance(event, JournalEvent)


@given(st.text(max_size=40))
def test_state_cannot_split_event(text):
    line = f"1 1 done 0 a -\t{text}".encode() + b"\tn\td"
    if b"\t" not in text.encode() and b"\n" not in text.encode():
        assert parse(line) is not None
