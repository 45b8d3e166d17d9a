"""The button that copies a text, as templates render it."""

import html
import re

import pytest
from django.template import Context, Template
from django.utils import translation

pytestmark = pytest.mark.pure


def rendered(source: str, **values: object) -> str:
    with translation.override("en"):
        return Template("{% load console %}" + source).render(Context(values))


def copied(button: str) -> str:
    return html.unescape(re.search(r'data-copies="([^"]*)"', button)[1])


@pytest.mark.parametrize("text", ["web-01", 7, 'a "b" & <c>', "two\nlines"])
def test_copies_the_text_as_it_is(text):
    button = rendered("{% copy text %}", text=text)
    assert copied(button) == str(text)
    assert button.count("<") == button.count(">"), "nothing of the text is markup"
    assert f"Copy {html.escape(str(text))}</span>" in button


@pytest.mark.parametrize("text", ["", None])
def test_nothing_to_copy_has_no_button(text):
    assert rendered("{% copy text %}", text=text) == ""


def test_long_text_is_copied_whole_and_named_in_short():
    button = rendered("{% copy text %}", text="x" * 500)
    assert copied(button) == "x" * 500
    assert f"Copy {'x' * 60}…</span>" in button


def test_what_a_host_said_reaches_no_terminal_as_a_command():
    button = rendered("{% copy text _('Copy the error') %}", text="\x1b[201~rm -rf\u202e x\x1b]0;t\x07")
    assert not re.search("[\x00-\x08\x0b-\x1f\u202a-\u202e]", copied(button))
    assert ">Copy the error</span>" in button


def test_may_show_its_words():
    button = rendered("{% copy text label='Copy link' %}", text="x")
    assert 'class="button small"' in button and "<span>Copy link</span>" in button


def test_a_link_is_to_what_is_seen_by_then():
    assert "data-copies-address" in rendered("{% copy_link %}") and "data-copies=" not in rendered("{% copy_link %}")
