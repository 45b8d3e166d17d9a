"""What becomes of an operation on a host."""

from ..text import Text

TEXTS: dict[str, Text] = {}
