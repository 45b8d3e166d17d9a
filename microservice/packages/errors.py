"""Why bytes are not accepted as a package."""


class BadArchive(Exception):
    """The bytes are not a package that may be kept. The text says why, as what follows "it is not a package:"."""


def shown(name: str) -> str:
    """A member's name for a message: quoted, ASCII, of bounded length."""
    return ascii(name[:80]) if name else "the root"
