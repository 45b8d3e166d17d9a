"""What the templates say: texts inside translate tags, and texts that stand there bare, which is a mistake."""

import re
from collections.abc import Iterator
from pathlib import Path

from django.template.base import DebugLexer, Token, TokenType

from .found import ROOT, Found

STRING = r"""(?:"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)')"""
_SHORT = re.compile(rf"_\({STRING}\)")
_TRANSLATE = re.compile(rf"(?:translate|trans)\s+{STRING}(?:.*?\scontext\s+{STRING})?", re.DOTALL)
_CONTEXT = re.compile(rf"\scontext\s+{STRING}")
_LISTED = re.compile(r'"([^"]+)"\|words')
_NEEDS_NONE = ("api_errors.html",)  # it is the API's, and the API speaks English

_OPAQUE = ("blocktranslate", "blocktrans", "comment")

# What a reader sees besides text nodes.
_SEEN = re.compile(r'\s(?:aria-label|placeholder|title|alt|data-(?:name|waits|empty|none|says))="([^"]*)"')
_TAG = re.compile(r"""<!--.*?-->|<(?:[^<>"']|"[^"]*"|'[^']*')*>""", re.DOTALL)
_CODE = re.compile(r"<(code|kbd|pre|script|style)\b.*?</\1>", re.DOTALL)
_WORD = re.compile(r"[A-Za-z]{2,}")
# Names, which are the same in every language.
_NAMES = re.compile(
    r"&\w+;|\b(?:Deployer|SHA-256|SHA256|sudo|curl|Bearer|Authorization|SSH|URL|CSV|JSON|tar|gz|px|https?|POST|UTC)\b"
)


def paths() -> list[Path]:
    return sorted(path for path in (ROOT / "templates").rglob("*.html") if path.name not in _NEEDS_NONE)


def messages(path: Path) -> Iterator[Found]:
    """Every text of a template that is marked for translation."""
    inside: list[Token] = []
    for token in DebugLexer(path.read_text()).tokenize():
        place = f"{path.relative_to(ROOT)}:{token.lineno}"
        word = token.contents.split(maxsplit=1)[0] if token.contents.strip() else ""
        if token.token_type == TokenType.BLOCK and word in ("blocktranslate", "blocktrans"):
            inside = [token]
        elif token.token_type == TokenType.BLOCK and word in ("endblocktranslate", "endblocktrans"):
            yield _block(inside, place)
            inside = []
        elif inside:
            inside.append(token)
        if token.token_type == TokenType.BLOCK and (found := _TRANSLATE.match(token.contents)):
            yield Found(_text(found[1], found[2]), context=_text(found[3], found[4]), place=place)
        if token.token_type in (TokenType.BLOCK, TokenType.VAR):
            for found in _SHORT.finditer(token.contents):
                yield Found(_text(found[1], found[2]), place=place)
            for found in _LISTED.finditer(token.contents):
                yield from (Found(word.replace("_", " "), context="term", place=place) for word in found[1].split())


def bare(path: Path) -> Iterator[str]:
    """Every text that a reader sees and that no tag translates."""
    shown, inside = [], False
    for token in DebugLexer(path.read_text()).tokenize():
        word = token.contents.split(maxsplit=1)[0] if token.contents.strip() else ""
        if token.token_type == TokenType.BLOCK and word.startswith(
            ("blocktrans", "endblocktrans", "comment", "endcomment")
        ):
            inside = not word.startswith("end")
        elif token.token_type == TokenType.TEXT and not inside:
            shown.append(token.contents)
        elif word == "block" and token.contents.split()[1:2] == ["width"]:
            inside = True  # a class of the stylesheet
        elif word == "endblock":
            inside = False
        else:
            shown.append(" ")
    text = "".join(shown)
    seen = [found[1] for found in _SEEN.finditer(text)]
    nodes = _TAG.split(_CODE.sub("<>", text))
    for part in (*seen, *nodes):
        if _WORD.search(_NAMES.sub("", part)):
            yield " ".join(part.split())


def _block(tokens: list[Token], place: str) -> Found:
    """A blocktranslate, as Django itself reads it."""
    head, *body = tokens
    trimmed = "trimmed" in head.contents.split()
    parts: list[list[str]] = [[]]
    for token in body:
        if token.token_type == TokenType.BLOCK and token.contents.strip() == "plural":
            parts.append([])
        elif token.token_type == TokenType.VAR:
            parts[-1].append(f"%({token.contents})s")
        else:
            parts[-1].append(token.contents.replace("%", "%%"))
    texts = ["".join(part) for part in parts]
    if trimmed:
        texts = [" ".join(line.strip() for line in text.splitlines() if line.strip()) for text in texts]
    context = _CONTEXT.search(head.contents)
    return Found(texts[0], texts[1] if len(texts) > 1 else "", _text(context[1], context[2]) if context else "", place)


def _text(double: str | None, single: str | None) -> str:
    """A string of a tag as gettext is asked for it: Django doubles its per cent signs."""
    return (double or single or "").replace('\\"', '"').replace("\\'", "'").replace("%", "%%")
