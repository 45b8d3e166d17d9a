r"""Variables as people edit them: NAME=value lines, quoted as in a .env file where a line alone cannot hold the value.

    PORT=8080
    GREETING="two\nlines, a \"quote\", and a blank at the end "
    CA="-----BEGIN CERTIFICATE-----
    MIIB…
    -----END CERTIFICATE-----
    "
    PATTERN='C:\dir\*'

Without quotes a value ends with its line, and blanks around it do not count. Between double quotes it may have several
lines, and \n \r \t \\ \" \uXXXX stand for what they do in JSON; between single quotes every character is itself.
`parsed(shown(values)) == values` for every object of texts. Pure.
"""

import re
import unicodedata
from collections.abc import Mapping

# Cc: control characters; Cs: halves of a pair, which no page can hold; Zl, Zp: line ends to some programs.
_ESCAPED = ("Cc", "Cs", "Zl", "Zp")
_LETTERS = {"n": "\n", "r": "\r", "t": "\t", "\\": "\\", '"': '"'}
_CODES = {code: f"\\{letter}" for letter, code in _LETTERS.items() if code != "\n"}
_DOUBLE = re.compile(r'"((?:[^"\\]|\\.)*+)"[ \t]*+(?=\n|\Z)', re.DOTALL)
_SINGLE = re.compile(r"'([^']*)'[ \t]*(?=\n|\Z)")
_ESCAPE = re.compile(r"\\(u[0-9A-Fa-f]{4}|.)", re.DOTALL)


class Unreadable(ValueError):
    """A line that is no assignment. `code`: what is wrong with it; `line` counts from 1."""

    def __init__(self, code: str, line: int, name: str = ""):
        super().__init__(code)
        self.code, self.line, self.name = code, line, name


def shown(values: Mapping[str, str]) -> str:
    """The lines that `parsed` reads back."""
    return "\n".join(f"{name}={value if _is_plain(value) else _quoted(value)}" for name, value in values.items())


def parsed(text: str) -> dict[str, str]:
    """What the lines say; they end with LF. Raises Unreadable: no_equals, quotes, escape or twice."""
    found: dict[str, str] = {}
    at, line = 0, 1
    while at < len(text):
        end = text.find("\n", at)
        end = len(text) if end < 0 else end
        if text[at:end].strip():
            name, value, end = _assignment(text, at, end, line)
            if name in found:
                raise Unreadable("twice", line, name)
            found[name] = value
        line += text.count("\n", at, end + 1)
        at = end + 1
    return found


def _assignment(text: str, at: int, end: int, line: int) -> tuple[str, str, int]:
    """Name, value and where the value ends, of what begins at `at` on a line that ends at `end`."""
    name, sign, rest = text[at:end].partition("=")
    if not sign:
        raise Unreadable("no_equals", line)
    name, bare = name.strip(), rest.strip()
    if not bare.startswith(('"', "'")):
        return name, bare, end
    start = text.index(bare[0], at + text[at:end].index("="))
    match = _DOUBLE.match(text, start) if bare[0] == '"' else _SINGLE.match(text, start)
    if match is None:
        raise Unreadable("quotes", line, name)
    value = match[1]
    if bare[0] == '"':
        value = _ESCAPE.sub(lambda one: _meaning(one[1], line, name), value)
        # Two halves that were written one after the other are one character.
        value = value.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
    return name, value, match.end()


def _meaning(escape: str, line: int, name: str) -> str:
    if len(escape) == 5:
        return chr(int(escape[1:], 16))
    if escape not in _LETTERS:
        raise Unreadable("escape", line, name)
    return _LETTERS[escape]


def _is_plain(value: str) -> bool:
    return (
        value == value.strip()
        and not value.startswith(('"', "'"))
        and not any(unicodedata.category(character) in _ESCAPED for character in value)
    )


def _quoted(value: str) -> str:
    return '"' + "".join(_escaped(character) for character in value) + '"'


def _escaped(character: str) -> str:
    if character == "\n":
        return character
    if character in _CODES:
        return _CODES[character]
    return f"\\u{ord(character):04x}" if unicodedata.category(character) in _ESCAPED else character
