"""Extract the error sentence of a build server from JSON, an HTML page or a line of text. Pure.

GitLab puts a text, a list, or lists by field under `message` or `error`. Jenkins sends `X-Error`, a page with the
sentence below a heading, Jetty's own page, or the first line of a Java stack trace.
"""

import json
import re
from collections.abc import Iterable, Mapping
from html.parser import HTMLParser
from typing import Any

from .providers import clean_text

MAX_LENGTH = 300
_MAX_BODY = 32 * 1024  # bytes of a body that are read; the sentence is near its start
_KEYS = ("message", "error_description", "error", "detail")
# Headings and titles without information.
_EMPTY = re.compile(r"(oops!?|error|jenkins|login|sign in|gitlab|access denied|http error \d+|error \d+)?\W*\Z", re.I)
# Prefixes: Jetty's status, the class of a Java exception.
_BEFORE = re.compile(r"(?:HTTP ERROR|Error) \d{3}\b:?\s*|[A-Za-z_$][\w$.]{0,120}(?:Exception|Error|Failure):\s*", re.I)


def error_sentence(headers: Mapping[str, str], body: bytes, secrets: Iterable[str] = ()) -> str:
    """Return the sentence without `secrets`, or "" if there is none. `headers`: names in lower case."""
    text = headers.get("x-error", "") or _sentence(body[:_MAX_BODY].decode("utf-8", "replace"))
    for secret in secrets:
        if secret:
            text = text.replace(secret, "***")
    return clean_text(" ".join(text.split()), MAX_LENGTH)


def _sentence(text: str) -> str:
    text = text.strip()
    if text.startswith(("{", "[", '"')):
        try:
            return _flat(json.loads(text))
        except (ValueError, RecursionError):
            return ""
    if "<" in text[:200]:
        page = _Page()
        page.feed(text)
        return page.sentence()
    return _bare(text.partition("\n")[0])


def _bare(text: str) -> str:
    """Return the text without prefixes, short enough for the patterns."""
    text = text[: 2 * MAX_LENGTH]
    while before := _BEFORE.match(text):
        text = text[before.end() :]
    return text


def _flat(value: Any, depth: int = 0) -> str:
    if depth > 4:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return ", ".join(filter(None, (_flat(item, depth + 1) for item in value[:5])))
    if not isinstance(value, dict):
        return ""
    if depth == 0:
        return next(filter(None, (_flat(value.get(key), 1) for key in _KEYS)), "")
    parts = [(name, _flat(item, depth + 1)) for name, item in list(value.items())[:5]]
    return "; ".join(text if name == "base" else f"{name} {text}" for name, text in parts if text)


class _Page(HTMLParser):
    """Find the sentence on error pages of Jenkins and Jetty."""

    def __init__(self) -> None:
        super().__init__()
        self._open: list[str] = []
        self._found: dict[str, str] = {}
        self._headed = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        described = ("id", "error-description") in attrs
        if tag in ("title", "h1", "h2", "p", "pre", "td", "th") or described:
            self._open.append("described" if described else tag)
        if tag == "h1":
            self._headed = True

    def handle_endtag(self, tag: str) -> None:
        if self._open and (tag == self._open[-1] or (self._open[-1] == "described" and tag == "div")):
            self._open.pop()

    def handle_data(self, data: str) -> None:
        text = " ".join(data.split())
        if not text or not self._open:
            return
        place = "described" if "described" in self._open else self._open[-1]
        if place == "p" and self._headed:
            place = "below"
        if place == "td" and self._found.get("th", "").upper().endswith("MESSAGE:"):
            place = "message"
        if place == "th":
            self._found["th"] = text
        elif len(self._found.get(place, "")) < MAX_LENGTH:
            self._found[place] = f"{self._found.get(place, '')} {text}".strip()

    def sentence(self) -> str:
        for place in ("described", "message", "below", "h2", "pre", "p", "h1", "title"):
            text = _bare(self._found.get(place, ""))
            if not _EMPTY.match(text):
                return text
        return ""
