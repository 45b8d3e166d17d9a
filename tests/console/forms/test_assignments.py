"""Variables as lines of a text area: every value can be shown, and typed lines are parsed or refused by line."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from console.forms import assignments
from console.forms import settings as settings_forms
from console.forms.fields import Variables
from tests.console.admitted import PEM, any_text, binding, name

pytestmark = [pytest.mark.found("forms"), pytest.mark.pure]


@given(st.lists(binding, max_size=4))
@settings(max_examples=200)
def test_bindings_round_trip(bindings):
    field = settings_forms.Bindings()
    assert field.clean(field.prepare_value(bindings)) == bindings


@given(st.dictionaries(name, any_text, max_size=5))
@settings(max_examples=500)
def test_variables_round_trip(values):
    assert assignments.parse(assignments.render(values)) == values


@given(st.text("\"'\\\n\r\t =anu0"))
@settings(max_examples=500)
def test_parses_typed_lines(text):
    """And what was read is shown so that it is read the same."""
    try:
        found = assignments.parse(text)
    except assignments.ParseError as error:
        assert 1 <= error.line <= text.count("\n") + 1 and error.code in Variables.REASONS
    else:
        assert assignments.parse(assignments.render(found)) == found


@pytest.mark.parametrize(
    ("typed", "value"),
    [
        ("A=b c", "b c"),
        ("A= b ", "b"),
        ("A=", ""),
        ('A=""', ""),
        ('A=" b "', " b "),
        ("A='b\\n'", "b\\n"),
        ('A="b\\nc"', "b\nc"),
        ('A="b\nc"', "b\nc"),
        ("A='b\nc'", "b\nc"),
        ('A="\\u00e9"', "é"),
        ("A=b=c", "b=c"),
        ('A="b" ', "b"),
        ("A=it's", "it's"),
        ('A=a "b"', 'a "b"'),
        ('A = "b"', "b"),
        ('A="\\"\\\\"', '"\\'),
        ('A={"a": "b"}', '{"a": "b"}'),
        (f'A="{PEM}"', PEM),
    ],
)
def test_parses_quoted_values(typed, value):
    assert assignments.parse(typed) == {"A": value}


@pytest.mark.parametrize(
    ("typed", "code", "line"),
    [
        ("A=1\nB", "no_equals", 2),
        ('A="b', "quotes", 1),
        ('\n\nA="b" c', "quotes", 3),
        ("A='b\n\nB=2", "quotes", 1),
        ('A="C:\\dir"', "escape", 1),
        ('A="1\n2"\nA=3', "twice", 3),
        ('A="\\u12"', "escape", 1),
    ],
)
def test_rejects_unreadable_line(typed, code, line):
    with pytest.raises(assignments.ParseError) as refused:
        assignments.parse(typed)
    assert (refused.value.code, refused.value.line) == (code, line)
