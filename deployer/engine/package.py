"""A package in the store: opened when it is wanted, read in pieces, never held in memory as a whole."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO

PIECE = 1 << 18


@dataclass(frozen=True)
class Package:
    """A package in the store. `open` gives it as a binary file. `likely_there`: the release is probably still on the
    host, so its bytes are sent only if the host asks for them."""

    sha256: str
    size: int
    open: Callable[[], BinaryIO]
    likely_there: bool = False


def damage(package: Package) -> str:
    """Return what is wrong with a package in the store, as the name of a reason; "" where it is intact."""
    digest = hashlib.sha256()
    try:
        with package.open() as file:
            while data := file.read(PIECE):
                digest.update(data)
    except OSError:
        return "package_unreadable"
    return "" if digest.hexdigest() == package.sha256 else "package_damaged"
