r"""Environment variables as NAME=value lines, quoted as in a .env file where a plain line cannot hold the value.

    PORT=8080
    GREETING="two\nlines, a \"quote\", and a blank at the end "
    CA="-----BEGIN CERTIFICATE-----
    MIIB…
    -----END CERTIFICATE-----
    "
    PATTERN='C:\dir\*'

An unquoted value ends with its line, without surrounding blanks. In double quotes it may span lines, and the escapes
\n \r \t \\ \" \uXXXX mean what they mean in JSON; in single quotes every character is literal.
`parse(render(values)) == values` for every mapping of texts. Pure.
"""

import re
import unicodedata
from collections.abc import Mapping

# Cc: control characters; Cs: surrogates, which no page can hold; Zl, Zp: line ends to some programs.
_ESCAPED = ("Cc", "Cs", "Zl", "Zp")
_LETTERS = {"n": "\n", "r": "\r", "t": "\t", "\\": "\\", '"': '"'}
_CODES = {code: f"\\{letter}" for letter, code in _LETTERS.items() if code != "\n"}
_DOUBLE = re.compile(r'"((?:[^"\\]|\\.)*+)"[ \t]*+(?=\n|\Z)', re.DOTALL)
_SINGLE = re.compile(r"'([^']*)'[ \t]*(?=\n|\Z)")
_ESCAPE = re.compile(r"\\(u[0-9A-Fa-f]{4}|.)", re.DOTALL)


class ParseError(ValueError):
    """A line that is not an assignment. `code`: what is wrong with it; `line` counts from 1."""

    def __init__(self, code: str, line: int, name: str = "") -> None:
        super().__init__(code)
        self.code, self.line, self.name = code, line, name


def render(values: Mapping[str, str]) -> str:
    """Return the lines that `parse` reads back."""
    return "\n".join(f"{name}={value if _is_plain(value) else _quoted(value)}" for name, value in values.items())


def parse(text: str) -> dict[str, str]:
    """Return the variables of LF-terminated lines. Raise ParseError: no_equals, quotes, escape or twice."""
    values: dict[str, str] = {}
    at, line = 0, 1
    while at < len(text):
        end = text.find("\n", at)
        end = len(text) if end < 0 else end
        if text[at:end].strip():
            name, value, end = _assignment(text, at, end, line)
            if name in values:
                raise ParseError("twice", line, name)
            values[name] = value
        line += text.count("\n", at, end + 1)
        at = end + 1
    return values


def _assignment(text: str, at: int, end: int, line: int) -> tuple[str, str, int]:
    """Return name, value and the end of the value, for the assignment at `at` on a line that ends at `end`."""
    name, sign, rest = text[at:end].partition("=")
    if not sign:
        raise ParseError("no_equals", line)
    name, bare = name.strip(), rest.strip()
    if not bare.startswith(('"', "'")):
        return name, bare, end
    start = text.index(bare[0], at + text[at:end].index("="))
    match = _DOUBLE.match(text, start) if bare[0] == '"' else _SINGLE.match(text, start)
    if match is None:
        raise ParseError("quotes", line, name)
    value = match[1]
    if bare[0] == '"':
        value = _ESCAPE.sub(lambda escape: _unescape(escape[1], line, name), value)
        # Two surrogates in sequence are one character.
        value = value.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
    return name, value, match.end()


def _unescape(escape: str, line: int, name: str) -> str:
    if len(escape) == 5:
        return chr(int(escape[1:], 16))
    if escape not in _LETTERS:
        raise ParseError("escape", line, name)
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
