"""BuildKit's messages: what is read and written of them, and what a newer or a broken engine may send."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrations.docker.buildkit_log import TRACE, Trace
from integrations.docker.protobuf import Malformed, fields, first, number_field, text_field


@given(st.lists(st.tuples(st.integers(1, 1000), st.one_of(st.binary(), st.integers(0, 2**63)))))
def test_messages_are_read_as_written(values):
    raw = b"".join(
        text_field(number, value) if isinstance(value, bytes) else number_field(number, value)
        for number, value in values
    )
    assert list(fields(raw)) == values


@given(st.binary(max_size=200))
def test_any_bytes_are_a_message_or_malformed(raw):
    try:
        assert all(number >= 0 for number, _ in fields(raw))
    except Malformed:
        pass


def test_fields_of_other_kinds_are_skipped_by_their_length():
    raw = bytes([1 << 3 | 1]) + b"8 bytes!" + bytes([2 << 3 | 5]) + b"four" + text_field(3, b"x")
    assert first(raw, 3) == b"x" and first(raw, 4) == b""
    for broken in (raw[:5], raw + bytes([1 << 3 | 3]), b"\xff" * 11):
        with pytest.raises(Malformed):
            list(fields(broken))


def trace(*parts: bytes) -> dict:
    return {"id": TRACE, "aux": base64.b64encode(b"".join(parts)).decode()}


def vertex(name: str, *, started: bool = True, cached: bool = False) -> bytes:
    about = text_field(1, name.encode()) + text_field(3, name.encode())
    about += number_field(4, 1) if cached else b""
    return text_field(1, about + (text_field(5, b"") if started else b""))


def printed(vertex_name: str, raw: bytes) -> bytes:
    return text_field(3, text_field(1, vertex_name.encode()) + text_field(4, raw))


def said(*lines: dict) -> list[str]:
    reader = Trace()
    return [each["stream"] for line in lines for each in reader.lines(line)]


def test_steps_are_said_once_and_in_the_classic_builders_words():
    one, two = "[1/2] FROM base", "[stage-1 2/2] RUN true"
    assert said(
        trace(vertex("[internal] load build definition"), vertex("copy /context /"), vertex(one, started=False)),
        trace(vertex(one), vertex(one, cached=True)),
        trace(vertex(two), vertex(two), vertex("exporting to image")),
    ) == [
        "Step 1/2 : FROM base\n",
        " ---> Using cache\n",
        "Step 2/2 : RUN true\n",
        " ---> exporting to image\n",
    ]


def test_letters_that_arrive_in_pieces_stay_letters():
    raw = "größer".encode()
    assert (
        "".join(said(trace(printed("a", raw[:3])), trace(printed("b", b"x")), trace(printed("a", raw[3:]))))
        == "grxößer"
    )


def test_other_lines_pass_and_broken_ones_do_not_end_the_build():
    reader = Trace()
    proof = {"id": "moby.image.id", "aux": {"ID": "sha256:1"}}
    assert list(reader.lines(proof)) == [proof]
    for broken in ({"id": TRACE}, {"id": TRACE, "aux": "%%"}, {"id": TRACE, "aux": 5}, trace(b"\xff\xff")):
        assert list(reader.lines(broken)) == []
