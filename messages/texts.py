"""The one table of texts: every code that a message can carry, with its sentence and what to do next.

Each module of this package that ends in `_texts` adds its part; a code stands once. A test fails where a code that the
product uses is not here, or where one here is used by nobody.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Text:
    """`says` and `hint` are lazy texts with places for parameters ({name}), or (singular, plural, the counted one)."""

    says: Any
    hint: Any = ""


TEXTS: dict[str, Text] = {}


def add(texts: Mapping[str, Text]) -> None:
    """Adds a part of the table. ValueError where a code is there already: two sentences for one code."""
    twice = TEXTS.keys() & texts.keys()
    if twice:
        raise ValueError(f"texts that are there already: {', '.join(sorted(twice))}")
    TEXTS.update(texts)
