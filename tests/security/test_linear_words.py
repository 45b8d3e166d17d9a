"""The language of a page is found in time that grows with the text, whatever a host or a person writes."""

import pytest
from django.utils import translation

from console import language
from tests.security.linear import grows_linearly

CHINESE = "zh-hans"


@pytest.fixture(autouse=True)
def chinese():
    with translation.override(CHINESE):
        yield


def sentences() -> list[language.Sentence]:
    return [one for kind in language._sentences(CHINESE) for one in kind]


def test_every_sentence_of_the_catalogue_takes_linear_time_on_what_is_made_to_hurt_it():
    """For each: its own pieces again and again, with and without its end, and its rarest part left out."""
    assert len(sentences()) > 100
    for sentence in sentences():
        pieces = [piece for piece in sentence.pieces if piece]
        for unit in ("".join(pieces), "".join(pieces[:-1]) or pieces[0], pieces[0], "".join(reversed(pieces))):
            make = lambda n, unit=unit, head=sentence.pieces[0]: head + (unit + " ") * n + "."
            assert grows_linearly(sentence.parts, make), (sentence.pieces, unit)


@pytest.mark.parametrize(
    "unit",
    [
        ": .: .",
        " (and 1",
        ", and 1 more like it",
        "A. ",
        "a: ",
        "check failed with exit status 1: ",
        ". A",
        "x",
        " is locked by , deployment , since ",
        "The host has seen the fence ",
        "1",
        "。",
        "{0}",
    ],
)
def test_a_text_of_any_length_is_looked_up_in_linear_time(unit):
    def look_up(text):
        language._told.cache_clear()
        language.told(text)

    assert grows_linearly(look_up, lambda n: unit * (n // len(unit) + 1), sizes=(400, 1600))


def test_the_texts_of_the_review_take_no_time():
    import time

    began = time.process_time()
    for text in (": .: ." * 330, ": .: .…" * 270, "a: .b: .c Nothing was imported" * 60, ": .: ." * 50):
        language.told(text)
        language.known(text)
    assert time.process_time() - began < 1.0


def test_a_long_text_of_ours_is_translated_sentence_by_sentence_and_a_long_sentence_is_left():
    short, long = "Instance 5 does not run 1.2.", "x" * 301
    assert language.told(f"{long}. {short}") == f"{long}. {language.told(short)}"
    assert language.told(short) != short
    named = f"{'h' * 290} is in maintenance."
    assert language.told(named) == named, "longer than a sentence may be"


def test_what_a_host_says_is_translated_only_word_for_word():
    said = "nothing runs"
    assert language.known(said) == language.told(said)
    assert language.known("web1:10.0.0.1 is in maintenance.") == "web1:10.0.0.1 is in maintenance."
    assert language.known(None) == ""
