"""The table of problem codes and the product's code agree."""

import re

from access.problem_codes import CODES
from access.problems import Problem
from messages import Message

from . import callers


def test_every_code_is_used():
    families = {text.partition(".")[0] for text in callers.strings_outside("access/problem_codes.py")}
    assert [code for code in CODES if code not in families] == []


def test_every_code_has_a_meaning_and_a_remedy():
    for code, entry in CODES.items():
        assert entry.means.endswith(".")
        assert entry.do.endswith(".")
        assert 400 <= entry.status < 600
        assert re.fullmatch(r"[a-z_]+", code)


def test_problem_types_link_to_the_page(client, rf):
    from api import errors

    page = client.get("/api/v1/docs/errors").content.decode()
    for code, entry in CODES.items():
        kind = errors.answer(rf.get("/api/v1/"), Problem(entry.status, Message(code))).content.decode()
        address, _, anchor = re.search(r'"type": "([^"]*)"', kind)[1].partition("#")
        assert (address, anchor) == ("/api/v1/docs/errors", code)
        assert f'id="{anchor}"' in page
