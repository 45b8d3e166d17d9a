"""Unpacks a compressed stream piece by piece: memory stays flat, and a bomb is rejected while it unpacks."""

import bz2
import lzma
import zlib
from collections.abc import Callable, Iterator
from typing import ClassVar, Protocol

from .errors import BadArchive

MAX_UNPACKED_BYTES = 16 * 1024**3
# Text and zeros pack well; a bomb needs a thousandfold. Below MAX_DENSE_BYTES any ratio is accepted.
MAX_RATIO = 250
MAX_DENSE_BYTES = 64 * 1024 * 1024
PIECE = 64 * 1024
MAX_XZ_MEMORY = 72 * 1024 * 1024  # bytes; `xz -9` needs 65 MiB, and no default of a pipeline needs more


def refuse_bomb(packed: int, unpacked: int) -> None:
    """Raise BadArchive where too many bytes were unpacked for so few packed ones."""
    if unpacked > max(MAX_DENSE_BYTES, MAX_RATIO * packed) or unpacked > MAX_UNPACKED_BYTES:
        raise BadArchive("bad_package.bomb", max_gib=MAX_UNPACKED_BYTES // 1024**3, ratio=MAX_RATIO)


class Coder(Protocol):
    """One compressed stream. `needs_input`: it returns nothing more without more packed bytes."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...

    def unpack(self, packed: bytes) -> tuple[bytes, bytes]:
        """Return (at most PIECE bytes, the unused rest of `packed`)."""


class Stream:
    """Unpacks what `packed` returns (a piece of packed bytes, b"" at the end). Every method raises BadArchive.

    Compressed files may be concatenated: another stream may follow the first one where it begins with `magic`.
    """

    compression = "tar"
    magic: ClassVar[bytes] = b""

    def __init__(self, packed: Callable[[], bytes]):
        self._read_packed = packed
        self._coder = self._new_coder()
        self._packed = b""  # read, not unpacked yet
        self._ready = b""  # unpacked, consumed up to _position
        self._position = 0
        self._padded = False  # only zeros may follow
        self._packed_size = self._unpacked_size = 0

    def _new_coder(self) -> Coder:
        return _Plain()

    def first(self, size: int) -> bytes:
        """Return the next `size` bytes without consuming them; fewer at the end."""
        while len(self._ready) - self._position < size:
            kept = self._ready[self._position :]
            self._fill()
            more, self._ready, self._position = self._ready, kept + self._ready, 0
            if not more:
                break
        return self._ready[self._position : self._position + size]

    def exactly(self, size: int) -> bytes:
        """Consume exactly `size` bytes, which are held in memory: for headers and chunks of data."""
        piece = self._take(size)
        if len(piece) == size:
            return piece
        pieces = [piece]
        left = size - len(piece)
        while left:
            piece = self._take(left)
            if not piece:
                raise BadArchive("bad_package.truncated")
            pieces.append(piece)
            left -= len(piece)
        return b"".join(pieces)

    def chunks(self, size: int, length: int) -> Iterator[bytes]:
        """Yield `size` bytes in chunks of `length` (the last may be shorter), however they arrive."""
        while size:
            chunk = self.exactly(min(size, length))
            size -= len(chunk)
            yield chunk

    def expect_end(self) -> None:
        """Check that only zeros follow, and then a correct checksum."""
        while piece := self._take(PIECE):
            if piece.strip(b"\0"):
                raise BadArchive("bad_package.trailing_data")

    def _take(self, limit: int) -> bytes:
        if self._position == len(self._ready):
            self._fill()
        piece = self._ready[self._position : self._position + limit]
        self._position += len(piece)
        return piece

    def _fill(self) -> None:
        self._ready, self._position = b"", 0
        while not self._ready:
            if not self._packed and (self._coder.eof or self._coder.needs_input):
                self._packed = self._read_packed()
                self._packed_size += len(self._packed)
            if self._coder.eof:
                if not self._packed:
                    return
                if self._padded or self._packed[0] == 0:  # bsdtar pads its last record with zeros
                    self._skip_zeros()
                    continue
                if not self._packed.startswith(self.magic[:1]):
                    raise BadArchive("bad_package.trailing_data")
                self._coder = self._new_coder()
            elif not self._packed and self._coder.needs_input:
                if self._may_end():
                    return
                raise BadArchive("bad_package.truncated")
            self._ready, self._packed = self._coder.unpack(self._packed)
            self._unpacked_size += len(self._ready)
            refuse_bomb(self._packed_size, self._unpacked_size)

    def _may_end(self) -> bool:
        """Return whether the stream may end here: an uncompressed tar has no end mark of its own."""
        return isinstance(self._coder, _Plain)

    def _skip_zeros(self) -> None:
        self._padded = True
        if self._packed.strip(b"\0"):
            raise BadArchive("bad_package.trailing_data")
        self._packed = b""


class Gzip(Stream):
    compression, magic = "gzip", b"\x1f\x8b"

    def _new_coder(self) -> Coder:
        return _Zlib(31)


class Bzip2(Stream):
    compression, magic = "bzip2", b"BZh"

    def _new_coder(self) -> Coder:
        return _Buffered(bz2.BZ2Decompressor(), self.compression)


class Xz(Stream):
    compression, magic = "xz", b"\xfd7zXZ\0"

    def _new_coder(self) -> Coder:
        return _Buffered(lzma.LZMADecompressor(lzma.FORMAT_XZ, MAX_XZ_MEMORY), self.compression)


class _Plain:
    eof, needs_input = False, True

    def unpack(self, packed: bytes) -> tuple[bytes, bytes]:
        return packed[:PIECE], packed[PIECE:]


class _Zlib:
    needs_input = True  # `unpack` returns the unused rest, nothing is buffered here

    def __init__(self, bits: int):
        self._decompressor = zlib.decompressobj(bits)

    @property
    def eof(self) -> bool:
        return self._decompressor.eof

    def unpack(self, packed: bytes) -> tuple[bytes, bytes]:
        try:
            ready = self._decompressor.decompress(packed, PIECE)
        except zlib.error as error:
            raise BadArchive("bad_package.corrupt_stream", compression="gzip") from error
        return ready, self._decompressor.unconsumed_tail or self._decompressor.unused_data


class _Buffered:
    """A decompressor of bz2 or lzma, which buffers its unused input."""

    def __init__(self, decompressor: bz2.BZ2Decompressor | lzma.LZMADecompressor, compression: str):
        self._decompressor, self._compression = decompressor, compression

    @property
    def eof(self) -> bool:
        return self._decompressor.eof

    @property
    def needs_input(self) -> bool:
        return self._decompressor.needs_input

    def unpack(self, packed: bytes) -> tuple[bytes, bytes]:
        try:
            ready = self._decompressor.decompress(packed, PIECE)
        except (OSError, lzma.LZMAError) as error:
            if "emory" in str(error):  # lzma has no error of its own for it: "Memory usage limit exceeded"
                raise BadArchive("bad_package.memory", max_mib=MAX_XZ_MEMORY // 1024**2) from error
            raise BadArchive("bad_package.corrupt_stream", compression=self._compression) from error
        return ready, self._decompressor.unused_data if self._decompressor.eof else b""
