"""One entry of the table of texts."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Text:
    """`says` and `hint` (what to do next) are lazy texts with places for parameters: "{name} is archived.".

    Where a number decides between singular and plural: (singular, plural, name of the parameter that is counted).
    """

    says: Any
    hint: Any = ""
