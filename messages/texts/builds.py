"""Builds and build servers."""

from ..text import Text

TEXTS: dict[str, Text] = {}
