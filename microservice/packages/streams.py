"""A packed stream unpacked piece by piece, within bounds: memory stays flat, and a bomb is refused while it unpacks."""

import bz2
import lzma
import zlib
from collections.abc import Callable, Iterator
from typing import ClassVar, Protocol

from .errors import BadArchive

UNPACKED_BYTES = 16 * 1024**3
# Text and zeros pack well; a thousandfold is what a bomb needs. Small archives may be as dense as they like.
RATIO = 250
DENSE_BYTES = 64 * 1024 * 1024
PIECE = 64 * 1024
XZ_MEMORY = 72 * 1024 * 1024  # bytes; `xz -9` needs 65 MiB, and nothing that pipelines do by default needs more


def refuse_bomb(packed: int, unpacked: int) -> None:
    """Raises BadArchive where so many bytes must not come of so few."""
    if unpacked > max(DENSE_BYTES, RATIO * packed) or unpacked > UNPACKED_BYTES:
        raise BadArchive("it unpacks to far too much")


class Coder(Protocol):
    """One packed stream. `hungry`: whether it gives nothing more without more packed bytes."""

    @property
    def eof(self) -> bool: ...
    @property
    def hungry(self) -> bool: ...

    def unpack(self, packed: bytes) -> tuple[bytes, bytes]:
        """(at most PIECE bytes, what is left of `packed`)"""


class Stream:
    """Unpacks what `packed` gives (a piece of packed bytes, b"" at the end). Every method raises BadArchive."""

    called = "tar"
    magic: ClassVar[bytes] = b""  # what another stream behind the first one begins with: such files may be joined

    def __init__(self, packed: Callable[[], bytes]):
        self._read_packed = packed
        self._coder = self._new_coder()
        self._packed = b""  # read, and not unpacked yet
        self._ready = b""  # unpacked; asked for up to _position
        self._position = 0
        self._padded = False  # nothing but zeros may follow
        self._packed_size = self._unpacked_size = 0

    def _new_coder(self) -> Coder:
        return _Plain()

    def first(self, size: int) -> bytes:
        """The next bytes, at most so many, which stay where they are. Fewer where it ends before."""
        while len(self._ready) - self._position < size:
            kept = self._ready[self._position :]
            self._fill()
            more, self._ready, self._position = self._ready, kept + self._ready, 0
            if not more:
                break
        return self._ready[self._position : self._position + size]

    def exactly(self, size: int) -> bytes:
        """That many bytes. For headers and chunks of data: `size` is what the caller holds in memory."""
        piece = self._take(size)
        if len(piece) == size:
            return piece
        pieces = [piece]
        left = size - len(piece)
        while left:
            piece = self._take(left)
            if not piece:
                raise BadArchive("it ends too early")
            pieces.append(piece)
            left -= len(piece)
        return b"".join(pieces)

    def chunks(self, size: int, length: int) -> Iterator[bytes]:
        """`size` bytes in chunks of `length` (the last one may be shorter), however they arrive."""
        while size:
            chunk = self.exactly(min(size, length))
            size -= len(chunk)
            yield chunk

    def expect_end(self) -> None:
        """Nothing but zeros may follow, and then a correct checksum."""
        while piece := self._take(PIECE):
            if piece.strip(b"\0"):
                raise BadArchive("there is data behind its end")

    def _take(self, most: int) -> bytes:
        if self._position == len(self._ready):
            self._fill()
        piece = self._ready[self._position : self._position + most]
        self._position += len(piece)
        return piece

    def _fill(self) -> None:
        self._ready, self._position = b"", 0
        while not self._ready:
            if not self._packed and (self._coder.eof or self._coder.hungry):
                self._packed = self._read_packed()
                self._packed_size += len(self._packed)
            if self._coder.eof:
                if not self._packed:
                    return
                if self._padded or self._packed[0] == 0:  # bsdtar fills up its last record
                    self._skip_zeros()
                    continue
                if not self._packed.startswith(self.magic[:1]):
                    raise BadArchive("there is data behind its end")
                self._coder = self._new_coder()
            elif not self._packed and self._coder.hungry:
                if self._ended():
                    return
                raise BadArchive("it ends too early")
            self._ready, self._packed = self._coder.unpack(self._packed)
            self._unpacked_size += len(self._ready)
            refuse_bomb(self._packed_size, self._unpacked_size)

    def _ended(self) -> bool:
        """Whether it may end where its bytes do: a tar that is not packed has no end of its own."""
        return isinstance(self._coder, _Plain)

    def _skip_zeros(self) -> None:
        self._padded = True
        if self._packed.strip(b"\0"):
            raise BadArchive("there is data behind its end")
        self._packed = b""


class Gzip(Stream):
    called, magic = "gzip", b"\x1f\x8b"

    def _new_coder(self) -> Coder:
        return _Zlib(31)


class Bzip2(Stream):
    called, magic = "bzip2", b"BZh"

    def _new_coder(self) -> Coder:
        return _Buffered(bz2.BZ2Decompressor(), self.called)


class Xz(Stream):
    called, magic = "xz", b"\xfd7zXZ\0"

    def _new_coder(self) -> Coder:
        return _Buffered(lzma.LZMADecompressor(lzma.FORMAT_XZ, XZ_MEMORY), self.called)


class _Plain:
    eof, hungry = False, True

    def unpack(self, packed: bytes) -> tuple[bytes, bytes]:
        return packed[:PIECE], packed[PIECE:]


class _Zlib:
    hungry = True  # what it has not unpacked yet it gives back

    def __init__(self, bits: int):
        self._zip = zlib.decompressobj(bits)

    @property
    def eof(self) -> bool:
        return self._zip.eof

    def unpack(self, packed: bytes) -> tuple[bytes, bytes]:
        try:
            ready = self._zip.decompress(packed, PIECE)
        except zlib.error as error:
            raise BadArchive("it is not a gzip file, or it is corrupt") from error
        return ready, self._zip.unconsumed_tail or self._zip.unused_data


class _Buffered:
    """bz2's and lzma's objects, which keep what they have not unpacked yet."""

    def __init__(self, unpacker: bz2.BZ2Decompressor | lzma.LZMADecompressor, called: str):
        self._unpacker, self._called = unpacker, called

    @property
    def eof(self) -> bool:
        return self._unpacker.eof

    @property
    def hungry(self) -> bool:
        return self._unpacker.needs_input

    def unpack(self, packed: bytes) -> tuple[bytes, bytes]:
        try:
            ready = self._unpacker.decompress(packed, PIECE)
        except (OSError, lzma.LZMAError) as error:
            if "emory" in str(error):
                raise BadArchive(
                    f"it takes more than {XZ_MEMORY // 1024**2} MiB of memory to unpack",
                    "Make it with xz -9 or less, or with tar -czf package.tar.gz.",
                ) from error
            raise BadArchive(f"it is not {self._called}, or it is corrupt") from error
        return ready, self._unpacker.unused_data if self._unpacker.eof else b""
