"""Services, versions, packages and instances."""

from ..text import Text

TEXTS: dict[str, Text] = {}
