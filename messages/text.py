"""One entry of the table of texts."""

from dataclasses import dataclass

from django.utils.functional import Promise


@dataclass(frozen=True, slots=True)
class Plural:
    """Two texts, of which the number in the parameter `number` chooses one. `makemessages` finds both here."""

    singular: str
    plural: str
    number: str


@dataclass(frozen=True, slots=True)
class Text:
    """A sentence and a hint (what to do next), with places for parameters: _("{name} is archived.")."""

    says: str | Promise | Plural
    hint: str | Promise | Plural = ""
    cause: str | Promise | Plural = ""  # what usually is behind it, for errors that are diagnosed later
