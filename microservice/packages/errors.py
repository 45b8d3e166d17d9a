"""Why bytes are not accepted as a package."""


class BadArchive(Exception):
    """The bytes are not a package that may be kept. The text says why, as what follows "this is no package:". `hint`:
    the command that makes a good one, where it is known."""

    def __init__(self, reason: str, hint: str = ""):
        super().__init__(reason)
        self.hint = hint


def shown(name: str) -> str:
    """A member's name for a message: quoted, ASCII, of bounded length."""
    return ascii(name[:80]) if name else "the root"
