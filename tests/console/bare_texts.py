"""Finds the texts of templates that no tag translates."""

import re
from collections.abc import Iterator
from pathlib import Path

from django.template.base import DebugLexer, TokenType

# What a reader sees besides text nodes.
_SEEN = re.compile(r'\s(?:aria-label|placeholder|title|alt|data-(?:name|waits|empty|none|says))="([^"]*)"')
_TAG = re.compile(r"""<!--.*?-->|<(?:[^<>"']|"[^"]*"|'[^']*')*>""", re.DOTALL)
_CODE = re.compile(r"<(code|kbd|pre|script|style)\b.*?</\1>", re.DOTALL)
ATTRIBUTES = {"width", "layout", "spacing", "events", "kinds", "concerns"}  # blocks of the frames that are no text
_WORD = re.compile(r"[A-Za-z]{2,}")
# Names, which are the same in every language.
_NAMES = re.compile(
    r"&\w+;|\b(?:Deployer|SHA-256|SHA256|sudo|curl|Bearer|Authorization|SSH|URL|CSV|JSON|tar|gz|px|https?|POST|UTC)\b"
)


def bare_texts(path: Path) -> Iterator[str]:
    """Yield every text that a reader sees and no tag translates."""
    shown, inside = [], False
    for token in DebugLexer(path.read_text()).tokenize():
        word = token.contents.split(maxsplit=1)[0] if token.contents.strip() else ""
        if token.token_type == TokenType.BLOCK and word.startswith(
            ("blocktrans", "endblocktrans", "comment", "endcomment")
        ):
            inside = not word.startswith("end")
        elif token.token_type == TokenType.TEXT and not inside:
            shown.append(token.contents)
        elif word == "block" and set(token.contents.split()[1:2]) & ATTRIBUTES:
            inside = True
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
