"""One text that a person sees, where it was found."""

from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent


@dataclass(frozen=True, slots=True)
class Found:
    """A message of the catalogue: what gettext calls msgid, its plural and its context ("" for none)."""

    text: str
    plural: str = ""
    context: str = ""
    place: str = ""
