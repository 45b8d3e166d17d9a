"""Ids and sizes in text."""

import pytest

from runtime.ids import MAX_ID, parse_id, parse_number

pytestmark = pytest.mark.pure


@pytest.mark.parametrize("text", ["1", "007", str(MAX_ID)])
def test_parses_decimal_digits(text):
    assert parse_id(text) == parse_number(text) == int(text)


@pytest.mark.parametrize("text", ["", "-1", "+1", "1.0", "1_0", " 1", "٣", "x", str(MAX_ID + 1), "9" * 5000])
def test_rejects_other_text(text):
    assert parse_id(text) is None and parse_number(text) is None


def test_zero_is_not_an_id():
    assert (parse_number("0"), parse_id("0"), parse_id(0)) == (0, None, None)


def test_respects_the_largest_number():
    assert (parse_number("10", 10), parse_number("11", 10)) == (10, None)


@pytest.mark.parametrize("value", [True, None, 1.0, -1, MAX_ID + 1, [1]])
def test_rejects_other_values(value):
    assert parse_id(value) is None


def test_accepts_numbers():
    assert parse_id(7) == 7
