"""The table of texts and the product's code agree: each code has a text, each text a caller that fills its places."""

from collections.abc import Iterator
from string import Formatter

from access.problem_codes import CODES
from messages.rendering import LITERAL
from messages.text import Plural, Text
from messages.texts import TEXTS

from . import callers

# Params that the maker itself adds.
BY_DEFAULT = ("invalid", "unauthorized")  # codes of makers that are called without one
ADDED = {"invalid": frozenset({"field", "reason", "more"})}

# Codes that the engine puts together; tests/engine/test_error_texts.py compares them with its code.
OF_THE_ENGINE = ("operation.", "reason.", "gap.", "remedy.", "host_check.")


def test_every_code_has_a_text():
    missing = [
        f"{call.where}: {code}"
        for call in callers.calls()
        for code in call.codes
        if code not in TEXTS and code != LITERAL
    ]
    assert missing == []


def test_every_text_is_used():
    assert [code for code in TEXTS if not code.startswith(OF_THE_ENGINE) and not _is_used(code)] == []


def _is_used(code: str) -> bool:
    """Return whether the code is in a call or a table, or is returned. A plain word may be anything: calls only."""
    for suffix in (".several", ".said"):  # added by invalid_fields, and by builds.providers.with_words
        if code.endswith(suffix) and _is_used(code.removesuffix(suffix)):
            return True
    if any(code in call.codes for call in callers.calls()) or code in BY_DEFAULT:
        return True
    if "_" not in code and "." not in code:
        return False
    return code in callers.strings() or any(code.startswith(prefix) for prefix in callers.prefixes())


def test_every_place_is_filled():
    empty = [
        f"{call.where}: {code} has {{{place}}}"
        for call in callers.calls()
        if call.params is not None
        for code in call.codes
        if code in TEXTS
        for place in places(TEXTS[code]) - call.params - ADDED.get(call.maker, frozenset())
    ]
    assert empty == []


def test_every_family_has_a_status():
    families = {
        code.partition(".")[0]: call.where
        for call in callers.calls()
        if call.maker in callers.REFUSALS
        for code in call.codes
        if " " not in code
    }
    assert {family: where for family, where in families.items() if family not in CODES} == {}


def test_no_message_is_a_finished_sentence():
    assert [call.where for call in callers.calls() if call.sentence] == []


def test_finds_calls_of_every_maker():
    """The tests above would pass if nothing was found."""
    makers = {call.maker for call in callers.calls() if call.codes}
    assert makers == set(callers.MAKERS), "each is called with a code somewhere"
    assert "type" in places(Text("{type:term} {a}", Plural("{b}", "{c}", "n")))
    assert places(Text("{type:term} {a}", Plural("{b}", "{c}", "n"))) == {"type", "a", "b", "c", "n"}


def places(text: Text) -> set[str]:
    """Return the names of the parameters that a text shows or counts."""
    return {name for part in (text.says, text.hint) for name in _places(part)}


def _places(part: object) -> Iterator[str]:
    if isinstance(part, Plural):
        yield part.number
        for form in (part.singular, part.plural):
            yield from _places(form)
        return
    for _, name, _, _ in Formatter().parse(str(part)):
        if name:
            yield name
