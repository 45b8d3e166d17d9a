"""Makes sentences of messages. A page renders in the reader's language; what is kept, logged or sent is English."""

from collections.abc import Callable, Mapping
from string import Formatter
from typing import Any

from django.utils import translation
from django.utils.functional import Promise
from django.utils.translation import gettext, ngettext

from . import Message
from .terms import TERMS
from .text import Plural, Text
from .texts import TEXTS

ENGLISH = "en"
MAX_NAMED = 20  # of a list of names in a sentence; the rest is counted
LITERAL = "literal"  # a text that is a person's, a host's or an older row's: shown as it is


def render(message: Message) -> str:
    """Return the sentence in the active language. A code without a text (of a newer version) shows itself."""
    if message.code == LITERAL:
        return str(message.params["text"])
    text = TEXTS.get(message.code)
    if text is None:
        return ", ".join([message.code, *(f"{name}={value}" for name, value in message.params.items())])
    return _sentence(text.says, message.params)


def hint(message: Message) -> str:
    """Return what to do next in the active language; "" if there is nothing to add."""
    if message.code == LITERAL:
        return str(message.params.get("hint", ""))
    text: Text | None = TEXTS.get(message.code)
    return _sentence(text.hint, message.params) if text and text.hint else ""


def with_hint(message: Message) -> str:
    """Return the sentence and what to do next, in the language that is active."""
    return " ".join(part for part in (render(message), hint(message)) if part)


def cause(message: Message) -> str:
    """Return what usually is behind an error, in the active language; "" where its text says all that is known."""
    text: Text | None = TEXTS.get(message.code)
    return _sentence(text.cause, message.params) if text and text.cause else ""


def render_text(text: str | Promise | Plural) -> str:
    """Return a text that has no parameters, in the active language."""
    return _sentence(text, {})


def english(message: Message, part: Callable[[Message], str] = render) -> str:
    """Return the sentence (or, with `hint`, what to do next) in English."""
    with translation.override(ENGLISH):
        return part(message)


def literal(text: str, hint: str = "") -> Message:
    """Return the words of a person, a host or an older row as a message. They are never translated."""
    return Message(LITERAL, {"text": text, **({"hint": hint} if hint else {})})


def stored(code: str, params: Mapping[str, Any], text: str) -> Message:
    """Return the message of a row: `code` and `params`, or `text` in a row that has only a sentence."""
    return Message.from_json({"code": code, "params": params}) if code else literal(text)


def term(word: object) -> str:
    """Return a word of the API (a status, an action, a role, a field) in the active language.

    A word that is not in messages/terms.py is shown as it is, with spaces for underscores.
    """
    plain = "" if word is None else str(word)
    known = TERMS.get(plain.replace(" ", "_"))
    return plain.replace("_", " ") if known is None else str(known)


def _sentence(says: Any, params: Mapping[str, Any]) -> str:
    if isinstance(says, Plural):
        says = ngettext(str(says.singular), str(says.plural), int(params.get(says.number, 0)))
    return _Places().vformat(str(says), (), _Params(params))


class _Params(dict[str, Any]):
    """A parameter that is missing, as in a row of an older version, shows its name instead of an error."""

    def __missing__(self, name: str) -> str:
        return f"{{{name}}}"


class _Places(Formatter):
    """`{name}`; `{status:term}`, a word of the API in the reader's language. A list stands between commas."""

    def get_field(self, field_name: str, args: Any, kwargs: Any) -> tuple[Any, str]:
        return kwargs[field_name], field_name  # names only: no text reaches into a value

    def format_field(self, value: Any, format_spec: str) -> str:
        if isinstance(value, (list, tuple)):
            return _listed([self.format_field(one, format_spec) for one in value])
        if isinstance(value, Message):
            return render(value)
        return term(value) if format_spec == "term" else str(value)


def _listed(names: list[str]) -> str:
    shown = ", ".join(names[:MAX_NAMED])
    if len(names) > MAX_NAMED:
        return gettext("{names} and {count} more").format(names=shown, count=len(names) - MAX_NAMED)
    return shown
