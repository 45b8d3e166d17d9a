"""Secrets in what commands print: found in every form, across every border, and nothing moves."""

import base64
import json
import time
import urllib.parse

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from access.masking import MAX_PIECE, Mask, Stream

pytestmark = pytest.mark.pure

PEM = (
    "-----BEGIN PRIVATE KEY-----\n"
    + "\n".join(base64.b64encode(bytes([number]) * 48).decode() for number in range(3, 9))
    + "\n-----END PRIVATE KEY-----\n"
)


def streamed(mask: Mask, raw: bytes, sizes: list[int]) -> bytes:
    """Return the masked output of data that comes in pieces of these sizes."""
    stream, out, at = Stream(mask), b"", 0
    for size in [*sizes, len(raw) + 1]:
        out += stream.feed(raw[at : at + size])
        at += size
    return out + stream.flush()


@pytest.mark.parametrize(
    "form",
    [
        lambda s: s,
        lambda s: base64.b64encode(s.encode()).decode(),
        lambda s: base64.b64encode(b"u:" + s.encode()).decode(),
        lambda s: base64.b64encode(b"u" + s.encode() + b"\n").decode(),
        lambda s: json.dumps(s),
        lambda s: urllib.parse.quote(s, safe=""),
        lambda s: base64.urlsafe_b64encode(s.encode()).decode(),
    ],
)
@pytest.mark.parametrize("secret", ["s3cret", "a+b/c?d=e\"f'g", "pässwörd", "x" * 300 + "yz", "tab\tin it"])
def test_masks_every_form(form, secret):
    masked = Mask([secret]).text(f"before {form(secret)} after")
    assert masked.startswith("before ") and masked.endswith(" after")
    middle = masked.removeprefix("before ").removesuffix(" after")
    # In base64 the first and last letters hold bits of what stands beside: of those it tells less than a byte.
    assert middle.strip('"').lstrip("dTp").count("*") >= len(middle) - 8, middle


def test_masks_each_line_of_a_key():
    mask = Mask([PEM])
    wrapped = base64.encodebytes(PEM.encode())
    for line in PEM.splitlines()[1:-1]:
        assert mask.text(f"got {line}!") == f"got {'*' * len(line)}!"
    out = streamed(mask, wrapped, [7] * 10)
    lines = wrapped.splitlines()
    assert [line for line in out.splitlines()[:-1] if line.strip(b"*")] == []
    assert len(lines[0]) == MAX_PIECE and out.count(b"\n") == len(lines)
    assert mask.text("-----BEGIN PRIVATE KEY-----") == "-----BEGIN PRIVATE KEY-----"  # tells nothing


@settings(max_examples=300)
@given(
    st.lists(st.sampled_from(["aaaaaa", "ababab", "abcdef", "defabc", "abc", "a", "b", "\n", " "]), max_size=40),
    st.lists(st.integers(1, 9), max_size=60),
)
def test_masks_across_chunks(words, sizes):
    raw = "".join(words).encode()
    mask = Mask(["aaaaaa", "ababab", "abcdef", "defabc"])
    whole, out = streamed(mask, raw, []), streamed(mask, raw, sizes)
    assert len(out) == len(raw) and out == whole
    assert not [one for one in ("aaaaaa", "ababab", "abcdef", "defabc") if one.encode() in out]
    assert out.count(b"\n") == raw.count(b"\n")


def test_holds_back_only_possible_secrets():
    stream = Stream(Mask(["hunter2", "x" * 400]))
    assert stream.feed(b"waiting") == b"waiting"
    assert stream.feed(b"... hun") == b"... "
    assert stream.feed(b"t") == b""
    assert stream.feed(b"ing\n") == b"hunting\n"


def test_masks_truncated_values():
    secret = "correct-horse-battery"
    mask = Mask([secret])
    assert mask.text(f"it said {secret[:12]}") == "it said ************"
    assert mask.text(f"{secret[9:]} was wrong") == f"{'*' * 12} was wrong"
    assert streamed(mask, f"pw={secret[:10]}".encode(), [5]) == b"pw=**********"
    assert mask.text("it is correct") == "it is *******"  # the price of it
    assert mask.text("corr") == "corr"


def test_passes_text_without_secrets():
    data = b"x" * 100
    assert Stream(Mask(())).feed(data) is data
    text = "".join(["a", "b"])
    assert Mask(()).text(text) is text


def test_time_is_linear_in_the_text():
    mask = Mask(["a" * 75 + "b", PEM])

    def seconds(size: int) -> float:
        stream, began = Stream(mask), time.thread_time()
        for _ in range(size // 4096):
            stream.feed(b"a" * 4096)
        return time.thread_time() - began

    seconds(1 << 18)
    small, large = min(seconds(1 << 18) for _ in range(3)), min(seconds(1 << 21) for _ in range(3))
    assert large < 8 * 3 * small


def test_repr_hides_secrets():
    assert "hunter2" not in repr(Mask(["hunter2"])) + str(Mask(["hunter2"]))
