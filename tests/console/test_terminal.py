"""Output becomes harmless HTML, whatever a host prints."""

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from microservice.output import terminal
from tests.lab.busy import within

pytestmark = pytest.mark.pure

MARKUP = re.compile(r'<span class="(?:t-\w+(?: t-\w+)*|seen|clipped)">|</span>')


@pytest.mark.parametrize(
    ("output", "html"),
    [
        (b"plain", "plain"),
        (b"<script>alert('x')</script>", "&lt;script&gt;alert(&#x27;x&#x27;)&lt;/script&gt;"),
        (b"\x1b[31mred\x1b[0m end", '<span class="t-red">red</span> end'),
        (
            b"\x1b[1;92mgood\x1b[39m still bold",
            '<span class="t-bold t-green">good</span><span class="t-bold"> still bold</span>',
        ),
        (b"\x1b[38;5;196mx\x1b[m", "x"),
        (b"\x1b[38;2;1;2;31mx\x1b[0m", "x"),
        (b"\x1b]8;;http://evil.example\x07click\x1b]8;;\x07", "click"),
        (b"\x1b]0;title\x1b\\shown", "shown"),
        (b"\x1b]52;c;ZXZpbA==\x07shown", "shown"),
        (b"\x1bP+q\x1b\\shown", "shown"),
        (b"\x1b[2J\x1b[1;1H\x1b[?25lshown", "shown"),
        (b"half a sequence \x1b[", "half a sequence "),
        (b"a\x00b\x08c", 'a<span class="seen">^@</span>b<span class="seen">^H</span>c'),
        ("abc\u202egnp.exe".encode(), 'abc<span class="seen">U+202E</span>gnp.exe'),
        ("zero\u200bwidth".encode(), 'zero<span class="seen">U+200B</span>width'),
        (b"not \xff utf-8", "not \N{REPLACEMENT CHARACTER} utf-8"),
        (b"one\r\ntwo\rthree\tfour", 'one\nthree\tfour <span class="clipped">… 1 earlier state of this line</span>'),
        (b"", ""),
    ],
)
def test_renders_output_as_html(output, html):
    assert terminal.render(output).html == html


def test_style_continues_in_next_piece():
    first = terminal.render(b"\x1b[1;31mone\n")
    assert first.style == "bold red"
    assert terminal.render(b"two", first.style).html == '<span class="t-bold t-red">two</span>'


def test_ignores_unknown_style():
    assert terminal.render(b"x", 'red "><script> bold').html == '<span class="t-bold t-red">x</span>'


def test_clips_endless_line():
    html = terminal.render(b"a" * 1_000_000 + b"\nnext").html
    assert len(html) < terminal.LINE_LIMIT + 300
    assert "not shown" in html and html.endswith("\nnext")


def test_clips_across_colours():
    html = terminal.render(b"\x1b[31m" + b"a" * 5000 + b"\x1b[32m" + b"b" * 5000 + b"\nnext").html
    assert "b" * 10 not in html and "next" in html


@pytest.mark.parametrize(
    "piece", [b"\x1b", b"\x1b[", b"\x1b]", b"\x1b[0", b"\x1b[31m", b"\x1b]8;;", b"\x9b1", b"\x1bP", b"\n", b"\x00"]
)
def test_hostile_repetition_is_linear(piece):
    started = time.monotonic()
    terminal.render(piece * (200_000 // len(piece)))
    assert time.monotonic() - started < within(5)


@settings(max_examples=60)
@given(some.one_of(some.binary(max_size=300), some.text(max_size=300)))
def test_output_has_only_own_markup(output):
    rendered = terminal.render(output)
    left = MARKUP.sub("", rendered.html)
    assert "<" not in left and ">" not in left and '"' not in left
    assert not terminal.HIDDEN.search(left) and "\x1b" not in left
    assert rendered.html.count("<span") == rendered.html.count("</span>")


@settings(max_examples=60)
@given(some.text(max_size=300))
def test_plain_text_has_no_hidden_characters(text):
    assert not terminal.HIDDEN.search(terminal.plain(text))
