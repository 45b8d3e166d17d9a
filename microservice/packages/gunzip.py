"""A gzip stream unpacked piece by piece, within bounds: memory stays flat, and a bomb is refused while it unpacks."""
import zlib
from collections.abc import Callable, Iterator

from .errors import BadArchive

UNPACKED_BYTES = 16 * 1024**3
# Text and zeros pack well; a thousandfold is what a bomb needs. Small archives may be as dense as they like.
RATIO = 250
DENSE_BYTES = 64 * 1024 * 1024
PIECE = 64 * 1024


class GzipStream:
    """Unpacks what `packed` gives (a piece of packed bytes, b"" at the end). Every method raises BadArchive."""

    def __init__(self, packed: Callable[[], bytes]):
        self._read_packed = packed
        self._zip = zlib.decompressobj(31)
        self._packed = b""  # read, and not unpacked yet
        self._ready = b""  # unpacked; asked for up to _position
        self._position = 0
        self._padded = False  # nothing but zeros may follow
        self._packed_size = self._unpacked_size = 0

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
        piece = self._ready[self._position:self._position + most]
        self._position += len(piece)
        return piece

    def _fill(self) -> None:
        self._ready, self._position = b"", 0
        while not self._ready:
            if not self._packed:
                self._packed = self._read_packed()
                self._packed_size += len(self._packed)
            if self._zip.eof:
                if not self._packed:
                    return
                if self._padded or self._packed[0] == 0:  # bsdtar fills up its last record
                    self._skip_zeros()
                    continue
                if not self._packed.startswith(b"\x1f"):
                    raise BadArchive("there is data behind its end")
                self._zip = zlib.decompressobj(31)  # gzip files may be joined
            elif not self._packed:
                raise BadArchive("it ends too early")
            try:
                self._ready = self._zip.decompress(self._packed, PIECE)
            except zlib.error as error:
                raise BadArchive("it is not a gzip file, or it is corrupt") from error
            self._packed = self._zip.unconsumed_tail or self._zip.unused_data
            self._unpacked_size += len(self._ready)
            self._refuse_bomb()

    def _skip_zeros(self) -> None:
        self._padded = True
        if self._packed.strip(b"\0"):
            raise BadArchive("there is data behind its end")
        self._packed = b""

    def _refuse_bomb(self) -> None:
        dense = self._unpacked_size > max(DENSE_BYTES, RATIO * self._packed_size)
        if dense or self._unpacked_size > UNPACKED_BYTES:
            raise BadArchive("it unpacks to far too much")
