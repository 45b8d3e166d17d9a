"""The reason why bytes are rejected as a package."""

from typing import Any

from messages import Message
from messages.rendering import english, hint


class BadArchive(Exception):
    """The bytes are not an acceptable package. `message` says which rule they break and how to create a good package.

    `code`: of a text in messages/texts/packages.py, `bad_package.…`, with its parameters.
    """

    def __init__(self, code: str, **params: Any) -> None:
        super().__init__(code)
        self.message = Message(code, params)

    def __str__(self) -> str:
        return english(self.message)

    @property
    def hint(self) -> str:
        """What to do instead, in English."""
        return english(self.message, hint)


def quoted(name: str) -> str:
    """Return a member's name for a message: quoted, ASCII, of bounded length."""
    return ascii(name[:80])
