"""The HTTP API itself."""

from ..text import Text

TEXTS: dict[str, Text] = {}
