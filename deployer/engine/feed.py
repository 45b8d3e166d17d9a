"""A package on its way to a host: opened when it is wanted, given in pieces, never held in memory as a whole."""
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


class Feed:
    """What goes to a program's standard input: the program, then the package if and when the host wants it."""

    def __init__(self, program: bytes, package: Package | None, at_once: bool, waits: bool):
        self._package = package
        self._piece = memoryview(program)
        self._of_package = False
        self._file: BinaryIO | None = None
        self._wanted = at_once
        self._waits = waits  # the host may still ask for the package
        self.touched = False  # some of the program is on its way
        self.started = False  # all of it is
        self.problem = ""

    def piece(self) -> memoryview:
        """The next bytes; empty where there are none at the moment, see `over`."""
        if not self._piece and self._wanted:
            self._piece = memoryview(self._read())
            self._of_package = True
        return self._piece

    def taken(self, count: int) -> int:
        """So much of the piece is on its way. Returns how much of that was package."""
        self.touched = True
        self._piece = self._piece[count:]
        if not self._of_package and not self._piece:
            self.started = True
        return count if self._of_package else 0

    @property
    def over(self) -> bool:
        """Nothing more will come, so the input can be closed."""
        return not self._piece and not self._wanted and not self._waits

    def want(self) -> None:
        """The host asks for the package."""
        if self._waits:
            self._waits, self._wanted = False, True

    def stop(self) -> None:
        """The host has the release already."""
        self._waits = self._wanted = False
        if self._of_package:
            self._piece = memoryview(b"")
        self.close()

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _read(self) -> bytes:
        self._waits = False
        data = b""
        try:
            if self._file is None and self._package is not None:
                self._file = self._package.open()
            data = self._file.read(PIECE) if self._file is not None else b""
        except OSError:
            self.problem = "The package in the store cannot be read."
        if self._package is None:
            self.problem = "The package is not in the store, and the release is no longer on the host."
        if not data:
            self._wanted = False
            self.close()
        return data


def damage(package: Package) -> str:
    """What is wrong with a package in the store, in words; empty where it is as it was when it came."""
    digest = hashlib.sha256()
    try:
        with package.open() as file:
            while data := file.read(PIECE):
                digest.update(data)
    except OSError:
        return "The package in the store cannot be read."
    return "" if digest.hexdigest() == package.sha256 else "The package in the store is damaged."
