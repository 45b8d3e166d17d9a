"""What goes to a program's standard input, in pieces."""

from typing import BinaryIO

from .jump_cache.client import BYTES, WAIT, CacheRequest
from .package import PIECE, Package


class ProgramInput:
    """The program, then the package if and when the host wants it; or, where there is a `copy` that it may fetch, first
    a line that says where, and the package only if the host asks again."""

    def __init__(
        self, program: bytes, package: Package | None, at_once: bool, waits: bool, copy: CacheRequest | None = None
    ):
        self._package, self._copy = package, copy
        self._asks = self._was_directed = False  # the host waits for that line; it has it
        self._piece = memoryview(program)
        self._of_package = False
        self._file: BinaryIO | None = None
        self._wanted = at_once
        self._waits = waits  # the host may still ask for the package
        self.touched = False  # some of the program is on its way
        self.started = False  # all of it is
        self.problem = ""  # the name of a reason (codes.reason)

    def piece(self) -> memoryview:
        """Return the next bytes; empty where there are none at the moment, see `over`."""
        if not self._piece and self._asks:
            self._piece = memoryview(self._direction())
        elif not self._piece and self._wanted:
            self._piece = memoryview(self._read())
            self._of_package = True
        return self._piece

    def advance(self, count: int) -> int:
        """Note that so much of the piece is on its way. Return how much of that was package."""
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
        """Note that the host asks for the package."""
        if not self._waits:
            return
        if self._copy is None or self._was_directed:
            self._waits, self._wanted = False, True
        elif not self._asks:
            self._asks = True
            self._copy.want()

    def stop(self) -> None:
        """Stop sending: the host has the release already."""
        self._waits = self._wanted = self._asks = False
        if self._of_package:
            self._piece = memoryview(b"")
        self.close()

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
        if self._copy is not None:
            self._copy.close()

    def _direction(self) -> bytes:
        """Return the line for a host that asked. One that was told where to fetch may ask again, for the bytes."""
        assert self._copy is not None, "else it is not asked for"
        line = self._copy.line()
        if line and line != WAIT:
            self._asks, self._was_directed = False, True
        if line.startswith(BYTES):
            self._waits, self._wanted = False, True
        return line

    def _read(self) -> bytes:
        self._waits = False
        data = b""
        try:
            if self._file is None and self._package is not None:
                self._file = self._package.open()
            data = self._file.read(PIECE) if self._file is not None else b""
        except OSError:
            self.problem = "package_unreadable"
        if self._package is None:
            self.problem = "package_missing"
        if not data:
            self._wanted = False
            self.close()
        return data
