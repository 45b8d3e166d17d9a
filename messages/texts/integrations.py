"""Integrations."""

from ..text import Text

TEXTS: dict[str, Text] = {}
