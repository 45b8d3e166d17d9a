"""The console's own pages."""

from ..text import Text

TEXTS: dict[str, Text] = {}
