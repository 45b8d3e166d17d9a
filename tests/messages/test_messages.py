"""Messages: values with a text in the table, made into sentences where they are shown."""

import pytest
from django.utils import translation

from access.problems import FieldError, invalid, invalid_fields, not_found, refused
from messages import Message
from messages.rendering import english, hint, literal, render

pytestmark = pytest.mark.pure


def test_message_round_trip():
    message = Message("invalid.several", {"field": "port", "reason": Message("password_required"), "more": 2})
    assert Message.from_json(message.as_json()) == message


def test_renders_in_the_active_language():
    message = Message("host_archived", {"host": "web1"})
    assert (render(message), hint(message)) == ("web1 is archived.", "Unarchive it first.")
    with translation.override("zh-hans"):
        assert english(message) == "web1 is archived."


def test_literals_are_shown_unchanged():
    text = "{host} said: %s <b>"
    assert render(literal(text)) == text
    assert render(Message("host_archived", {"host": text})) == f"{text} is archived."


def test_unknown_codes_show_themselves():
    assert render(Message("not_there_yet", {"count": 3})) == "not_there_yet, count=3"
    assert render(Message("host_archived")) == "{host} is archived."


def test_refusals_have_code_and_parameters():
    problem = refused("host_archived", host="web1")
    assert (problem.status, problem.code, problem.params) == (409, "host_archived", {"host": "web1"})


def test_field_errors_have_pointers():
    problem = invalid("/a/port", "password_required")
    assert problem.detail == "a.port: is required: you entered it too long ago"
    assert problem.errors == [
        {
            "pointer": "/a/port",
            "reason": "is required: you entered it too long ago",
            "code": "password_required",
            "params": {},
        }
    ]


def test_counts_several_errors():
    problem = invalid_fields([FieldError("/a", "password_required"), FieldError("/b", "password_required")])
    assert problem.detail == "a: is required: you entered it too long ago (and 1 more)" and len(problem.errors) == 2


@pytest.mark.parametrize(("what", "shown"), [("service", "service"), ("past_setting", "settings revision")])
def test_words_of_the_api_are_terms(what, shown):
    assert not_found(what).detail == f"There is no such {shown}, or you may not see it."
