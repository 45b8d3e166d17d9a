"""Callbacks."""

from ..text import Text

TEXTS: dict[str, Text] = {}
